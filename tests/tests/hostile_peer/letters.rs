//! A contact that sends frames about letters and their tokens as no correct peer does.

use crate::forge::{first_frame, join, open, seal, text as said};
use crate::scene::Scene;
use m2_crypto::address::NamedAddress;
use m2_crypto::deposit::{BoxKey, DepositNonce, Period};
use m2_crypto::one_time_key::{OneTimePublicKey, OneTimeSeed};
use m2_crypto::{PeerId, Secret, provider};
use m2_net::session::{CloseCode, Ended, Session};
use m2_net::wire::Message;
use m2_net::wire::mailbox::{
    MAX_ADDRESSES, MAX_BOXES, MAX_REPORTED, MAX_TOKENS, Mailbox, OfferedBox, Series, TokenWithKey,
};
use m2_tests::hostile::{Caller, identity};
use m2_tests::scenario::{PATIENCE, set_policy};
use std::time::Duration;
use tokio::time::timeout;

/// Frames of each kind, and those that are sent without a pause.
const FLOOD: u64 = 6_000;
const AT_ONCE: u64 = 100;
/// How far the store's files may grow in the second half of a flood, in bytes: mostly the write-ahead log, until it is
/// truncated. The tokens of one series in that half have 7 MB.
const STORED: u64 = 4 << 20;
/// The unused tokens of a contact that a depositor keeps.
const KEPT: u32 = 256;

struct Carol {
    caller: Caller,
    key: OneTimePublicKey,
    made: u64,
}

impl Carol {
    fn new() -> Self {
        let seed = OneTimeSeed::random(&mut rand::rng());
        let key = seed.key(provider::default()).unwrap();
        Self {
            caller: Caller::new(identity("carol").unwrap()).unwrap(),
            key: key.public().clone(),
            made: 0,
        }
    }

    /// Becomes a contact of alice, with whom letters go both ways.
    async fn join(&self, scene: &Scene) -> Session {
        let session = join(scene, &self.caller, "carol").await;
        let policy = set_policy(&scene.alice, "carol", Some(true), Some(true));
        policy.await.unwrap();
        session
    }

    async fn again(&self, scene: &Scene) -> Session {
        let dialled = self.caller.dial(scene.address, scene.alices_id()).await;
        let session = dialled.unwrap();
        session.send_frame(first_frame()).await.unwrap();
        session
    }

    fn tokens(&mut self, series: u8, count: usize) -> Mailbox {
        let period = Period::at(m2_net::clock::Clock::system().unix_s());
        let tokens = (0..count).map(|_| {
            self.made += 1;
            let of = PeerId::from_bytes([1; 32]);
            let token = BoxKey::new(Secret::new([2; 32])).token(&of, nonce(self.made), period);
            TokenWithKey {
                token,
                key: self.key.clone(),
            }
        });
        Mailbox::Tokens {
            series: Series([series; 8]),
            tokens: tokens.collect(),
        }
    }

    /// Returns one of each kind of frame, about boxes, tokens and secrets that do not exist.
    fn about_nothing(&mut self, number: u64) -> [Mailbox; 5] {
        let [one, two] = [1, 2].map(|it| nonce(number * 2 + it + (1 << 40)));
        let name = number.to_be_bytes();
        // A box that stays, and two that change.
        let boxes = [8, 10 + (number % 3) as u8, 20 + (number % 5) as u8];
        [
            Mailbox::Offer(boxes.map(offered).to_vec()),
            self.tokens(8, 2),
            // Tokens of a series that was never offered.
            self.tokens(200, 2),
            Mailbox::TokenReport {
                taken: vec![one],
                refused: vec![two],
            },
            Mailbox::LetterSecrets {
                stored: name,
                seals_with: Some(name),
            },
        ]
    }
}

fn nonce(number: u64) -> DepositNonce {
    DepositNonce::from_bytes(u128::from(number).to_be_bytes())
}

/// A box at an address where no daemon answers.
fn offered(series: u8) -> OfferedBox {
    OfferedBox {
        provider: PeerId::from_bytes([series; 32]),
        addresses: vec!["127.0.0.1:4242".parse::<NamedAddress>().unwrap()],
        series: Series([series; 8]),
    }
}

