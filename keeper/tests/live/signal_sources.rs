//! Private strategies: signed target states move followers, and what does not fit stops the source until it is mended.

use anyhow::Context as _;
use lockstep_devnet::chain::wall_clock;
use lockstep_devnet::process::{eventually, free_port};
use lockstep_devnet::stack::{PATIENCE, Stack, StackOptions};
use lockstep_exchanges::crypto::ed25519_base64;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::common::{ETH, get, log, post, text};
use crate::signals::{join, on_side, register};

// The key pair of RFC 8410: everybody knows it.
const PRIVATE_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
    -----END PRIVATE KEY-----\n";
const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
    -----END PUBLIC KEY-----\n";
const TOKEN: &str = "a-token-that-is-in-no-log-0123456789";

/// A program that posts states of one source.
struct Program {
    url: String,
    token: &'static str,
}

fn body(sequence: u64, age_ms: u64, targets: &Value) -> String {
    let time_ms = now_ms().saturating_sub(age_ms);
    json!({ "sequence": sequence, "time_ms": time_ms, "targets": targets }).to_string()
}

fn now_ms() -> u64 {
    // The wall clock of the door, to the second: well inside the ten that a state may be off.
    wall_clock() * 1_000
}

fn eth(leverage: &str) -> Value {
    json!([{ "market": ETH, "leverage": leverage }])
}

impl Program {
    async fn send(&self, body: &str, signature: &str) -> anyhow::Result<(StatusCode, String)> {
        let answer = reqwest::Client::new()
            .post(&self.url)
            .bearer_auth(self.token)
            .header("x-lockstep-signature", signature)
            .body(body.to_owned())
            .send()
            .await?;
        let status = answer.status();
        let problem: Value = answer.json().await.unwrap_or_default();
        Ok((status, problem["code"].as_str().unwrap_or_default().to_owned()))
    }

    /// The code of the answer; empty when it was taken.
    async fn signed(&self, body: &str) -> anyhow::Result<String> {
        let (status, code) = self.send(body, &ed25519_base64(PRIVATE_KEY, body)?).await?;
        anyhow::ensure!(
            code.is_empty() == (status == StatusCode::ACCEPTED),
            "{status} {code}"
        );
        Ok(code)
    }

