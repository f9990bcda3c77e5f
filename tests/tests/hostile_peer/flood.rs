//! Floods of frames that are cheap to make, ten thousand or more of each kind, while an honest contact
//! exchanges messages.

use crate::forge::{first_frame, join, open, seal, text};
use crate::scene::Scene;
use crate::strangers::request;
use bytes::Bytes;
use m2_crypto::envelope::SealedHeader;
use m2_net::frame::FrameSender;
use m2_net::session::{CloseCode, Ended, Session, SessionHandle};
use m2_net::wire::{Ack, Envelope, Message};
use m2_proto::api::v1::MessageState;
use m2_tests::hostile::{Caller, identity};
use m2_tests::scenario::{Api, PATIENCE};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Frames of each kind that a session survives. A flood takes seconds in total, an honest message some
/// hundredths of a second.
const FLOOD: u64 = 200_000;
/// Frames of each kind that ends a session.
const ENDING: u64 = 10_000;
/// Frames per session, of a kind that ends it.
const BURST: u64 = 500;
/// The bound for the 99th percentile of honest messages during the attack. About 50 ms are usual here.
const SLOW: Duration = Duration::from_secs(5);
/// How far the store's files may grow, in bytes: mostly the write-ahead log, until it is truncated.
const STORED: u64 = 40 << 20;
/// Messages measured before the flood, for comparison, and the minimum during it.
const ENOUGH: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_contact_is_served_during_a_flood() {
    let scene = Scene::start().await;
    let carol = Caller::new(identity("carol").unwrap()).unwrap();
    let mut session = join(&scene, &carol, "carol").await;
    let mut epoch = open(&session, carol.identity(), 1);
    let first = seal(&mut epoch, 1, [1; 16], text("once"));
    session.send_frame(first.clone()).await.unwrap();
    scene.alice.await_text("carol", "once").await.unwrap();
    let stored = scene.stored();
    let refusal = refusal(&scene, &mut session).await;
    let kinds = kinds(&session, first.clone(), refusal);
    let mut before = Vec::new();
    for _ in 0..ENOUGH {
        before.push(round_trip(&scene.bob).await);
    }
    let over = AtomicBool::new(false);
    let attack = async {
        let mut flooder = Flooder::of(session);
        for mut kind in kinds {
            let start = Instant::now();
            flooder = kind.send_all(&scene, &carol, flooder).await;
            scene.counted(kind.reason, kind.least).await;
            println!(
                "{} for {} in {:?}",
                kind.frames,
                kind.reason,
                start.elapsed()
            );
        }
        never_read(&scene, &carol, without_grant(first)).await;
        over.store(true, Ordering::Relaxed);
    };
    let (during, ()) = tokio::join!(talk(&scene.bob, &over), attack);

    let (usual, slow) = (percentile(&before, 50), percentile(&during, 99));
    println!(
        "{} meanwhile, p99 {slow:?}; before, p50 {usual:?}",
        during.len()
    );
    assert!(during.len() >= ENOUGH, "{}", during.len());
    assert!(slow <= SLOW, "{slow:?}");
    let grown = scene.stored().saturating_sub(stored);
    println!("the store's files grew by {grown} bytes");
    assert!(grown <= STORED, "{grown}");
    scene.holds().await;
}

/// One kind of frame.
struct Kind {
    /// The counter for these frames. It must reach `least`.
    reason: &'static str,
    least: u64,
    frames: u64,
    /// True if these frames end the session.
    ends: bool,
    /// Makes the frame with this number.
    frame: Box<dyn FnMut(u64) -> Message + Send>,
}

impl Kind {
    fn new(reason: &'static str, frame: impl FnMut(u64) -> Message + Send + 'static) -> Self {
        Self {
            reason,
            least: FLOOD,
            frames: FLOOD,
            ends: false,
            frame: Box::new(frame),
        }
    }

    /// A kind that ends the session. The first hundred frames of a session are tolerated.
    fn ending(reason: &'static str, frame: impl FnMut(u64) -> Message + Send + 'static) -> Self {
        Self {
            least: 100 * ENDING / BURST,
            frames: ENDING,
            ends: true,
            ..Self::new(reason, frame)
        }
    }

