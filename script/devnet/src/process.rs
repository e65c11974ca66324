//! Child processes: start, stop, kill, restart with backoff.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How long a process may take to stop before it is killed.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a killed process may take to be gone.
const KILLED_WITHIN: Duration = Duration::from_secs(5);

/// The children of this process that run now: whoever has to end them at once need not know who started them.
static RUNNING: Mutex<Vec<Running>> = Mutex::new(Vec::new());

/// Where ports are looked for: below the range from which systems choose ports for outgoing connections (Linux from
/// 32768, others from 49152), so that none of those can take a port between two starts of the program it is for.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Ports this process has reserved, each by a locked file, until it ends.
static RESERVED: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A TCP port nobody listens on, reserved for this process: until it ends, no other process that asks here gets the
/// same, even while the program that listens on it is down.
///
/// # Errors
/// When none is free or the directory of reservations cannot be written.
pub fn free_port() -> std::io::Result<u16> {
    let user = std::env::var("USER").unwrap_or_default();
    let directory = std::env::temp_dir().join(format!("lockstep-ports-{user}"));
    std::fs::create_dir_all(&directory)?;
    let count = PORTS.end - PORTS.start;
    // Processes start looking at different places: few meet on one port.
    let first = u16::try_from(std::process::id() % u32::from(count)).unwrap_or_default();
    for step in 0..count {
        let port = PORTS.start + (first + step) % count;
        let reservation = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(directory.join(port.to_string()))?;
        match reservation.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => continue,
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            locked(&RESERVED).push(reservation);
            return Ok(port);
        }
    }
    Err(std::io::Error::new(
        ErrorKind::AddrInUse,
        format!("no free port between {} and {}", PORTS.start, PORTS.end),
    ))
}

fn locked<T>(list: &Mutex<T>) -> MutexGuard<'_, T> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What to run.
#[derive(Debug, Clone)]
pub struct Program {
    /// Short name for messages, log and pid file.
    pub name: String,
    /// The executable.
    pub path: PathBuf,
    /// Arguments.
    pub arguments: Vec<String>,
    /// Variables besides the inherited ones.
    pub environment: Vec<(String, String)>,
    /// Working directory.
    pub directory: PathBuf,
    /// Standard output and error are appended here.
    pub log: PathBuf,
    /// Its process id while it runs, so that a later start finds what a killed one left behind.
    pub pid_file: Option<PathBuf>,
    /// In a process group of its own: Ctrl-C in the terminal then reaches only the parent, which stops its children in
    /// order. Tests leave it out, so that a test runner that ends a test ends all of it.
    pub own_group: bool,
    /// Largest file it may write, in bytes: a full disk as far as it is concerned.
    pub file_size_limit: Option<u64>,
}

impl Program {
    /// Runs `path` in `directory`, logging to `log`.
    #[must_use]
    pub fn new(name: &str, path: PathBuf, directory: &Path, log: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            path,
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: directory.to_owned(),
            log,
            pid_file: None,
            own_group: false,
            file_size_limit: None,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn arguments<I: IntoIterator<Item = S>, S: Into<String>>(mut self, arguments: I) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Adds a variable.
    #[must_use]
    pub fn environment(mut self, key: &str, value: impl Into<String>) -> Self {
        self.environment.push((key.to_owned(), value.into()));
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// When the log cannot be opened or the program not started.
    pub fn start(&self) -> anyhow::Result<Process> {
        if let Some(directory) = self.log.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("log {}", self.log.display()))?;
        let mut command = match self.file_size_limit {
            None => Command::new(&self.path),
            Some(bytes) => {
                let mut command = Command::new("prlimit");
                command.arg(format!("--fsize={bytes}")).arg(&self.path);
                command
            }
        };
        if self.own_group {
            command.process_group(0);
        }
        let child = command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(key, value)| (key, value)))
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {} ({})", self.name, self.path.display()))?;
        // From here on a failure ends it again: it is dropped.
        let process = Process {
            program: self.clone(),
            pid: child.id().unwrap_or_default(),
            child,
        };
        locked(&RUNNING).push(Running {
            pid: process.pid,
            program: self.clone(),
        });
        if let Some(path) = &self.pid_file {
            std::fs::write(path, process.pid.to_string())?;
        }
        Ok(process)
    }

    fn forget(&self) {
        if let Some(path) = &self.pid_file {
            let _ = std::fs::remove_file(path);
        }
    }

    /// The last lines of its log.
    #[must_use]
    pub fn last_lines(&self, count: usize) -> String {
        tail(&self.log, count).unwrap_or_default()
    }
}

