//! What can be said of a signature without asking the chain.
//!
//! Only what the chain would certainly refuse is refused here. What depends on state that the store may be a block behind
//! with (an unknown vault, a missing account) or on a contract's code is left to the keeper, which asks the chain.

use std::collections::HashSet;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolStruct as _;
use lockstep_contracts::bindings::IMirrorEngine;
use lockstep_contracts::digest::{Domains, recover_eoa};
use lockstep_contracts::relay::{Mandate, SignedIntent, SignedMandate};
use lockstep_indexer::model::{self, AccountEvent, PageRequest};

use crate::dto::problem::FieldError;
use crate::dto::scalar::Timestamp;
use crate::error::{ApiError, Kind, Result};
use crate::state::App;

/// One whole USDC: bounds are stored in whole USDC, rounded down, and none may become zero.
const WHOLE_USDC: u64 = 1_000_000;
/// Leverage is stored in steps of this.
const LEVERAGE_STEP: u32 = 100;
const MAX_RATIO_BPS: u32 = 100_000;
const BPS: u16 = 10_000;
/// Longest signature that is passed on.
const MAX_SIGNATURE: usize = 8_192;
/// Most symbols: a vault's markets are a bitmap of 16.
const MAX_MARKETS: usize = 16;
/// Wall clock and chain clock are the same clock when no further apart than this; a local chain's is often not.
const SAME_CLOCK_SECONDS: u64 = 600;

/// Chains on which a wallet may have signed by mistake; used only to say so.
const WELL_KNOWN_CHAINS: [u64; 11] = [
    1, 10, 56, 137, 324, 8_453, 42_161, 43_114, 59_144, 31_337, 11_155_111,
];

/// Unix seconds that have certainly passed on the chain.
async fn chain_time(app: &App) -> Result<u64> {
    let status = app.reader()?.status().await?;
    let wall = u64::try_from(Timestamp::now().millis() / 1_000).unwrap_or(0);
    let chain = status.cursor.map_or(0, |cursor| cursor.time);
    let same_clock = chain <= wall && wall - chain <= SAME_CLOCK_SECONDS;
    Ok(if same_clock { wall } else { chain })
}

/// Collects what is wrong.
struct Wrong {
    prefix: &'static str,
    errors: Vec<FieldError>,
}

impl Wrong {
    const fn new(prefix: &'static str) -> Self {
        Self {
            prefix,
            errors: Vec::new(),
        }
    }

    fn add(&mut self, field: &str, code: &str, detail: impl Into<String>) {
        self.errors.push(FieldError {
            field: format!("{}{field}", self.prefix),
            code: code.to_owned(),
            detail: detail.into(),
        });
    }

    fn root(&mut self, field: &str, code: &str, detail: impl Into<String>) {
        self.errors.push(FieldError {
            field: field.to_owned(),
            code: code.to_owned(),
            detail: detail.into(),
        });
    }

    fn check(self, kind: Kind, detail: &str) -> Result<()> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(ApiError::new(kind).detail(detail).fields(self.errors))
        }
    }
}

const NOTHING_SENT: &str = "Nothing was sent. `errors` says what the chain would refuse.";

/// Checks a mandate.
///
/// # Errors
/// 422 with everything that is wrong, or 409 when the chain has accepted it before.
pub async fn mandate(app: &App, signed: &mut SignedMandate, id: B256) -> Result<()> {
    let now = chain_time(app).await?;
    let mut wrong = Wrong::new("/mandate/");
    bounds(&signed.mandate, &mut wrong);
    if signed.mandate.expiry <= now {
        wrong.add("expiry", "expired", "This moment has passed.");
    }
    if signed.mandate.deposit > 0 && signed.permit_deadline < U256::from(now) {
        wrong.root("/permitDeadline", "expired", "This moment has passed.");
    }
    let vault = signed.mandate.strategy;
    // A vault the store does not know may be a block old: the keeper asks the chain.
    if let Some(strategy) = strategy_of(app, vault).await? {
        let listed: HashSet<&str> = strategy
            .markets
            .iter()
            .map(|market| market.symbol.as_str())
            .collect();
        for (position, symbol) in signed.mandate.allowed_markets.iter().enumerate() {
            if !listed.contains(symbol.as_str()) {
                wrong.add(
                    &format!("allowedMarkets/{position}"),
                    "unknown-market",
                    format!("The strategy does not trade {symbol:?}."),
                );
            }
        }
    }
    let same = signed.clone();
    let follower = signed.mandate.follower;
    signature(app, follower, id, &mut signed.signature, &mut wrong, |domains| {
        domains.mandate(&same)
    });
    // The other of the two ways to sign a mandate is an easy mistake to make.
    if recover_eoa(id, &signed.signature) != Some(follower) {
        let other = if signed.mandate.deposit == 0 {
            app.domains
                .funded(&signed.mandate, signed.permit_nonce, signed.permit_deadline)
        } else {
            app.domains.update(&signed.mandate)
        };
        if recover_eoa(other, &signed.signature) == Some(follower) {
            wrong.root(
                "/signature",
                "wrong-domain",
                "A mandate with a deposit is signed as the witness of a Permit2 transfer, one without in Lockstep's domain.",
            );
        }
    }
    wrong.check(Kind::MandateInvalid, NOTHING_SENT)?;
    not_replayed(app, &signed.mandate).await
}