    /// Posts until the keeper has read the strategy and takes it: signed anew each time, with the same number.
    async fn taken(&self, sequence: u64, targets: &Value) -> anyhow::Result<()> {
        eventually("a state to be taken", PATIENCE, async || {
            match self.signed(&body(sequence, 0, targets)).await {
                Ok(code) if code.is_empty() => Ok(Some(())),
                Ok(code) if code == "unavailable" => Ok(None),
                Ok(code) => anyhow::bail!("state {sequence}: {code}"),
                // The door opens some time after the process has started.
                Err(error) if error.downcast_ref().is_some_and(reqwest::Error::is_connect) => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await
    }

    async fn standing(&self) -> anyhow::Result<Value> {
        let answer = reqwest::Client::new()
            .get(&self.url)
            .bearer_auth(self.token)
            .send();
        Ok(answer.await?.error_for_status()?.json().await?)
    }
}

/// Whether the keeper shows the source as broken, where people and monitors look.
async fn shown_broken(stack: &Stack, name: &str) -> anyhow::Result<bool> {
    let health = get(stack, "readyz").await?;
    let sources = health["signalSources"].as_array().context("no sources")?;
    let source = sources
        .iter()
        .find(|source| source["name"] == name)
        .context("not shown")?;
    let broken = source["broken"].is_string();
    let metrics = text(stack, "metrics").await?;
    let gauge = format!(
        "keeper_signal_source_broken{{source=\"{name}\"}} {}",
        u8::from(broken)
    );
    anyhow::ensure!(metrics.contains(&gauge), "{gauge} is not in the metrics");
    Ok(broken)
}

async fn mend(stack: &Stack, name: &str) -> anyhow::Result<u16> {
    Ok(post(stack, &format!("v1/signal-sources/{name}/mend"), &json!({}))
        .await?
        .0)
}

#[tokio::test]
async fn a_signed_state_moves_followers_and_what_does_not_fit_stops_the_source() -> anyhow::Result<()> {
    let mut stack = Stack::with(StackOptions {
        keeper: false,
        indexer: false,
        api: false,
        ..StackOptions::default()
    })
    .await?;
    let (first, second) = (register(&stack).await?, register(&stack).await?);
    let port = free_port()?;
    let source = |name: &str, strategy| {
        format!(
            "[[signal_sources]]\nname = \"{name}\"\nstrategy = {strategy}\npublic_key = \"\"\"{PUBLIC_KEY}\"\"\"\n\
             token_env = \"SOURCE_TOKEN\"\nmarkets = [\"{ETH}\"]\n"
        )
    };
    stack.services.keeper_extra = format!(
        "[pace]\npoll_ms = 100\nlook_seconds = 1\n[signal_door]\nlisten = \"127.0.0.1:{port}\"\n{}{}",
        source("alpha", first.id),
        source("beta", second.id)
    );
    let program = || anyhow::Ok(stack.keeper_program()?.environment("SOURCE_TOKEN", TOKEN));
    stack.keeper = Some(program()?.start()?);
    let program = |name: &str, token| Program {
        url: format!("http://127.0.0.1:{port}/v1/sources/{name}"),
        token,
    };
    let (alpha, beta) = (program("alpha", TOKEN), program("beta", TOKEN));
    let account = join(&stack, &first, 1).await?;

    alpha.taken(1, &eth("1.5")).await?;
    on_side(&stack, &first, account, 1).await?;
    // A market that is not named is one the strategy is out of.
    let out = body(2, 0, &json!([]));
    assert_eq!(alpha.signed(&out).await?, "");
    on_side(&stack, &first, account, 0).await?;

    // Who has no token learns and breaks nothing; what is signed but makes no sense uses up no number.
    let stranger = program("alpha", "another-token-of-the-same-length-89");
    assert_eq!(
        stranger.send(&out, "").await?,
        (StatusCode::UNAUTHORIZED, "unauthorised".into())
    );
    assert!(stranger.standing().await.is_err());
    let elsewhere = json!([{ "market": "DOGE-USD", "leverage": "1" }]);
    assert_eq!(alpha.signed(&body(3, 0, &elsewhere)).await?, "unacceptable");
    assert_eq!(
        alpha
            .signed(&body(3, 0, &json!([{ "market": ETH, "leverage": 1 }])))
            .await?,
        "malformed"
    );
    assert!(!shown_broken(&stack, "alpha").await?);
    assert_eq!(alpha.standing().await?, json!({ "sequence": 2, "broken": null }));

    // The same bytes again: somebody stands between.
    assert_eq!(alpha.signed(&out).await?, "tampered");
    assert!(shown_broken(&stack, "alpha").await? && !shown_broken(&stack, "beta").await?);
    assert!(log(&stack)?.contains("a signal source is broken"), "no alarm");
    assert_eq!(alpha.signed(&body(3, 0, &eth("-1"))).await?, "source-broken");

    stack.kill_keeper().await?;
    let restarted = stack.keeper_program()?.environment("SOURCE_TOKEN", TOKEN);
    stack.keeper = Some(restarted.start()?);
    // The other source is not concerned.
    beta.taken(7, &json!([])).await?;
    assert_eq!(
        alpha.signed(&body(3, 0, &eth("-1"))).await?,
        "source-broken",
        "a restart mended it"
    );
    assert!(shown_broken(&stack, "alpha").await?);

    // Mended, it goes on after what was taken: neither restart nor repair lets an old state in.
    assert_eq!(mend(&stack, "nobody").await?, 404);
    assert_eq!(mend(&stack, "beta").await?, 409);
    assert_eq!(mend(&stack, "alpha").await?, 204);
    assert!(!shown_broken(&stack, "alpha").await?);
    assert_eq!(alpha.signed(&body(2, 0, &eth("1.5"))).await?, "tampered");
    assert_eq!(mend(&stack, "alpha").await?, 204);
    alpha.taken(3, &eth("-1")).await?;
    on_side(&stack, &first, account, -1).await?;

    // Another's signature, and one of ours that was held back for more than ten seconds.
    let (state, other) = (body(4, 0, &eth("2")), body(4, 0, &eth("-2")));
    let (status, code) = alpha.send(&state, &ed25519_base64(PRIVATE_KEY, &other)?).await?;
    assert_eq!((status, code.as_str()), (StatusCode::CONFLICT, "tampered"));
    assert_eq!(mend(&stack, "alpha").await?, 204);
    assert_eq!(alpha.signed(&body(4, 12_000, &eth("2"))).await?, "tampered");
    assert_eq!(alpha.standing().await?["sequence"], 3);
    on_side(&stack, &first, account, -1).await?;
    assert!(!log(&stack)?.contains(TOKEN), "a token in the log");
    Ok(())
}
