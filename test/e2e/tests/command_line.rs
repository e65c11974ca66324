//! What a person at a terminal meets first.

use std::process::{Command, Output};
use std::time::Duration;

use alloy::primitives::B256;
use anyhow::Context as _;
use lockstep_devnet::layout::Layout;
use lockstep_devnet::process::{eventually, free_port};
use lockstep_devnet::stack::{PATIENCE, Stack, StackOptions};

const SERVICES: [&str; 3] = ["lockstep-keeper", "lockstep-indexer", "lockstep-api"];

fn run(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<Output> {
    let path = Layout::find()?.program(program)?;
    Command::new(path)
        .args(arguments)
        .env_remove("RUST_BACKTRACE")
        .envs(environment.iter().copied())
        .output()
        .with_context(|| program.to_owned())
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn every_program_explains_itself() -> anyhow::Result<()> {
    for program in SERVICES.into_iter().chain(["lockstep-devnet"]) {
        let output = run(program, &["--help"], &[])?;
        assert!(output.status.success(), "{program} --help: {}", text(&output));
        let said = text(&output);
        assert!(
            said.contains("Usage:") && said.len() > 200,
            "{program} --help says little:\n{said}"
        );
        assert!(run(program, &["--version"], &[])?.status.success());
        let unknown = run(program, &["--no-such-option"], &[])?;
        assert_eq!(unknown.status.code(), Some(2), "{program}: {}", text(&unknown));
    }
    Ok(())
}

#[test]
fn configuration_errors_name_the_file_and_the_key() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("wrong.toml");
    std::fs::write(&path, "listen = \"not an address\"\nno_such_key = 1\n")?;
    let file = path.to_string_lossy();
    for program in SERVICES {
        let output = run(program, &["--config", "/no/such/file.toml"], &[])?;
        assert!(!output.status.success());
        assert!(
            text(&output).contains("/no/such/file.toml"),
            "{program}: {}",
            text(&output)
        );

        let output = run(program, &["--config", &file], &[])?;
        assert!(
            !output.status.success(),
            "{program} started with a wrong configuration"
        );
        let said = text(&output);
        assert!(
            said.contains("wrong.toml") || said.contains("missing"),
            "{program}: {said}"
        );
        assert!(!said.contains("panicked"), "{program}: {said}");
    }
    Ok(())
}

/// What failed, on what and what to do, and nothing of how the program is made.
fn assert_reads_well(program: &str, output: &Output, names: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{program}: {said}");
    assert!(said.contains("error: "), "{program}: {said}");
    for name in names {
        assert!(said.contains(name), "{program} does not name {name}: {said}");
    }
    for inner in [
        "backtrace",
        "Error {",
        "Os {",
        "panicked",
        ".rs:",
        "std::",
        "::main",
    ] {
        assert!(
            !said.contains(inner),
            "{program} shows a programmer's view ({inner}): {said}"
        );
    }
}

const VERBOSE: [(&str, &str); 2] = [("RUST_BACKTRACE", "1"), ("RUST_LIB_BACKTRACE", "1")];

#[test]
fn an_error_at_start_is_a_chain_of_causes() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("some.toml");
    let file = path.to_string_lossy().into_owned();
    for (program, required) in [
        (
            "lockstep-keeper",
            "journal = \"k.db\"\n[rpc]\nurls = [\"http://127.0.0.1:1\"]\n",
        ),
        (
            "lockstep-indexer",
            "store = \"sqlite://i.db\"\nlisten = \"127.0.0.1:0\"\n[rpc]\nurls = [\"http://127.0.0.1:1\"]\n",
        ),
        (
            "lockstep-api",
            "database_url = \"sqlite://i.db\"\nrpc_url = \"http://127.0.0.1:1\"\n",
        ),
    ] {
        std::fs::write(
            &path,
            format!("deployment = \"/no/such/deployment.json\"\n{required}"),
        )?;
        let key = B256::repeat_byte(1).to_string();
        let environment = [VERBOSE.as_slice(), &[("LOCKSTEP_KEEPER__KEY", key.as_str())]].concat();
        let output = run(program, &["--config", &file], &environment)?;
        let names = ["deployment", "/no/such/deployment.json", "because: No such file"];
        assert_reads_well(program, &output, &names);

        std::fs::write(&path, "rpc = 1\n")?;
        let output = run(program, &["--config", &file], &environment)?;
        assert_reads_well(program, &output, &["some.toml", "configuration"]);

        // Who asked for JSON can parse the last words too.
        let output = run(
            program,
            &["--log-format", "json", "--config", "/no/such.toml"],
            &[],
        )?;
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or_default();
        assert!(last.contains("/no/such.toml"), "{program}: {said}");
        if program != "lockstep-keeper" {
            // The keeper's log filter is part of what could not be read, so its log has not begun.
            let line: serde_json::Value = serde_json::from_str(last)?;
            assert_eq!(
                line.get("level").and_then(serde_json::Value::as_str),
                Some("ERROR")
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_keeper_that_never_reached_an_endpoint_says_which() -> anyhow::Result<()> {
    let stack = Stack::with(StackOptions {
        keeper: false,
        indexer: false,
        api: false,
        ..StackOptions::default()
    })
    .await?;
    let mut services = stack.services.clone();
    let port = free_port()?;
    services.keeper_rpc = vec![format!("http://user:s3cr3t@127.0.0.1:{port}/s3cr3t").parse()?];
    let program = services.keeper(&stack.layout, &stack.keeper_account)?;
    let program = VERBOSE
        .iter()
        .fold(program, |program, (key, value)| program.environment(key, *value));
    let keeper = program.start()?;
    eventually("the keeper to wait", PATIENCE, async || {
        let waits = keeper
            .program()
            .last_lines(50)
            .contains("waiting for an RPC endpoint");
        Ok(waits.then_some(()))
    })
    .await?;
    let status = keeper.stop().await?;
    let said = program.last_lines(50);
    assert_eq!(status.code(), Some(1), "{said}");
    let last = said.lines().skip_while(|line| !line.starts_with("error: "));
    let last = last.collect::<Vec<_>>().join("\n");
    assert!(last.contains("check `rpc.urls`"), "{said}");
    assert!(last.contains(&format!("because: 127.0.0.1:{port}")), "{said}");
    assert!(!said.contains("s3cr3t") && !last.contains("backtrace"), "{said}");
    Ok(())
}

/// `up` with files for its output, and an end for everything it has started however the test ends.
struct Up {
    child: std::process::Child,
    directory: tempfile::TempDir,
}

impl Up {
    fn start() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let port = free_port()?.to_string();
        let out = std::fs::File::create(directory.path().join("out"))?;
        let child = Command::new(Layout::find()?.program("lockstep-devnet")?)
            .args(["up", "--followers", "0", "--port", &port])
            .env("LOCKSTEP_STATE", directory.path().join("state"))
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()?;
        Ok(Self { child, directory })
    }

    /// What it has said so far.
    fn said(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.directory.path().join("out"))?)
    }

    async fn says(&self, words: &str) -> anyhow::Result<()> {
        eventually(words, PATIENCE, async || {
            Ok(self.said()?.contains(words).then_some(()))
        })
        .await
        .with_context(|| self.said().unwrap_or_default())
    }

    /// The process numbers it has written down, by name.
    fn children(&self) -> anyhow::Result<Vec<(String, u32)>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.directory.path().join("state/run"))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().replace(".pid", "");
            found.push((name, std::fs::read_to_string(entry.path())?.trim().parse()?));
        }
        found.sort();
        Ok(found)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        for (_, pid) in self.children().unwrap_or_default() {
            let _ = send("KILL", pid);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether there was such a process.
fn send(signal: &str, pid: u32) -> anyhow::Result<bool> {
    let status = Command::new("sh")
        .args(["-c", "kill -s \"$0\" \"$1\"", signal, &pid.to_string()])
        .stderr(std::process::Stdio::null())
        .status()?;
    Ok(status.success())
}

#[tokio::test]
async fn a_second_ctrl_c_leaves_nothing_of_the_local_stack_behind() -> anyhow::Result<()> {
    let mut up = Up::start()?;
    up.says("Lockstep is running").await?;
    let children = up.children()?;
    let names: Vec<_> = children.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["api", "chain", "indexer", "keeper"]);
    // One that does not stop when it is asked to: the first Ctrl-C waits for it.
    let (_, keeper) = children.last().context("the keeper")?;
    assert!(send("STOP", *keeper)?);
    assert!(send("INT", up.child.id())?);
    up.says("Stopping API, keeper and indexer").await?;
    assert_eq!(up.child.try_wait()?, None, "{}", up.said()?);

    assert!(send("INT", up.child.id())?);
    let asked = std::time::Instant::now();
    let status = eventually("up to end", PATIENCE, async || Ok(up.child.try_wait()?)).await?;
    assert!(
        asked.elapsed() < Duration::from_secs(8),
        "it waited for the keeper"
    );
    let said = up.said()?;
    assert_eq!(status.code(), Some(130), "{said}");
    let told: Vec<_> = said.lines().filter(|line| line.contains("at once:")).collect();
    let [line] = told.as_slice() else {
        anyhow::bail!("not one line about it:\n{said}");
    };
    assert!(line.contains("keeper") && line.contains("chain"), "{line}");
    assert_eq!(said.lines().last(), Some(*line), "{said}");
    for (name, pid) in children {
        // Killed is not yet gone: until somebody has taken note of its end, its number still answers.
        eventually(
            &format!("{name} to be gone"),
            Duration::from_secs(5),
            async || Ok((!send("0", pid)?).then_some(())),
        )
        .await?;
    }
    assert_eq!(up.children()?, [], "pid files were left behind");
    Ok(())
}

#[test]
fn secrets_are_not_repeated() -> anyhow::Result<()> {
    let environment = [
        ("LOCKSTEP_KEEPER__KEY", "hunter2-is-not-a-key"),
        ("LOCKSTEP_API__KEEPER__TOKEN", "hunter2"),
    ];
    for program in SERVICES {
        let said = text(&run(program, &[], &environment)?);
        assert!(!said.contains("hunter2"), "{program} repeats a secret: {said}");
    }
    Ok(())
}

#[test]
fn scripts_explain_themselves_and_refuse_what_they_do_not_know() -> anyhow::Result<()> {
    let root = Layout::find()?.root().to_owned();
    for script in ["script/up", "script/test", "script/bench"] {
        let help = Command::new(root.join(script)).arg("--help").output()?;
        assert!(
            help.status.success() && text(&help).contains("Usage: script/"),
            "{script}: {}",
            text(&help)
        );
        let unknown = Command::new(root.join(script)).arg("--no-such-option").output()?;
        assert!(!unknown.status.success(), "{script} took an unknown option");
        assert!(text(&unknown).contains("--help"), "{script}: {}", text(&unknown));
    }
    Ok(())
}