fn tail(path: &Path, count: usize) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(16 * 1024);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = VecDeque::with_capacity(count);
    for line in text.lines() {
        if lines.len() == count {
            lines.pop_front();
        }
        lines.push_back(line);
    }
    Ok(Vec::from(lines).join("\n"))
}

/// A running child.
#[derive(Debug)]
pub struct Process {
    program: Program,
    pid: u32,
    child: Child,
}

impl Drop for Process {
    fn drop(&mut self) {
        locked(&RUNNING).retain(|running| running.pid != self.pid);
    }
}

impl Process {
    /// What it runs.
    #[must_use]
    pub const fn program(&self) -> &Program {
        &self.program
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn ended(&mut self) -> std::io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// SIGKILL: what a power cut looks like.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn kill(mut self) -> std::io::Result<()> {
        self.child.kill().await?;
        self.forget();
        Ok(())
    }

    /// SIGTERM, and SIGKILL if that has not helped in time.
    ///
    /// # Errors
    /// When the process cannot be signalled.
    pub async fn stop(mut self) -> anyhow::Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            self.forget();
            return Ok(status);
        }
        self.signal("TERM").await?;
        let status = match timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => status?,
            Err(_) => {
                tracing::warn!(
                    process = self.program.name,
                    "did not stop in {PATIENCE:?}, killed"
                );
                self.child.kill().await?;
                self.child.wait().await?
            }
        };
        self.forget();
        Ok(status)
    }

    /// Sends a signal by name, e.g. `STOP` and `CONT`.
    ///
    /// # Errors
    /// When there is no such process any more.
    pub async fn signal(&self, name: &str) -> anyhow::Result<()> {
        let pid = self.child.id().context("the process has ended")?;
        signal(pid, name).await
    }

    fn forget(&self) {
        self.program.forget();
    }
}

/// A child that ran when [`running`] was asked.
#[derive(Debug, Clone)]
pub struct Running {
    pid: u32,
    program: Program,
}

impl Running {
    /// Its short name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.program.name
    }

    /// Whether it is still there, and not something else under its number.
    async fn is_there(&self) -> bool {
        self.pid != 0 && runs(self.pid, &self.program).await
    }
}

/// The children of this process that run now.
#[must_use]
pub fn running() -> Vec<Running> {
    locked(&RUNNING).clone()
}

/// SIGKILL to each, then waits until all are gone. They need not be children any more.
///
/// # Errors
/// When one is still there after a while: which.
pub async fn kill_all(left: &[Running]) -> anyhow::Result<()> {
    for one in left {
        if one.is_there().await {
            // It may end by itself in this very moment.
            let _ = signal(one.pid, "KILL").await;
        }
    }
    for one in left {
        let what = format!("{} (process {}) to be gone", one.name(), one.pid);
        eventually(&what, KILLED_WITHIN, async || {
            Ok((!one.is_there().await).then_some(()))
        })
        .await?;
        one.program.forget();
    }
    Ok(())
}

async fn signal(pid: u32, name: &str) -> anyhow::Result<()> {
    // The shell's own `kill`: the program of that name is not on every machine.
    let status = Command::new("sh")
        .args(["-c", "kill -s \"$0\" \"$1\"", name, &pid.to_string()])
        .stderr(Stdio::null())
        .status()
        .await
        .context("kill")?;
    if !status.success() {
        bail!("no process {pid} to send SIG{name} to");
    }
    Ok(())
}

