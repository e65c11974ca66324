//! Login with a wallet (EIP-4361), and what only the logged-in address sees.

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, HOST, ORIGIN, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use url::Url;

use super::{AnyProblem, accounts};
use crate::dto::problem::Problem;
use crate::dto::relay::RelayRecord;
use crate::dto::scalar::Timestamp;
use crate::dto::session::{Label, LabelledAccount, Me, NewSession, Session, SessionNonce, SessionRequest};
use crate::error::{ApiError, Kind, Result};
use crate::session::siwe::Message;
use crate::session::wallet::Verdict;
use crate::session::{self, Identity, NONCE_LIFE, STATEMENT};
use crate::state::App;
use crate::{extract, relay};

/// Clocks may differ by this, milliseconds.
const CLOCK_SKEW_MS: i64 = 60_000;
/// Longest message.
const MAX_MESSAGE: usize = 4_096;
/// Longest signature.
const MAX_SIGNATURE: usize = 8_192;
/// Longest label, characters.
const MAX_LABEL: usize = 64;
/// Most relayed items whose state is asked anew for one answer.
const MAX_REFRESH: usize = 20;

/// Who is logged in. Refuses when nobody is.
pub struct Caller(pub Identity);

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let identity = token(&parts.headers).and_then(|token| app.sessions.judge(token, Timestamp::now()));
        match identity {
            Some(identity) if !app.private.is_spent(&identity.id).await? => Ok(Self(identity)),
            _ => Err(ApiError::new(Kind::Unauthenticated)
                .detail("Log in by POST /api/v1/session; the session is a cookie or a bearer token.")),
        }
    }
}

/// The bearer token, or the cookie.
fn token(headers: &HeaderMap) -> Option<&str> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(bearer) = text(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer ")) {
        return Some(bearer);
    }
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(session::COOKIE)?.strip_prefix('='))
}

/// Host and port as EIP-4361's domain has them.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn no_store<T: IntoResponse>(body: T) -> Response {
    ([(CACHE_CONTROL, "no-store")], body).into_response()
}

/// What to put into the login message.
#[utoipa::path(
    get,
    path = "/api/v1/session/nonce",
    operation_id = "getSessionNonce",
    tag = "session",
    responses((status = 200, description = "Use once, soon.", body = SessionNonce), AnyProblem),
)]
pub async fn nonce(State(app): State<App>, headers: HeaderMap) -> Result<Response> {
    let now = Timestamp::now();
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let asked = text(ORIGIN)
        .and_then(|origin| Url::parse(origin).ok())
        .map(|url| authority(&url));
    let asked = asked.or_else(|| text(HOST).map(ToOwned::to_owned));
    let origins = app.sessions.origins();
    let origin = origins
        .iter()
        .find(|origin| asked.as_deref() == Some(authority(origin).as_str()))
        .or_else(|| origins.first())
        .ok_or_else(|| ApiError::new(Kind::Internal))?;
    let nonce = app.sessions.nonce(now).ok_or_else(|| {
        tracing::error!("no randomness for a nonce");
        ApiError::new(Kind::Internal)
    })?;
    let life = i64::try_from(NONCE_LIFE.as_millis()).unwrap_or(i64::MAX);
    Ok(no_store(Json(SessionNonce {
        nonce,
        domain: authority(origin),
        uri: origin.origin().ascii_serialization(),
        statement: STATEMENT.to_owned(),
        version: "1".to_owned(),
        chain_id: app.deployment.chain_id,
        issued_at: now,
        expiration_time: Timestamp::from_millis(now.millis().saturating_add(life)),
    })))
}

/// Logs in.
#[utoipa::path(
    post,
    path = "/api/v1/session",
    operation_id = "createSession",
    tag = "session",
    request_body = SessionRequest,
    responses(
        (status = 201, description = "Logged in; the cookie is set.", body = NewSession, headers(
            ("set-cookie" = String, description = "The session, for browsers."),
        )),
        (status = 401, description = "The message or its signature was refused: `errors` says why.", body = Problem, content_type = "application/problem+json"),
        AnyProblem,
    ),
)]
pub async fn create(
    State(app): State<App>,
    extract::Json(request): extract::Json<SessionRequest>,
) -> Result<Response> {
    let outcome = log_in(&app, &request).await;
    let told = outcome.as_ref().map_or_else(ApiError::code, |_| "ok");
    metrics::counter!("lockstep_api_logins_total", "outcome" => told).increment(1);
    outcome
}