fn frame(mailbox: Mailbox) -> Message {
    Message::Mailbox(Box::new(mailbox))
}

/// Frames beyond the bounds of the specification: each ends the session.
#[tokio::test(flavor = "multi_thread")]
async fn frames_about_letters_beyond_their_bounds_end_the_session() {
    let scene = Scene::start().await;
    let mut carol = Carol::new();
    let first = carol.join(&scene).await;
    let nonces = |count: usize| (0..count as u64).map(nonce).collect::<Vec<_>>();
    let mut far = offered(1);
    far.addresses = vec![far.addresses[0]; MAX_ADDRESSES + 1];
    let mut nowhere = offered(1);
    nowhere.addresses.clear();
    let beyond = [
        Mailbox::Offer(vec![offered(1); MAX_BOXES + 1]),
        Mailbox::Offer(vec![far]),
        Mailbox::Offer(vec![nowhere]),
        carol.tokens(1, 0),
        carol.tokens(1, MAX_TOKENS + 1),
        Mailbox::TokenReport {
            taken: nonces(MAX_REPORTED + 1),
            refused: Vec::new(),
        },
        Mailbox::TokenReport {
            taken: Vec::new(),
            refused: nonces(MAX_REPORTED + 1),
        },
        Mailbox::SeriesHeld(vec![Series([1; 8]); MAX_BOXES + 1]),
    ];
    first.close(CloseCode::Done);
    for mailbox in beyond {
        let session = carol.again(&scene).await;
        let what = format!("{mailbox:?}");
        session.send_frame(frame(mailbox)).await.unwrap();
        let ended = timeout(PATIENCE, session.closed()).await.expect(&what);
        assert_eq!(ended, Ended::ByPeer(CloseCode::Misbehaved as u64), "{what}");
    }
    // Eight statements of series are allowed, a ninth is not.
    let session = carol.again(&scene).await;
    let held = || frame(Mailbox::SeriesHeld(vec![Series([1; 8])]));
    for _ in 0..8 {
        session.send_frame(held()).await.unwrap();
    }
    let ended = timeout(Duration::from_secs(1), session.closed()).await;
    assert!(ended.is_err(), "{ended:?}");
    session.send_frame(held()).await.unwrap();
    let ended = timeout(PATIENCE, session.closed()).await.unwrap();
    assert_eq!(ended, Ended::ByPeer(CloseCode::Misbehaved as u64));
    scene.holds().await;
}

/// Well-formed frames in any number, about boxes and tokens that mean nothing: the daemon keeps what the bounds
/// allow, and the conversation goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_frames_about_letters_is_bounded() {
    let scene = Scene::start().await;
    let mut carol = Carol::new();
    let session = carol.join(&scene).await;
    let mut epoch = open(&session, carol.caller.identity(), 1);
    let (handle, sender, mut frames) = session.split();
    let read = tokio::spawn(async move { while frames.recv().await.is_ok() {} });
    let mut stored = [0; 2];
    for number in 0..FLOOD {
        for mailbox in carol.about_nothing(number) {
            let sent = sender.send(frame(mailbox)).await;
            assert!(sent.is_ok(), "{:?}", handle.close_reason());
        }
        if (number + 1).is_multiple_of(AT_ONCE) {
            // A peer that causes more answers than it reads loses the session.
            let part = number / AT_ONCE + 1;
            let (text, id) = (format!("part {part}"), [part as u8; 16]);
            let last = seal(&mut epoch, part, id, said(&text));
            sender.send(last).await.unwrap();
            scene.alice.await_text("carol", &text).await.unwrap();
        }
        if number + 1 == FLOOD / 2 {
            stored[0] = scene.stored();
        }
    }
    stored[1] = scene.stored();
    let tokens = scene.alice.contact("carol").await.unwrap().mailbox_tokens;
    assert!(tokens <= KEPT, "{tokens}");
    println!("{tokens} tokens; bytes of the store's files: {stored:?}");
    assert!(stored[1] <= stored[0] + STORED, "{stored:?}");
    for name in ["TOKENS_OF_UNKNOWN_SERIES", "TOKENS_TOO_MANY"] {
        scene.counted(name, 1).await;
    }
    scene.holds().await;
    read.abort();
}
