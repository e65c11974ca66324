//! A login that ends (Deribit's holds 15 minutes on some accounts) is said again before it does, on the same socket.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{sink, stream};
use lockstep_exchanges::error::SignError;
use lockstep_exchanges::health::{Health, Limits};
use lockstep_exchanges::model::{Control, Event, Stream, Venue};
use lockstep_exchanges::protocol::{Environment, Protocol as _};
use lockstep_exchanges::transport::backoff::ConnectLimiter;
use lockstep_exchanges::transport::clock::{LocalClock, VenueClock};
use lockstep_exchanges::transport::feed::{Feed, Lost, Receiver, channel};
use lockstep_exchanges::transport::random::Random;
use lockstep_exchanges::transport::socket::{Connect, Handle, Link, LinkError, Plan, Settings, plan, start};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::script::Script;

const VALID_SECONDS: u64 = 900;

/// A venue that answers logins, all of them or only the first, and notes when they came.
struct Door {
    logins: Arc<Mutex<Vec<Instant>>>,
    answers: usize,
}

#[async_trait]
impl Connect for Door {
    async fn connect(&self, _: &str) -> Result<Link, LinkError> {
        let (answer, answers) = mpsc::unbounded_channel::<Frame>();
        let (logins, most) = (Arc::clone(&self.logins), self.answers);
        let outgoing = sink::unfold((), move |(), frame: Frame| {
            let Frame::Text(text) = frame else {
                return std::future::ready(Ok(()));
            };
            let control = match text.as_str() {
                "login" => {
                    let mut logins = logins.lock().unwrap();
                    logins.push(Instant::now());
                    (logins.len() <= most).then_some(Control::LoggedIn {
                        valid_seconds: Some(VALID_SECONDS),
                    })
                }
                "subscribe" => Some(Control::Subscribed { topic: "a".into() }),
                "beat" => Some(Control::Pong),
                other => panic!("{other}"),
            };
            if let Some(control) = control {
                let events = [Event::Control(control)];
                // A socket that is gone hears nothing.
                let _ = answer.send(Frame::text(serde_json::to_string(&events).unwrap()));
            }
            std::future::ready(Ok(()))
        });
        let incoming = stream::unfold(answers, async |mut answers| {
            let frame = answers.recv().await?;
            Some((Ok(frame), answers))
        });
        Ok(Link {
            outgoing: Box::pin(outgoing),
            incoming: Box::pin(incoming),
        })
    }
}

fn connected(answers: usize) -> (Arc<Mutex<Vec<Instant>>>, Handle, Receiver) {
    let logins: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let connect = Arc::new(Door {
        logins: Arc::clone(&logins),
        answers,
    });
    let script = Script {
        venue: Venue::Deribit,
    };
    let plan = Plan {
        endpoints: script.endpoints(Environment::Main),
        instruments: script.known_instruments(),
        protocol: Arc::new(script),
        streams: vec![Stream::Account],
        index: 0,
        credentials: None,
        keys: None,
        clock: VenueClock::new(Venue::Deribit, LocalClock::start()),
        settings: Settings::default(),
    };
    let (sender, receiver) = channel(8);
    let handle = start(
        plan,
        0,
        connect,
        ConnectLimiter::new(3, Duration::from_secs(1)),
        Health::new(Venue::Deribit, Limits::default()),
        sender,
        Random::seeded(1),
    );
    (logins, handle, receiver)
}

#[tokio::test(start_paused = true)]
async fn a_login_is_said_again_before_it_ends_and_the_socket_stays() {
    let began = Instant::now();
    let (logins, _handle, mut receiver) = connected(usize::MAX);
    let first = receiver.receive().await.unwrap();
    assert!(matches!(first.feed, Feed::Connected { confirmed: true }));
    // Past the end of the first login, and of the second.
    let next = timeout(Duration::from_secs(2 * VALID_SECONDS), receiver.receive()).await;
    assert!(next.is_err(), "{next:?}");
    let times: Vec<u64> = logins
        .lock()
        .unwrap()
        .iter()
        .map(|at| at.duration_since(began).as_secs())
        .collect();
    assert_eq!(times, [0, 720, 1_440]);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_cannot_be_renewed_ends_the_connection_when_it_ends() {
    let began = Instant::now();
    let (_, _handle, mut receiver) = connected(1);
    let first = receiver.receive().await.unwrap();
    assert!(matches!(first.feed, Feed::Connected { confirmed: true }));
    let next = receiver.receive().await.unwrap();
    assert!(
        matches!(
            &next.feed,
            Feed::Lost {
                why: Lost::Session(_)
            }
        ),
        "{next:?}"
    );
    assert_eq!(began.elapsed().as_secs(), VALID_SECONDS);
}

#[tokio::test]
async fn a_stream_that_a_venue_lacks_is_refused_by_name() {
    let protocol = lockstep_exchanges::venues::protocol(Venue::Okx);
    let stream = Stream::User { user: "0xabc".into() };
    let whole = Plan {
        endpoints: protocol.endpoints(Environment::Main),
        instruments: protocol.known_instruments(),
        protocol: Arc::from(protocol),
        streams: vec![stream.clone()],
        index: 0,
        credentials: None,
        keys: None,
        clock: VenueClock::new(Venue::Okx, LocalClock::start()),
        settings: Settings::default(),
    };
    let venue = Venue::Okx;
    assert_eq!(plan(&whole).err(), Some(SignError::NoStream { venue, stream }));
}