async fn log_in(app: &App, request: &SessionRequest) -> Result<Response> {
    let refuse =
        |field: &str, code: &str, detail: &str| ApiError::new(Kind::LoginRefused).field(field, code, detail);
    if request.message.len() > MAX_MESSAGE {
        return Err(refuse("/message", "too-long", "At most 4096 bytes."));
    }
    if request.signature.len() > MAX_SIGNATURE {
        return Err(refuse("/signature", "too-long", "At most 8192 bytes."));
    }
    let message = Message::parse(&request.message).map_err(|error| {
        refuse(
            "/message",
            "not-eip-4361",
            &format!("Not an EIP-4361 message: {error}."),
        )
    })?;
    let now = Timestamp::now();
    let origin = app.sessions.origins().iter().find(|origin| {
        authority(origin) == message.domain
            && message
                .scheme
                .as_deref()
                .is_none_or(|scheme| scheme == origin.scheme())
    });
    let Some(origin) = origin else {
        return Err(refuse(
            "/message",
            "wrong-domain",
            "The message is for another site: do not sign messages of sites that pretend to be this one.",
        ));
    };
    if !Url::parse(&message.uri).is_ok_and(|uri| uri.origin() == origin.origin()) {
        return Err(refuse(
            "/message",
            "wrong-uri",
            "The message's URI is not of this site.",
        ));
    }
    if message.chain_id != app.deployment.chain_id {
        let detail = format!(
            "The message is for chain {}, not {}.",
            message.chain_id, app.deployment.chain_id
        );
        return Err(refuse("/message", "wrong-chain", &detail));
    }
    if message.expiration_time.is_some_and(|at| at <= now.millis()) {
        return Err(refuse(
            "/message",
            "expired",
            "The message has expired; ask for a new nonce.",
        ));
    }
    let early = |at: i64| at > now.millis().saturating_add(CLOCK_SKEW_MS);
    if early(message.issued_at) || message.not_before.is_some_and(early) {
        return Err(refuse(
            "/message",
            "not-yet",
            "The message is from the future: is the clock right?",
        ));
    }
    let Some(nonce_expires) = app.sessions.judge_nonce(&message.nonce, now) else {
        return Err(refuse(
            "/message",
            "bad-nonce",
            "The nonce is not ours or too old; ask for a new one.",
        ));
    };
    match app
        .wallets
        .judge(message.address, &request.message, &request.signature)
        .await
    {
        Verdict::Valid => {}
        Verdict::Invalid => {
            return Err(refuse(
                "/signature",
                "bad-signature",
                "The signature is not this address's.",
            ));
        }
        Verdict::Undecided if app.config.rpc_url.is_none() => {
            return Err(refuse(
                "/signature",
                "bad-signature",
                "The signature is not of this address's key, and contract accounts cannot log in here.",
            ));
        }
        Verdict::Undecided => {
            return Err(ApiError::new(Kind::ChainUnavailable)
                .detail("The signature is not of this address's key; whether its contract takes it cannot be asked now.")
                .retry_after(5));
        }
    }
    // Last, so that only a valid signature takes room.
    if !app.private.spend(&message.nonce, nonce_expires, now).await? {
        return Err(refuse(
            "/message",
            "nonce-used",
            "This message has been used; ask for a new nonce.",
        ));
    }
    let (token, identity) = app.sessions.issue(message.address, now).ok_or_else(|| {
        tracing::error!("no randomness for a session");
        ApiError::new(Kind::Internal)
    })?;
    let secure = origin.scheme() == "https";
    let seconds = identity.expires.millis().saturating_sub(now.millis()) / 1_000;
    let cookie = cookie(&token, seconds, secure);
    let body = NewSession {
        address: identity.address.into(),
        expires_at: identity.expires,
        token,
    };
    let mut response = no_store((StatusCode::CREATED, Json(body)));
    response.headers_mut().insert(SET_COOKIE, cookie?);
    Ok(response)
}

/// Not readable by scripts, not sent with requests that other sites start, not sent to anything but the API.
fn cookie(value: &str, seconds: i64, secure: bool) -> Result<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!(
        "{}={value}; Path=/api; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}",
        session::COOKIE
    );
    HeaderValue::try_from(text).map_err(|_| ApiError::new(Kind::Internal))
}

