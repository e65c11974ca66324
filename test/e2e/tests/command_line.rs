//! What a person at a terminal meets first.

use std::process::{Command, Output};

use anyhow::Context as _;
use lockstep_devnet::layout::Layout;

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
