//! A keeper's door that does what a test wants of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy::primitives::B256;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use lockstep_contracts::digest::Domains;
use lockstep_contracts::relay::{SignedIntent, SignedMandate};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::world::deployment;

pub const TOKEN: &str = "door-token";

/// What the door does with what is handed in.
#[derive(Debug, Clone)]
pub enum Mood {
    /// Takes it.
    Good,
    /// Takes it, and then answers too late.
    Slow(Duration),
    /// Answers this.
    Says(StatusCode, String),
    /// Takes it and names another id.
    OtherId,
}

#[derive(Debug)]
struct Inner {
    mood: Mood,
    /// What was handed in: id and the body.
    taken: Vec<(B256, Value)>,
    /// What a question is answered with instead of `queued`.
    state: Value,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct FakeDoor {
    pub url: String,
    inner: Arc<Mutex<Inner>>,
}

impl FakeDoor {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inner = Inner {
            mood: Mood::Good,
            taken: Vec::new(),
            state: json!({ "state": "queued" }),
        };
        let door = Self {
            url,
            inner: Arc::new(Mutex::new(inner)),
        };
        let router = Router::new()
            .route("/v1/relay/mandate", post(mandate))
            .route("/v1/relay/intent", post(intent))
            .route("/v1/relay/{id}", get(status))
            .route("/readyz", get(ready))
            .with_state(door.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        door
    }

    pub fn config(&self) -> Value {
        json!({ "keeper": { "url": self.url, "token": TOKEN, "timeout_ms": 300 } })
    }

    pub fn mood(&self, mood: Mood) {
        self.inner.lock().unwrap().mood = mood;
    }

    pub fn state(&self, state: Value) {
        self.inner.lock().unwrap().state = state;
    }

    pub fn taken(&self) -> Vec<(B256, Value)> {
        self.inner.lock().unwrap().taken.clone()
    }

    pub fn forget(&self) {
        self.inner.lock().unwrap().taken.clear();
    }

    async fn hand_in(&self, id: B256, body: &[u8]) -> Response {
        let (mood, state) = {
            let mut inner = self.inner.lock().unwrap();
            if !matches!(inner.mood, Mood::Says(..)) {
                inner.taken.push((id, serde_json::from_slice(body).unwrap()));
            }
            (inner.mood.clone(), inner.state.clone())
        };
        match mood {
            Mood::Good => (StatusCode::ACCEPTED, told(id, state)).into_response(),
            Mood::Slow(delay) => {
                tokio::time::sleep(delay).await;
                (StatusCode::ACCEPTED, told(id, state)).into_response()
            }
            Mood::Says(status, body) => (status, body).into_response(),
            Mood::OtherId => (StatusCode::ACCEPTED, told(B256::repeat_byte(0xff), state)).into_response(),
        }
    }
}

fn told(id: B256, state: Value) -> axum::Json<Value> {
    let mut told = state;
    told["id"] = json!(id);
    axum::Json(told)
}

fn authorized(headers: &HeaderMap) {
    assert_eq!(headers.get("authorization").unwrap(), &format!("Bearer {TOKEN}"));
}

async fn mandate(State(door): State<FakeDoor>, headers: HeaderMap, body: Bytes) -> Response {
    authorized(&headers);
    let signed: SignedMandate = serde_json::from_slice(&body).unwrap();
    door.hand_in(Domains::from(&deployment()).mandate(&signed), &body)
        .await
}

async fn intent(State(door): State<FakeDoor>, headers: HeaderMap, body: Bytes) -> Response {
    authorized(&headers);
    let signed: SignedIntent = serde_json::from_slice(&body).unwrap();
    door.hand_in(Domains::from(&deployment()).signed_intent(&signed), &body)
        .await
}

async fn status(State(door): State<FakeDoor>, headers: HeaderMap, Path(id): Path<B256>) -> Response {
    authorized(&headers);
    let inner = door.inner.lock().unwrap();
    if inner.taken.iter().any(|(taken, _)| *taken == id) {
        told(id, inner.state.clone()).into_response()
    } else {
        let body = json!({ "code": "unknown-item", "detail": "nothing with this id" });
        (StatusCode::NOT_FOUND, axum::Json(body)).into_response()
    }
}

async fn ready(State(door): State<FakeDoor>) -> Response {
    match &door.inner.lock().unwrap().mood {
        Mood::Says(status, body) => (*status, body.clone()).into_response(),
        _ => "{}".into_response(),
    }
}