/// Who is logged in.
#[utoipa::path(
    get,
    path = "/api/v1/session",
    operation_id = "getSession",
    tag = "session",
    security(("cookie" = []), ("bearer" = [])),
    responses(
        (status = 200, description = "The session.", body = Session),
        (status = 401, description = "Nobody.", body = Problem, content_type = "application/problem+json"),
        AnyProblem,
    ),
)]
pub async fn get(Caller(identity): Caller) -> Response {
    no_store(Json(Session {
        address: identity.address.into(),
        expires_at: identity.expires,
    }))
}

/// Logs out.
#[utoipa::path(
    delete,
    path = "/api/v1/session",
    operation_id = "deleteSession",
    tag = "session",
    security(("cookie" = []), ("bearer" = [])),
    responses((status = 204, description = "Nobody is logged in any more."), AnyProblem),
)]
pub async fn delete(State(app): State<App>, caller: Result<Caller>) -> Result<Response> {
    if let Ok(Caller(identity)) = caller {
        app.private
            .spend(&identity.id, identity.expires, Timestamp::now())
            .await?;
    }
    let mut response = no_store(StatusCode::NO_CONTENT);
    response.headers_mut().insert(SET_COOKIE, cookie("", 0, false)?);
    Ok(response)
}

/// What only the logged-in address sees.
#[utoipa::path(
    get,
    path = "/api/v1/me",
    operation_id = "getMe",
    tag = "session",
    security(("cookie" = []), ("bearer" = [])),
    responses(
        (status = 200, description = "Accounts with labels, and the relay history.", body = Me),
        (status = 401, description = "Nobody is logged in.", body = Problem, content_type = "application/problem+json"),
        AnyProblem,
    ),
)]
pub async fn me(State(app): State<App>, Caller(identity): Caller) -> Result<Response> {
    let labels = app.private.labels(identity.address).await?;
    let accounts = accounts::with_results(&app, identity.address).await?;
    Ok(no_store(Json(Me {
        address: identity.address.into(),
        accounts: accounts
            .into_iter()
            .map(|account| LabelledAccount {
                label: labels.get(&account.account.vault.0).cloned(),
                account,
            })
            .collect(),
        relays: history(&app, &identity).await?,
    })))
}

/// What was relayed, with the state of what is under way asked anew.
async fn history(app: &App, identity: &Identity) -> Result<Vec<RelayRecord>> {
    let stored = app.private.relays_of(identity.address).await?;
    let open = stored
        .iter()
        .filter(|(_, settled)| !settled)
        .take(MAX_REFRESH)
        .map(|(record, _)| record.id.0);
    let asked = join_all(open.map(async |id| (id, relay::status(app, id).await))).await;
    let mut records: Vec<RelayRecord> = stored.into_iter().map(|(record, _)| record).collect();
    for (id, answer) in asked {
        if let (Ok(status), Some(record)) = (answer, records.iter_mut().find(|record| record.id.0 == id)) {
            record.last = status.state;
        }
    }
    Ok(records)
}

/// Names one's own account.
#[utoipa::path(
    put,
    path = "/api/v1/me/labels/{vault}",
    operation_id = "setLabel",
    tag = "session",
    params(("vault" = String, Path, description = "Strategy vault of the account.", pattern = "^0x[0-9a-fA-F]{40}$")),
    request_body = Label,
    security(("cookie" = []), ("bearer" = [])),
    responses(
        (status = 200, description = "The label.", body = Label),
        (status = 401, description = "Nobody is logged in.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No account in this vault.", body = Problem, content_type = "application/problem+json"),
        AnyProblem,
    ),
)]
pub async fn label(
    State(app): State<App>,
    Caller(identity): Caller,
    Path(vault): Path<String>,
    extract::Json(label): extract::Json<Label>,
) -> Result<Response> {
    let vault = extract::address("vault", &vault)?;
    let text = label.label.trim();
    if text.chars().count() > MAX_LABEL || text.chars().any(char::is_control) {
        return Err(ApiError::new(Kind::InvalidBody).field(
            "/label",
            "out-of-range",
            format!("At most {MAX_LABEL} characters, none of them control characters."),
        ));
    }
    let accounts = app.reader()?.accounts_of(identity.address).await?;
    if !accounts.iter().any(|account| account.vault == vault) {
        return Err(ApiError::new(Kind::AccountNotFound)
            .detail(format!("{} has no account in {vault}.", identity.address)));
    }
    app.private.set_label(identity.address, vault, text).await?;
    Ok(no_store(Json(Label {
        label: text.to_owned(),
    })))
}
