use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaPair, KeySize};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PSS_SHA256};

use super::*;

const NOW_MS: u64 = 1_700_000_000_000;
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[derive(Default)]
struct Taken {
    states: Mutex<Vec<TargetState>>,
    alarms: Mutex<Vec<String>>,
    full: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl Sink for Taken {
    async fn take(&self, _source: &str, state: &TargetState) -> Result<(), NotTaken> {
        self.states.lock().unwrap().push(state.clone());
        Ok(())
    }
    async fn alarm(&self, _source: &str, broken: &Broken) -> Result<(), String> {
        self.kept()?;
        self.alarms.lock().unwrap().push(broken.reason.clone());
        Ok(())
    }
    async fn mended(&self, _source: &str, _last: Option<u64>) -> Result<(), String> {
        self.kept()
    }
}

impl Taken {
    fn kept(&self) -> Result<(), String> {
        if self.full.load(std::sync::atomic::Ordering::Relaxed) {
            return Err("the disk is full".to_owned());
        }
        Ok(())
    }
}

fn pem(document: &[u8]) -> String {
    format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(document)
    )
}

fn ed25519() -> (Ed25519KeyPair, SourceKey) {
    let pair = Ed25519KeyPair::generate().unwrap();
    let wrapped = [
        &[
            0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
        ][..],
        pair.public_key().as_ref(),
    ]
    .concat();
    (pair, SourceKey::new(&pem(&wrapped), TOKEN).unwrap())
}

fn door(key: SourceKey) -> (Door, Arc<Taken>) {
    let taken = Arc::new(Taken::default());
    let door = reopened(key, Standing::default(), &taken);
    (door, taken)
}

fn reopened(key: SourceKey, standing: Standing, taken: &Arc<Taken>) -> Door {
    let sources = HashMap::from([("alpha".to_owned(), key)]);
    let standings = HashMap::from([("alpha".to_owned(), standing)]);
    let sink: Arc<dyn Sink> = taken.clone();
    Door::new(sources, standings, sink, || NOW_MS)
}

fn body(sequence: u64, time_ms: u64) -> Vec<u8> {
    format!(
        r#"{{"sequence":{sequence},"time_ms":{time_ms},"targets":[{{"market":"ETH-USD","leverage":"-1.5"}}]}}"#
    )
    .into_bytes()
}

