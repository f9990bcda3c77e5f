//! The delivery state machine with its cryptography, without disk and network: a message of 1 KiB
//! from the sender's outbox to its acknowledgement, one at a time and 64 at once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use m2_crypto::envelope::{Ends, EpochSecret, ReceiveEpoch};
use m2_delivery::{
    AcceptedGrant, Ack, Action, Body, Committed, Content, Context, Conversation, Draft, History,
    Limits, MessageId, Path, Queued, Saved, Time,
};
use m2_net::wire::Places;
use m2_tests::sim::{ALICE, BOB, Identified, epoch_secret};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const CONTENT: [u8; 1024] = [7; 1024];
const NOW: Time = Time(1_800_000_000_000);

fn deliveries(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("delivery/send to acknowledgement");
    for messages in [1, 64] {
        let (mut alice, mut bob) = (Side::new(&ALICE, &BOB), Side::new(&BOB, &ALICE));
        group.throughput(Throughput::Elements(messages));
        group.bench_function(format!("{messages} at once"), |bencher| {
            bencher.iter(|| deliver(&mut alice, &mut bob, messages));
        });
    }
}

fn deliver(sender: &mut Side, receiver: &mut Side, messages: u64) {
    for _ in 0..messages {
        sender.send();
    }
    for (grant, sealed) in sender.settle().envelopes {
        receiver.take(grant.as_deref(), &sealed);
    }
    for acks in receiver.settle().acks {
        sender.acknowledged(&acks);
    }
    sender.settle();
    assert_eq!(sender.conversation.pending(), 0);
}

/// One side: its conversation, and the secrets of its only session.
struct Side {
    own: &'static Identified,
    peer: &'static Identified,
    conversation: Conversation,
    sending: EpochSecret,
    receiving: EpochSecret,
    rng: StdRng,
}

/// The frames that are sent after a commit.
#[derive(Default)]
struct Leaving {
    envelopes: Vec<(Option<Vec<u8>>, Vec<u8>)>,
    acks: Vec<Vec<Ack>>,
}

macro_rules! context {
    ($side:ident) => {
        &mut Context {
            now: NOW,
            rng: &mut $side.rng,
            own: &$side.own.identity,
            own_id: $side.own.id,
            peer: $side.peer.identity.certificate(),
            peer_id: $side.peer.id,
            session: Some(&mut $side.sending),
            history: &NoHistory,
        }
    };
}

impl Side {
    fn new(own: &'static Identified, peer: &'static Identified) -> Self {
        let mut side = Self {
            own,
            peer,
            conversation: Conversation::new(Limits::default(), Saved::default()),
            sending: epoch_secret(1, own),
            receiving: epoch_secret(1, peer),
            rng: StdRng::seed_from_u64(1),
        };
        side.conversation.connected(context!(side), Path::Direct);
        let peer = Places {
            following: 0,
            following_epoch: 0,
            expected: 0,
            newest_grant: Bytes::new(),
            incarnation: 1,
            epoch: 0,
            oldest: 1,
            next: 1,
            settled: Vec::new(),
        };
        side.conversation.on_places(context!(side), &peer);
        side.settle();
        side
    }

    fn send(&mut self) {
        let mut id = [0; 16];
        self.rng.fill_bytes(&mut id);
        let body = Body::Content(Content::new("", CONTENT.to_vec()).unwrap());
        let draft = Draft { body, ttl_s: 0 };
        let sent = self.conversation.send(context!(self), MessageId(id), draft);
        sent.unwrap();
    }

    fn take(&mut self, grant: Option<&[u8]>, sealed: &[u8]) {
        let accepted = grant.and_then(|grant| {
            Some(AcceptedGrant {
                epoch: self.accept(grant)?,
                grant: Bytes::copy_from_slice(grant),
            })
        });
        let taken = self
            .conversation
            .on_envelope(context!(self), accepted, sealed);
        taken.unwrap();
    }

    fn accept(&mut self, grant: &[u8]) -> Option<ReceiveEpoch> {
        let header = *m2_crypto::envelope::Grant::parse(grant).unwrap().header();
        if !self.conversation.wants_grant(NOW, &header) {
            return None;
        }
        let ends = Ends {
            receiver: &self.own.identity,
            receiver_id: self.own.id,
            sender: self.peer.identity.certificate(),
            sender_id: self.peer.id,
        };
        let (rng, secret) = (&mut self.rng, &mut self.receiving);
        ReceiveEpoch::accept(rng, &ends, secret, grant, NOW.seconds()).ok()
    }

    fn acknowledged(&mut self, acks: &[Ack]) {
        self.conversation.on_acks(context!(self), acks).unwrap();
    }

    /// Simulates a commit: drops the writes and returns the frames to send.
    fn settle(&mut self) -> Leaving {
        while self.conversation.poll_write().is_some() {}
        let mut leaving = Leaving::default();
        while let Some(action) = self.conversation.poll_action() {
            match action {
                Action::Transmit { grant, sealed, .. } => leaving
                    .envelopes
                    .push((grant.map(|grant| grant.to_vec()), sealed.to_vec())),
                Action::State(_) => {}
                Action::Acknowledge(acks) => leaving.acks.push(acks),
                other => panic!("{other:?}"),
            }
        }
        leaving
    }
}

struct NoHistory;

impl History for NoHistory {
    fn committed(&self, _id: &MessageId) -> Option<Committed> {
        None
    }

    fn queued(&self, _id: &MessageId) -> Queued {
        Queued::Missing
    }
}

criterion_group!(benches, deliveries);
criterion_main!(benches);
