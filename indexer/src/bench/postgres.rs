//! A PostgreSQL cluster of this process's own, from Debian's packages, gone with it. For the benchmark and the tests.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    port: u16,
    bin: PathBuf,
    databases: AtomicU32,
    /// While this is open the server runs; it closes with the process, however that ends.
    _alive: ChildStdin,
}

impl Cluster {
    /// Makes one in a temporary directory and waits until it answers.
    ///
    /// # Errors
    /// When the package is missing or the server does not start.
    pub fn start() -> anyhow::Result<Self> {
        let bin = binaries()?;
        let user = unprivileged()?;
        let directory = tempfile::Builder::new()
            .prefix("lockstep-postgres-")
            .tempdir()?
            .keep();
        if let Some((uid, gid)) = user {
            chown(&directory, Some(uid), Some(gid))?;
        }
        let data = directory.join("data");
        let made = command(&bin.join("initdb"), user)
            .args([
                "-U",
                "lockstep",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-locale",
                "--no-sync",
                "-D",
            ])
            .arg(&data)
            .output()?;
        ensure!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let server = command(&bin.join("postgres"), user)
            .arg("-D")
            .arg(&data)
            .args([
                "-p",
                &port.to_string(),
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
            ])
            .args([
                "-c",
                "max_connections=200",
                "-c",
                "shared_buffers=128MB",
                "-c",
                "max_wal_size=2GB",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let alive = watch(server.id(), &directory)?;
        let cluster = Self {
            port,
            bin,
            databases: AtomicU32::new(0),
            _alive: alive,
        };
        let begun = Instant::now();
        while !cluster.answers()? {
            ensure!(
                begun.elapsed() < Duration::from_secs(60),
                "PostgreSQL did not start"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(cluster)
    }

    fn answers(&self) -> anyhow::Result<bool> {
        Ok(TcpStream::connect(("127.0.0.1", self.port)).is_ok()
            && Command::new(self.bin.join("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
                .status()?
                .success())
    }

    /// URL of a new, empty database.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn database(&self) -> anyhow::Result<String> {
        let name = format!("scratch_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let made = Command::new(self.bin.join("psql"))
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &self.port.to_string(),
                "-U",
                "lockstep",
                "-d",
                "postgres",
                "-qc",
            ])
            .arg(format!("CREATE DATABASE {name}"))
            .status()?;
        ensure!(made.success(), "CREATE DATABASE failed");
        Ok(format!("postgres://lockstep@127.0.0.1:{}/{name}", self.port))
    }
}

/// Whether [`Cluster::start`] finds what it needs.
///
/// # Errors
/// When the package is missing: says how to get it.
pub fn installed() -> anyhow::Result<()> {
    binaries()?;
    unprivileged().map(drop)
}

fn binaries() -> anyhow::Result<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort();
    found
        .pop()
        .context("no PostgreSQL under /usr/lib/postgresql: install the package `postgresql` (apt-get install postgresql)")
}

/// The server refuses to run as root: then it runs as the package's user.
fn unprivileged() -> anyhow::Result<Option<(u32, u32)>> {
    if std::fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    let line = users
        .lines()
        .find(|line| line.starts_with("postgres:"))
        .context("no user `postgres`: install the package `postgresql`")?;
    let mut ids = line.split(':').skip(2).map(str::parse);
    let (uid, gid) = (ids.next().context("uid")??, ids.next().context("gid")??);
    Ok(Some((uid, gid)))
}

fn command(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((uid, gid)) = user {
        command.gid(gid).uid(uid);
    }
    command.current_dir("/");
    command
}

/// A shell that waits for this process to end, then stops the server and removes its files.
fn watch(server: u32, directory: &Path) -> anyhow::Result<ChildStdin> {
    let mut shell = Command::new("sh")
        .args([
            "-c",
            "read _; kill -INT \"$1\" 2>/dev/null; sleep 1; rm -rf -- \"$2\"",
            "watch",
        ])
        .arg(server.to_string())
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    shell.stdin.take().context("no pipe to the watching shell")
}