#[tokio::test]
async fn a_signed_state_is_taken_whichever_key_the_source_has() {
    let (pair, key) = ed25519();
    let (door, taken) = door(key);
    let state = body(1, NOW_MS);
    door.post("alpha", TOKEN, pair.sign(&state).as_ref(), &state)
        .await
        .unwrap();
    assert_eq!(
        taken.states.lock().unwrap()[0].targets[0].leverage,
        Decimal::new(-15, 1)
    );

    let pair = RsaPair::generate(KeySize::Rsa2048).unwrap();
    let document = pair.public_key().as_der().unwrap();
    let (door, taken) = super::tests::door(SourceKey::new(&pem(document.as_ref()), TOKEN).unwrap());
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PSS_SHA256, &SystemRandom::new(), &state, &mut signature)
        .unwrap();
    door.post("alpha", TOKEN, &signature, &state).await.unwrap();
    assert_eq!(taken.states.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn without_the_token_nothing_is_learnt_and_nothing_breaks() {
    let (_, key) = ed25519();
    let (door, taken) = door(key);
    assert_eq!(
        door.post("alpha", "wrong", &[], b"x").await,
        Err(Refused::Unauthorised)
    );
    assert_eq!(
        door.post("beta", TOKEN, &[], b"x").await,
        Err(Refused::Unauthorised)
    );
    assert_eq!(door.standing("alpha"), Standing::default());
    assert_eq!(door.asked("alpha", "wrong"), Err(Refused::Unauthorised));
    assert!(taken.alarms.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_does_not_fit_breaks_the_source_until_it_is_mended() {
    let (pair, key) = ed25519();
    for (state, signed, fits) in [
        (body(1, NOW_MS), body(2, NOW_MS), false),
        (body(2, NOW_MS), body(2, NOW_MS), true),
        (body(1, NOW_MS), body(1, NOW_MS), false),
        (body(3, NOW_MS), body(3, NOW_MS), false),
        (body(2, NOW_MS - 10_001), body(2, NOW_MS - 10_001), false),
        (body(2, NOW_MS + 10_000), body(2, NOW_MS + 10_000), true),
    ] {
        let (door, taken) = door(key.clone());
        let first = body(1, NOW_MS);
        door.post("alpha", TOKEN, pair.sign(&first).as_ref(), &first)
            .await
            .unwrap();
        let result = door
            .post("alpha", TOKEN, pair.sign(&signed).as_ref(), &state)
            .await;
        assert_eq!(result.is_ok(), fits, "{result:?}");
        if fits {
            continue;
        }
        assert_eq!(taken.alarms.lock().unwrap().len(), 1);
        let next = body(2, NOW_MS);
        let refused = door.post("alpha", TOKEN, pair.sign(&next).as_ref(), &next).await;
        assert!(matches!(refused, Err(Refused::Broken { .. })));
        door.mend("alpha", false).await.unwrap();
        door.post("alpha", TOKEN, pair.sign(&next).as_ref(), &next)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_door_opened_again_remembers_and_a_mended_source_goes_on_after_what_was_taken() {
    let (pair, key) = ed25519();
    let (_, taken) = door(key.clone());
    let standing = Standing {
        sequence: Some(7),
        broken: None,
    };
    let door = reopened(key.clone(), standing.clone(), &taken);
    let post = async |door: &Door, sequence| {
        let state = body(sequence, NOW_MS);
        door.post("alpha", TOKEN, pair.sign(&state).as_ref(), &state)
            .await
    };
    assert_eq!(
        door.mend("alpha", false).await,
        Err(MendError::NotBroken("alpha".to_owned()))
    );
    assert!(matches!(
        post(&door, 7).await,
        Err(Refused::Tampered(Tampering::Sequence { got: 7, last: 7 }))
    ));

    let door = reopened(key, door.standing("alpha"), &taken);
    assert!(matches!(post(&door, 8).await, Err(Refused::Broken { .. })));
    taken.full.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(
        door.mend("alpha", false).await,
        Err(MendError::NotKept { .. })
    ));
    assert!(matches!(post(&door, 8).await, Err(Refused::Broken { .. })));
    taken.full.store(false, std::sync::atomic::Ordering::Relaxed);
    door.mend("alpha", false).await.unwrap();
    // What was sent while it was broken is left out; what was taken is not taken again.
    post(&door, 12).await.unwrap();
    post(&door, 13).await.unwrap();
    assert!(post(&door, 3).await.is_err());
    door.mend("alpha", true).await.unwrap();
    post(&door, 1).await.unwrap();
    assert_eq!(door.asked("alpha", TOKEN).unwrap().sequence, Some(1));
    assert_eq!(
        door.mend("beta", false).await,
        Err(MendError::Unknown("beta".to_owned()))
    );
}

#[tokio::test]
async fn a_mark_that_could_not_be_kept_is_kept_at_the_next_post() {
    let (_, key) = ed25519();
    let (door, taken) = door(key);
    taken.full.store(true, std::sync::atomic::Ordering::Relaxed);
    let state = body(1, NOW_MS);
    assert!(matches!(
        door.post("alpha", TOKEN, b"none", &state).await,
        Err(Refused::Tampered(Tampering::Signature))
    ));
    assert!(taken.alarms.lock().unwrap().is_empty());
    taken.full.store(false, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(
        door.post("alpha", TOKEN, b"none", &state).await,
        Err(Refused::Broken { .. })
    ));
    assert_eq!(*taken.alarms.lock().unwrap(), ["wrong signature"]);
}

#[test]
fn a_short_token_or_no_key_is_refused_at_the_start() {
    assert_eq!(
        SourceKey::new(&pem(b"neither this nor that"), TOKEN).unwrap_err(),
        SourceKeyError::Unusable
    );
    assert_eq!(SourceKey::new("x", TOKEN).unwrap_err(), SourceKeyError::NotPem);
    assert_eq!(
        SourceKey::new("x", "short").unwrap_err(),
        SourceKeyError::ShortToken(5)
    );
}
