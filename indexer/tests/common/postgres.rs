//! A PostgreSQL cluster of the test process's own, from Debian's packages, gone with it.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

struct Cluster {
    port: u16,
    bin: PathBuf,
}

static CLUSTER: OnceLock<Cluster> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// URL of a new, empty database.
pub fn database() -> String {
    let cluster = CLUSTER.get_or_init(start);
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let made = Command::new(cluster.bin.join("psql"))
        .args([
            "-h",
            "127.0.0.1",
            "-p",
            &cluster.port.to_string(),
            "-U",
            "lockstep",
            "-d",
            "postgres",
            "-qc",
        ])
        .arg(format!("CREATE DATABASE {name}"))
        .status()
        .unwrap();
    assert!(made.success(), "CREATE DATABASE failed");
    format!("postgres://lockstep@127.0.0.1:{}/{name}", cluster.port)
}

fn binaries() -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| {
        panic!("no PostgreSQL under /usr/lib/postgresql: install the package `postgresql` (apt-get install postgresql)")
    })
}

/// The server refuses to run as root: then it runs as `postgres`.
fn unprivileged() -> Option<(u32, u32)> {
    let me = std::fs::metadata("/proc/self").unwrap();
    if std::os::unix::fs::MetadataExt::uid(&me) != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users
        .lines()
        .find(|line| line.starts_with("postgres:"))
        .expect("user `postgres` of the package");
    let mut fields = line.split(':').skip(2).map(|field| field.parse().unwrap());
    Some((fields.next().unwrap(), fields.next().unwrap()))
}

fn as_user(program: &Path, user: Option<(u32, u32)>) -> Command {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(program);
    if let Some((uid, gid)) = user {
        command.gid(gid).uid(uid);
    }
    command.current_dir("/");
    command
}

fn start() -> Cluster {
    let bin = binaries();
    let user = unprivileged();
    let directory = tempfile::Builder::new()
        .prefix("lockstep-pg-")
        .tempdir()
        .unwrap()
        .keep();
    if let Some((uid, gid)) = user {
        chown(&directory, Some(uid), Some(gid)).unwrap();
    }
    let data = directory.join("data");
    let made = as_user(&bin.join("initdb"), user)
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
        .stdout(Stdio::null())
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "initdb: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let server = as_user(&bin.join("postgres"), user)
        .arg("-D")
        .arg(&data)
        .args([
            "-p",
            &port.to_string(),
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "fsync=off",
        ])
        .args([
            "-c",
            "full_page_writes=off",
            "-c",
            "max_connections=200",
            "-c",
            "unix_socket_directories=",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    watch(&server, &directory);
    let begun = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err()
        || !Command::new(bin.join("pg_isready"))
            .args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])
            .status()
            .unwrap()
            .success()
    {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "PostgreSQL did not start"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    Cluster { port, bin }
}

/// A shell that waits for this process to end, however it ends, and then stops the server and removes its files.
fn watch(server: &Child, directory: &Path) {
    let mut shell = Command::new("sh")
        .args([
            "-c",
            "read _; kill -INT \"$1\" 2>/dev/null; sleep 1; rm -rf -- \"$2\"",
            "watch",
        ])
        .arg(server.id().to_string())
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The pipe closes with this process.
    let mut pipe = shell.stdin.take().unwrap();
    let _ = pipe.flush();
    std::mem::forget(pipe);
}
