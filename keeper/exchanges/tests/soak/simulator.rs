//! A simulator in a process of its own, so that what it remembers is not taken for a leak of ours.

use std::process::Stdio;
use std::time::Duration;

use lockstep_exchanges::model::{Decimal, Scope, Venue};
use lockstep_exchanges::simulate::faults::Fault;
use lockstep_exchanges::simulate::server::Truth;
use lockstep_exchanges::transport::random::Random;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

pub struct Simulator {
    url: String,
    http: reqwest::Client,
    _process: Child,
}

impl Simulator {
    pub async fn start(venue: Venue) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_exchanges"))
            .args(["simulate", venue.name(), "--step-ms", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let url = lines.next_line().await.unwrap().expect("it says its address");
        Self {
            url,
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(10))
                .build()
                .unwrap(),
            _process: process,
        }
    }

    /// `host:port`.
    pub fn host(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    async fn post(&self, path: &str, body: String) {
        let reply = self
            .http
            .post(format!("{}/simulator/{path}", self.url))
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap();
        assert!(reply.status().is_success(), "{path}: {}", reply.status());
    }

    pub async fn fault(&self, fault: &Fault) {
        self.post("faults", serde_json::to_string(fault).unwrap()).await;
    }

    pub async fn price(&self, instrument: &str, price: Decimal) {
        let body = serde_json::json!({ "instrument": instrument, "price": price });
        self.post("price", body.to_string()).await;
    }

    /// What the venue knows of the account.
    pub async fn truth(&self, key: &str) -> Truth {
        let reply = self
            .http
            .get(format!("{}/simulator/account?key={key}", self.url))
            .send()
            .await
            .unwrap();
        serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap()
    }
}

/// Kinds of faults.
pub const FAULTS: usize = 14;
/// Which of them is the ban.
pub const BAN: usize = 7;

/// A fault of each kind.
pub fn fault(kind: usize, random: &mut Random) -> Fault {
    let scope = if random.up_to(3) == 0 {
        Scope::Public
    } else {
        Scope::Private
    };
    let count = u32::try_from(1 + random.up_to(4)).unwrap();
    let milliseconds = 500 + random.up_to(4_000);
    match kind % FAULTS {
        0 => Fault::SilentStream { scope, milliseconds },
        1 => Fault::HalfOpen { milliseconds },
        2 => Fault::Gap { scope, count },
        3 => Fault::Duplicate { scope, count },
        4 => Fault::OutOfOrder { scope, count },
        5 => Fault::Disconnect { scope },
        6 => Fault::TooMany {
            count: count.min(2),
            retry_after_seconds: 1,
        },
        BAN => Fault::Ban { milliseconds: 1_000 },
        8 => Fault::TimeoutAfterAccept { count: 1 },
        9 => Fault::ErrorAfterAccept { count: count.min(2) },
        10 => Fault::ErrorBeforeAccept { count: count.min(2) },
        11 => Fault::SessionExpiry,
        12 => Fault::ClockSkew {
            milliseconds: i64::try_from(random.up_to(2_000)).unwrap(),
        },
        _ => Fault::Maintenance,
    }
}