    /// Sends all frames. Returns an open session.
    async fn send_all(&mut self, scene: &Scene, caller: &Caller, mut by: Flooder) -> Flooder {
        for number in 1..=self.frames {
            let sent = by.sender.send((self.frame)(number)).await;
            assert!(sent.is_ok() || self.ends, "{sent:?}");
            if self.ends && number % BURST == 0 {
                let ended = timeout(PATIENCE, by.session.closed()).await;
                assert!(ended.is_ok(), "{} did not end the session", self.reason);
                let again = caller.dial(scene.address, scene.alices_id()).await;
                by = Flooder::of(again.unwrap());
                by.sender.send(first_frame()).await.unwrap();
            }
        }
        by
    }
}

/// A session whose received frames are read and discarded.
struct Flooder {
    session: SessionHandle,
    sender: FrameSender,
}

impl Flooder {
    fn of(session: Session) -> Self {
        let (session, sender, mut answers) = session.split();
        tokio::spawn(async move { while answers.recv().await.is_ok() {} });
        Self { session, sender }
    }
}

fn kinds(session: &Session, first: Message, refusal: Message) -> Vec<Kind> {
    let mut unknown = open(session, &identity("carol").unwrap(), 9);
    unknown.confirm();
    let unopened = seal(&mut unknown, 1, [3; 16], text("no key"));
    let ack = |number| Ack {
        message_id: u128::from(number).to_be_bytes(),
        content_hash: [2; 32],
    };
    vec![
        Kind::new("ACK_UNKNOWN", move |number| {
            Message::Acks(vec![ack(number)])
        }),
        Kind {
            // The first refusal may be honoured.
            least: FLOOD - 1,
            ..Kind::new("EPOCH_REFUSAL_IGNORED", move |_| refusal.clone())
        },
        Kind::new("MESSAGE_REPEATED", move |_| first.clone()),
        Kind::new("ENVELOPE_UNOPENED", move |_| unopened.clone()),
        Kind {
            // The first reply in a session may count as an agreement.
            least: FLOOD - 1,
            ..Kind::new("REPLY_REPEATED", |_| Message::ContactReply {
                accepted: true,
            })
        },
        Kind::ending("REPLY_UNASKED", |_| Message::ContactReply {
            accepted: false,
        }),
        Kind::ending("REQUEST_REPEATED", |_| request("again", None)),
    ]
}

/// Causes acknowledgements without end and reads none: they must not accumulate.
async fn never_read(scene: &Scene, caller: &Caller, message: Message) {
    let session = caller.dial(scene.address, scene.alices_id()).await.unwrap();
    session.send_frame(first_frame()).await.unwrap();
    while session.send_frame(message.clone()).await.is_ok() {}
    let ended = timeout(PATIENCE, session.closed()).await;
    assert_eq!(ended, Ok(Ended::ByPeer(CloseCode::Misbehaved as u64)));
    scene.counted("NOT_READING", 1).await;
}

/// The grant serves in the session for which it was made.
fn without_grant(message: Message) -> Message {
    match message {
        Message::Envelope(envelope) => Message::Envelope(Envelope {
            grant: Bytes::new(),
            ..envelope
        }),
        other => other,
    }
}

/// Makes a refusal of the epoch under which alice currently seals.
async fn refusal(scene: &Scene, session: &mut Session) -> Message {
    scene.alice.send("carol", "for carol").await.unwrap();
    loop {
        if let Message::Envelope(envelope) = session.recv_frame().await.unwrap() {
            let header = SealedHeader::parse(&envelope.sealed).unwrap();
            let (incarnation, epoch) = (header.incarnation, header.epoch);
            return Message::EpochRefused { incarnation, epoch };
        }
    }
}

/// Measures honest messages until the attack has ended.
async fn talk(bob: &Api, over: &AtomicBool) -> Vec<Duration> {
    let mut times = Vec::new();
    while !over.load(Ordering::Relaxed) {
        times.push(round_trip(bob).await);
    }
    times
}

async fn round_trip(bob: &Api) -> Duration {
    let start = Instant::now();
    let sent = bob.send("alice", "honest").await.unwrap();
    let delivered = bob.await_message(&sent, MessageState::Delivered);
    delivered.await.unwrap();
    start.elapsed()
}

fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}
