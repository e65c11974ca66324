//! From a follower's signature to the keeper: check what can be checked here, hand it over, tell what became of it.
//!
//! Three outcomes are kept apart, because confusing them costs money: the keeper *has* it, it certainly has it *not*,
//! and nobody knows yet. The third is never told as a refusal; it is `unknown`, and can be asked by id.

pub mod check;
pub mod door;

use alloy::primitives::{Address, B256};
use lockstep_contracts::relay::{Intent, SignedIntent, SignedMandate};

use crate::dto::relay::{RelayKind, RelayState, RelayStatus};
use crate::dto::scalar::Timestamp;
use crate::error::{ApiError, Kind, Result};
use crate::private::kind_text;
use crate::state::App;
use door::{Answer, Door};

/// How long after an unanswered hand-over the keeper may still be busy with it, milliseconds.
const IN_FLIGHT_MS: i64 = 60_000;

const UNKNOWN: &str = "The keeper did not answer in time and may or may not have it. Ask again by id; sending the same \
                       signature again is safe.";

fn door(app: &App) -> Result<&Door> {
    app.door.as_ref().ok_or_else(|| {
        ApiError::new(Kind::RelayDisabled).detail(
            "This API has no keeper. Your signature can be sent to the MirrorEngine contract by anyone, also by yourself.",
        )
    })
}

/// Relays a mandate.
///
/// # Errors
/// A problem that says what is wrong with it, or that the keeper certainly does not have it.
pub async fn mandate(app: &App, mut signed: SignedMandate) -> Result<RelayStatus> {
    let kind = if signed.mandate.deposit == 0 {
        RelayKind::Update
    } else {
        RelayKind::Mandate
    };
    let door = door(app)?;
    let id = app.domains.mandate(&signed);
    if let Err(error) = check::mandate(app, &mut signed, id).await {
        // What the chain has accepted, the keeper may have brought there: then this is only asking again.
        if error.kind() == Kind::AlreadyAccepted
            && let Answer::Status(status) = door.status(id).await
        {
            return Ok(status.into());
        }
        refused(kind, &error);
        return Err(error);
    }
    let (follower, vault) = (signed.mandate.follower, signed.mandate.strategy);
    hand_over(app, id, follower, vault, kind, door.mandate(&signed)).await
}

/// Relays a stop or a withdrawal.
///
/// # Errors
/// A problem that says what is wrong with it, or that the keeper certainly does not have it.
pub async fn intent(app: &App, mut signed: SignedIntent) -> Result<RelayStatus> {
    let kind = match signed.intent {
        Intent::Stop { .. } => RelayKind::Stop,
        Intent::Withdraw { .. } => RelayKind::Withdraw,
    };
    let door = door(app)?;
    let id = app.domains.signed_intent(&signed);
    check::intent(app, &mut signed, id)
        .await
        .inspect_err(|error| refused(kind, error))?;
    let (follower, vault) = (signed.intent.follower(), signed.intent.strategy());
    hand_over(app, id, follower, vault, kind, door.intent(&signed)).await
}

fn refused(kind: RelayKind, error: &ApiError) {
    count(kind, error.code());
}

fn count(kind: RelayKind, outcome: &'static str) {
    metrics::counter!("lockstep_api_relay_total", "kind" => kind_text(kind), "outcome" => outcome)
        .increment(1);
}

async fn hand_over(
    app: &App,
    id: B256,
    follower: Address,
    vault: Address,
    kind: RelayKind,
    call: impl Future<Output = Answer>,
) -> Result<RelayStatus> {
    // Written down first: if this process dies in the next line, the follower still finds the id.
    app.private
        .relay_received(id, follower, kind, vault, Timestamp::now())
        .await?;
    match call.await {
        Answer::Status(status) if status.id == id => {
            count(kind, "taken");
            let status = RelayStatus::from(status);
            app.private.relay_state(id, &status.state).await?;
            Ok(status)
        }
        Answer::Status(status) => {
            tracing::error!(ours = %id, keepers = %status.id, "keeper and API disagree on the id of a signature");
            count(kind, "unknown");
            Ok(unknown(id))
        }
        Answer::NotFound => {
            tracing::error!("the keeper's door has no such path: are the versions the same?");
            not_sent(app, id, kind, ApiError::new(Kind::KeeperUnavailable)).await
        }
        Answer::Refused { code, detail } => {
            let error = ApiError::new(Kind::RelayRefused)
                .detail(detail.clone())
                .field("", &code, detail);
            not_sent(app, id, kind, error).await
        }
        Answer::Unavailable { retry_after } => {
            let error = ApiError::new(Kind::KeeperUnavailable)
                .detail("Nothing was sent. Try again; you can also send your signature to the MirrorEngine contract yourself.")
                .retry_after(retry_after);
            not_sent(app, id, kind, error).await
        }
        Answer::Unknown => {
            count(kind, "unknown");
            Ok(unknown(id))
        }
    }
}

async fn not_sent(app: &App, id: B256, kind: RelayKind, error: ApiError) -> Result<RelayStatus> {
    count(kind, error.code());
    app.private.relay_not_sent(id).await?;
    Err(error)
}

fn unknown(id: B256) -> RelayStatus {
    RelayStatus {
        id: id.into(),
        state: RelayState::Unknown {
            detail: UNKNOWN.to_owned(),
        },
    }
}

/// Where something relayed stands.
///
/// # Errors
/// 404 when nobody knows the id, 503 when the keeper cannot be asked and nothing is known here either.
pub async fn status(app: &App, id: B256) -> Result<RelayStatus> {
    let received = app.private.relay_received_at(id).await?;
    match door(app)?.status(id).await {
        Answer::Status(status) => {
            let status = RelayStatus::from(status);
            app.private.relay_state(id, &status.state).await?;
            Ok(status)
        }
        Answer::NotFound | Answer::Refused { .. } => match received {
            Some(at) if Timestamp::now().millis() - at.millis() < IN_FLIGHT_MS => Ok(unknown(id)),
            Some(_) => Err(ApiError::new(Kind::RelayNotFound).detail(
                "The keeper does not have it: it did not arrive. Sending the same signature again is safe.",
            )),
            None => Err(ApiError::new(Kind::RelayNotFound)),
        },
        Answer::Unavailable { .. } | Answer::Unknown if received.is_some() => Ok(unknown(id)),
        Answer::Unavailable { retry_after } => {
            Err(ApiError::new(Kind::KeeperUnavailable).retry_after(retry_after))
        }
        Answer::Unknown => Err(ApiError::new(Kind::KeeperUnavailable).retry_after(2)),
    }
}