/// Stops what an earlier, killed start left running, as its pid file tells.
///
/// # Errors
/// When a left-over process does not go away.
pub async fn stop_left_over(program: &Program) -> anyhow::Result<()> {
    let Some(path) = &program.pid_file else {
        return Ok(());
    };
    let Ok(text) = std::fs::read_to_string(path) else {
        return Ok(());
    };
    let pid: u32 = text.trim().parse().unwrap_or(0);
    if pid != 0 && runs(pid, program).await {
        tracing::info!(
            process = program.name,
            pid,
            "still running from an earlier start; stopping it"
        );
        signal(pid, "TERM").await?;
        let deadline = Instant::now() + PATIENCE;
        while command_line(pid).await.is_some() {
            if Instant::now() > deadline {
                signal(pid, "KILL").await?;
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
    let _ = std::fs::remove_file(path);
    Ok(())
}

/// Whether this number is of a process that runs the program: it may belong to something else by now.
async fn runs(pid: u32, program: &Program) -> bool {
    let executable = program
        .path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    command_line(pid)
        .await
        .is_some_and(|line| line.contains(&executable))
}

async fn command_line(pid: u32) -> Option<String> {
    if let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) {
        // Empty for one that has ended and whose parent has not noticed.
        return (!line.is_empty()).then(|| String::from_utf8_lossy(&line).replace('\0', " "));
    }
    let output = Command::new("ps")
        .args(["-o", "args=", "-p", &pid.to_string()])
        .output()
        .await
        .ok()?;
    let line = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (!line.is_empty()).then_some(line)
}

/// Keeps a program running: starts it again with growing pauses whenever it ends, until `stop`.
pub async fn supervise(program: Program, stop: CancellationToken) {
    const FIRST_PAUSE: Duration = Duration::from_secs(1);
    const LONGEST_PAUSE: Duration = Duration::from_secs(30);
    const HEALTHY: Duration = Duration::from_secs(60);
    let mut pause = FIRST_PAUSE;
    while !stop.is_cancelled() {
        let started = Instant::now();
        let ended = match program.start() {
            Ok(mut process) => {
                tokio::select! {
                    status = process.wait() => status.map_or_else(|error| error.to_string(), |status| status.to_string()),
                    () = stop.cancelled() => {
                        if let Err(error) = process.stop().await {
                            tracing::warn!(process = program.name, "{error:#}");
                        }
                        return;
                    }
                }
            }
            Err(error) => format!("{error:#}"),
        };
        if started.elapsed() > HEALTHY {
            pause = FIRST_PAUSE;
        }
        tracing::error!(
            "{} ended ({ended}); starting it again in {} s. The end of {}:\n{}",
            program.name,
            pause.as_secs(),
            program.log.display(),
            program.last_lines(3),
        );
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.cancelled() => return,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Runs a command to its end, output to its log.
///
/// # Errors
/// When it fails; the error holds the end of its output.
pub async fn run(program: &Program) -> anyhow::Result<()> {
    let mut process = program.start()?;
    let status = process.wait().await?;
    process.forget();
    if !status.success() {
        bail!(
            "{} failed ({status}). The end of {}:\n{}",
            program.name,
            program.log.display(),
            program.last_lines(20)
        );
    }
    Ok(())
}

/// Asks `condition` again until it gives a value, at most until the deadline; an error in between is not the end.
///
/// # Errors
/// When the deadline passes: what was waited for, and the last error or state.
pub async fn eventually<T, F>(what: &str, within: Duration, mut condition: F) -> anyhow::Result<T>
where
    F: AsyncFnMut() -> anyhow::Result<Option<T>>,
{
    let deadline = Instant::now() + within;
    let mut pause = Duration::from_millis(10);
    loop {
        let last = condition().await;
        if let Ok(Some(value)) = last {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            return match last {
                Err(error) => Err(error.context(format!("waited {within:?} for {what}"))),
                Ok(_) => Err(anyhow::anyhow!("waited {within:?} in vain for {what}")),
            };
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(250));
    }
}

#[cfg(test)]
mod tests {
    use super::{Program, command_line, free_port, kill_all, running};

    #[test]
    fn a_port_is_not_given_twice_even_while_nobody_listens_on_it() {
        let ports: std::collections::HashSet<u16> = (0..50).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.len(), 50);
    }

    #[tokio::test]
    async fn children_that_do_not_want_to_stop_are_killed_and_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let mut children = Vec::new();
        for name in ["one", "two"] {
            let mut program = Program::new(
                name,
                "sh".into(),
                directory.path(),
                directory.path().join(format!("{name}.log")),
            )
            .arguments(["-c", "trap '' TERM INT; echo ready; while :; do sleep 1; done"]);
            program.pid_file = Some(directory.path().join(name));
            program.own_group = true;
            children.push(program.start().unwrap());
        }
        let ours: Vec<u32> = children.iter().map(|child| child.pid).collect();
        let left: Vec<_> = running()
            .into_iter()
            .filter(|one| ours.contains(&one.pid))
            .collect();
        assert_eq!(left.len(), 2);
        kill_all(&left).await.unwrap();
        for (child, name) in children.iter().zip(["one", "two"]) {
            assert_eq!(command_line(child.pid).await, None);
            assert!(!directory.path().join(name).exists(), "the pid file of {name}");
        }
        drop(children);
        assert!(running().iter().all(|one| !ours.contains(&one.pid)));
    }
}
