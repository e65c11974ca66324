//! One connection.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::hub::{Seat, encode};
use super::topic::Topic;
use crate::dto::scalar::Timestamp;
use crate::dto::stream::{StreamMessage, StreamRequest};
use crate::state::App;

/// Largest message of a client.
pub const MAX_MESSAGE: usize = 16 * 1024;

/// A client that takes longer than this for one message is gone.
const SEND_PATIENCE: Duration = Duration::from_secs(30);

/// Silent heartbeats after which a client is gone.
const MISSED_HEARTBEATS: u32 = 3;

/// Serves a connection until it ends.
pub async fn serve(app: App, mut socket: WebSocket, mut seat: Seat) {
    let closing = talk(&app, &mut socket, &mut seat).await;
    if let Some(frame) = closing {
        // The client may be gone already; then there is nobody to tell.
        let _gone = timeout(SEND_PATIENCE, socket.send(Message::Close(Some(frame)))).await;
    }
}

/// Why a connection cannot go on.
struct Gone;

async fn send(socket: &mut WebSocket, message: &StreamMessage) -> Result<(), Gone> {
    match encode(message) {
        Some(text) => put(socket, Message::Text(text)).await,
        None => Ok(()),
    }
}

async fn put(socket: &mut WebSocket, message: Message) -> Result<(), Gone> {
    match timeout(SEND_PATIENCE, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Gone),
    }
}

fn heartbeat(app: &App) -> StreamMessage {
    StreamMessage::Heartbeat {
        time: Timestamp::now(),
        head: app.hub.head(),
    }
}

/// The conversation; a frame when we end it.
async fn talk(app: &App, socket: &mut WebSocket, seat: &mut Seat) -> Option<CloseFrame> {
    let seconds = app.config.stream.heartbeat_seconds.max(1);
    let hello = StreamMessage::Hello {
        heartbeat_seconds: seconds,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    send(socket, &hello).await.ok()?;
    let period = Duration::from_secs(seconds);
    let mut beat = interval_at(Instant::now() + period, period);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();

    loop {
        if let Some(dropped) = seat.lag() {
            send(socket, &StreamMessage::Lagged { dropped }).await.ok()?;
        }
        tokio::select! {
            () = app.stop.cancelled() => {
                return Some(CloseFrame { code: close_code::AWAY, reason: "the server stops; connect again".into() });
            }
            message = seat.queue.recv() => put(socket, Message::Text(message?)).await.ok()?,
            _ = beat.tick() => {
                if heard.elapsed() > period * MISSED_HEARTBEATS {
                    return Some(CloseFrame { code: close_code::POLICY, reason: "no sign of life".into() });
                }
                send(socket, &heartbeat(app)).await.ok()?;
                put(socket, Message::Ping(Vec::new().into())).await.ok()?;
            }
            received = socket.recv() => {
                heard = Instant::now();
                match received? {
                    Ok(Message::Text(text)) => answer(app, socket, seat, &text).await.ok()?,
                    Ok(Message::Binary(_)) => {
                        return Some(CloseFrame { code: close_code::UNSUPPORTED, reason: "send text".into() });
                    }
                    Ok(Message::Ping(_) | Message::Pong(_)) => {}
                    Ok(Message::Close(_)) | Err(_) => return None,
                }
            }
        }
    }
}

async fn answer(app: &App, socket: &mut WebSocket, seat: &Seat, text: &str) -> Result<(), Gone> {
    let refused = |code: &str, detail: String| StreamMessage::Error {
        code: code.to_owned(),
        detail,
    };
    let told = match serde_json::from_str(text) {
        Err(error) => refused("invalid-message", error.to_string()),
        Ok(StreamRequest::Ping) => heartbeat(app),
        Ok(StreamRequest::Subscribe { topics }) => match parse(&topics) {
            Ok(topics) => match seat.subscribe(&topics) {
                Ok(topics) => StreamMessage::Subscribed {
                    topics: names(&topics),
                },
                Err(detail) => refused("too-many-topics", detail),
            },
            Err(detail) => refused("unknown-topic", detail),
        },
        Ok(StreamRequest::Unsubscribe { topics }) => match parse(&topics) {
            Ok(topics) => StreamMessage::Subscribed {
                topics: names(&seat.unsubscribe(&topics)),
            },
            Err(detail) => refused("unknown-topic", detail),
        },
    };
    send(socket, &told).await
}

fn parse(topics: &[String]) -> Result<Vec<Topic>, String> {
    topics.iter().map(|topic| topic.parse()).collect()
}

fn names(topics: &[Topic]) -> Vec<String> {
    topics.iter().map(ToString::to_string).collect()
}