/// The ranges that `StrategyVault.acceptMandate` enforces.
fn bounds(mandate: &Mandate, wrong: &mut Wrong) {
    match mandate.mode {
        0 if mandate.ratio_bps == 0 || mandate.ratio_bps > MAX_RATIO_BPS => {
            wrong.add(
                "ratioBps",
                "out-of-range",
                "Pro-rata needs a ratio of 1 to 100000 bps.",
            );
        }
        1 if mandate.fixed_notional < WHOLE_USDC => {
            wrong.add(
                "fixedNotional",
                "out-of-range",
                "Fixed needs a notional of at least 1 USDC (1000000).",
            );
        }
        0 | 1 => {}
        _ => wrong.add(
            "mode",
            "unsupported-mode",
            "Only pro-rata (0) and fixed (1) are taken yet.",
        ),
    }
    if mandate.max_leverage_bps < LEVERAGE_STEP {
        wrong.add(
            "maxLeverageBps",
            "out-of-range",
            "At least 100 bps (0.01x): it is stored in steps of 100.",
        );
    }
    if mandate.max_position_notional < WHOLE_USDC {
        wrong.add(
            "maxPositionNotional",
            "out-of-range",
            "At least 1 USDC (1000000).",
        );
    }
    if mandate.max_daily_turnover < WHOLE_USDC {
        wrong.add("maxDailyTurnover", "out-of-range", "At least 1 USDC (1000000).");
    }
    if mandate.max_slippage_bps > BPS {
        wrong.add("maxSlippageBps", "out-of-range", "At most 10000 bps.");
    }
    if mandate.stop_loss_bps >= BPS {
        wrong.add("stopLossBps", "out-of-range", "Below 10000 bps; 0 is none.");
    }
    if mandate.allowed_markets.is_empty() {
        wrong.add("allowedMarkets", "out-of-range", "At least one market.");
    } else if mandate.allowed_markets.len() > MAX_MARKETS {
        wrong.add("allowedMarkets", "out-of-range", "At most 16 markets.");
    }
    if mandate.follower.is_zero() {
        wrong.add("follower", "out-of-range", "The zero address cannot follow.");
    }
}

/// Checks an intent.
///
/// # Errors
/// 422 with everything that is wrong.
pub async fn intent(app: &App, signed: &mut SignedIntent, id: B256) -> Result<()> {
    let now = chain_time(app).await?;
    let mut wrong = Wrong::new("/intent/");
    let intent = signed.intent.clone();
    if intent.deadline() < U256::from(now) {
        wrong.add("deadline", "expired", "This moment has passed.");
    }
    if let lockstep_contracts::relay::Intent::Withdraw { amount, .. } = &intent
        && amount.is_zero()
    {
        wrong.add(
            "amount",
            "out-of-range",
            "More than nothing; the largest uint256 is all that is free.",
        );
    }
    signature(
        app,
        intent.follower(),
        id,
        &mut signed.signature,
        &mut wrong,
        |domains| domains.intent(&intent),
    );
    wrong.check(Kind::IntentInvalid, NOTHING_SENT)
}

async fn strategy_of(app: &App, vault: Address) -> Result<Option<model::Strategy>> {
    match app.reader()?.strategy_of(vault).await? {
        Some(id) => Ok(app.reader()?.strategy(id, model::Window::All).await?),
        None => Ok(None),
    }
}

/// Judges the signature as far as that is possible here, and mends the one thing that some hardware wallets get wrong:
/// v written as 0 or 1.
///
/// A signature that recovers to someone else proves nothing: the follower may be a contract whose owner signed. It is
/// refused only where it proves a mistake, because it *is* the follower's, for another chain.
fn signature(
    app: &App,
    follower: Address,
    id: B256,
    signature: &mut Bytes,
    wrong: &mut Wrong,
    digest: impl Fn(&Domains) -> B256,
) {
    if signature.len() > MAX_SIGNATURE {
        wrong.root(
            "/signature",
            "too-long",
            format!("At most {MAX_SIGNATURE} bytes."),
        );
        return;
    }
    if let Some(mended) = with_canonical_v(signature)
        && recover_eoa(id, &mended) == Some(follower)
    {
        *signature = mended;
    }
    if recover_eoa(id, signature) == Some(follower) {
        return;
    }
    let d = &app.deployment;
    let elsewhere = WELL_KNOWN_CHAINS
        .into_iter()
        .filter(|chain| *chain != d.chain_id)
        .find(|chain| {
            let domains = Domains::new(*chain, d.engine, d.permit2, d.usdc);
            recover_eoa(digest(&domains), signature) == Some(follower)
        });
    if let Some(chain) = elsewhere {
        wrong.root(
            "/signature",
            "wrong-chain",
            format!(
                "This was signed for chain {chain}; this deployment is on chain {}. Switch the wallet.",
                d.chain_id
            ),
        );
    }
}

/// The signature with v = 27 or 28 when it had 0 or 1.
#[must_use]
pub fn with_canonical_v(signature: &Bytes) -> Option<Bytes> {
    if signature.len() != 65 || !matches!(signature.last(), Some(0 | 1)) {
        return None;
    }
    let mut bytes = signature.to_vec();
    let v = bytes.last_mut()?;
    *v = v.checked_add(27)?;
    Some(bytes.into())
}

/// Refuses a mandate that the chain has accepted before, by its struct hash.
async fn not_replayed(app: &App, mandate: &Mandate) -> Result<()> {
    let hash = IMirrorEngine::Mandate::from(mandate).eip712_hash_struct();
    let request = PageRequest {
        after: None,
        limit: Some(PageRequest::MAX),
    };
    let entries = app.reader()?.account_entries(mandate.follower, &request).await?;
    let accepted = entries.items.iter().find(|entry| {
        entry.vault == mandate.strategy && entry.event == AccountEvent::MandateAccepted { mandate_hash: hash }
    });
    match accepted {
        None => Ok(()),
        Some(entry) => Err(ApiError::new(Kind::AlreadyAccepted).detail(format!(
            "This very mandate was accepted in transaction {} (block {}). A new one needs a new nonce.",
            entry.origin.tx_hash, entry.origin.block
        ))),
    }
}
