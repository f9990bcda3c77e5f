//! The two sides: bob, who follows the protocol, and epochs between arbitrary identities.

use bytes::Bytes;
use m2_crypto::envelope::{Ends, EpochHeader, ReceiveEpoch, SendEpoch};
use m2_delivery::{Ack, Body, Content, Draft, Limits, MessageId, Misdeed, Path, Payload, Time};
use m2_net::wire::Places;
use m2_tests::sim::{ALICE, BOB, Event, Frame, Identified, Ledger, Node, epoch_secret};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// The time at which every test begins.
pub(crate) const NOW: Time = Time(1_700_000_000_000);

/// An epoch between two identities.
pub(crate) struct Epoch {
    receiver: &'static Identified,
    sender: &'static Identified,
    /// The session in which it was opened: each epoch has its own.
    session: u64,
    pub(crate) grant: Vec<u8>,
    epoch: SendEpoch,
}

impl Epoch {
    pub(crate) fn of_alice(incarnation: u64, epoch: u64) -> Self {
        Self::between(&ALICE, &BOB, incarnation, epoch)
    }

    /// Like `of_alice`, with other keys.
    pub(crate) fn of_alice_with(incarnation: u64, epoch: u64, seed: u64) -> Self {
        Self::seeded(&ALICE, &BOB, incarnation, epoch, seed)
    }

    pub(crate) fn between(
        sender: &'static Identified,
        receiver: &'static Identified,
        incarnation: u64,
        epoch: u64,
    ) -> Self {
        let seed = incarnation ^ epoch << 32;
        Self::seeded(sender, receiver, incarnation, epoch, seed)
    }

    fn seeded(
        sender: &'static Identified,
        receiver: &'static Identified,
        incarnation: u64,
        epoch: u64,
        seed: u64,
    ) -> Self {
        let header = EpochHeader {
            sender: sender.id,
            receiver: receiver.id,
            incarnation,
            epoch,
            created_s: NOW.seconds(),
        };
        let certificate = receiver.identity.certificate();
        let mut rng = StdRng::seed_from_u64(seed);
        let session = seed | 1 << 63;
        let share = epoch_secret(session, sender).next_share();
        let epoch =
            SendEpoch::open(&mut rng, &sender.identity, certificate, header, &share).unwrap();
        Self {
            receiver,
            sender,
            session,
            grant: epoch.grant().to_vec(),
            epoch,
        }
    }

    /// The receiver's side of the epoch, which needs the receiver's private key.
    pub(crate) fn accepted(&self) -> ReceiveEpoch {
        let ends = Ends {
            receiver: &self.receiver.identity,
            receiver_id: self.receiver.id,
            sender: self.sender.identity.certificate(),
            sender_id: self.sender.id,
        };
        let mut secret = epoch_secret(self.session, self.sender);
        let rng = &mut StdRng::seed_from_u64(1);
        ReceiveEpoch::accept(rng, &ends, &mut secret, &self.grant, NOW.seconds()).unwrap()
    }

    /// Seals message number `n` in place `n`.
    pub(crate) fn seal(&mut self, n: u64, text: &str) -> Vec<u8> {
        self.seal_as(id(n), n, text)
    }

    pub(crate) fn seal_as(&mut self, id: MessageId, sequence: u64, text: &str) -> Vec<u8> {
        let payload = Payload {
            sequence,
            sent: NOW,
            ttl_s: 0,
            body: text_body(text),
            as_sent: None,
        };
        self.seal_bytes(id, &payload.encode())
    }

    pub(crate) fn seal_bytes(&mut self, id: MessageId, plaintext: &[u8]) -> Vec<u8> {
        self.epoch.seal(&id.0, plaintext).unwrap()
    }
}

/// The honest side, connected.
pub(crate) struct Bob {
    pub(crate) node: Node,
    pub(crate) now: Time,
}

impl Bob {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let mut node = Node::new(&BOB, &ALICE, limits, 1, &Ledger::default());
        node.connect(NOW, Path::Direct, 1);
        let mut bob = Self { node, now: NOW };
        bob.take_places(alice_is_new());
        bob.frames();
        bob
    }

    pub(crate) fn take_places(&mut self, places: Places) {
        self.node
            .receive(self.now, &Frame::Places(Box::new(places)));
    }

    pub(crate) fn take(&mut self, epoch: Option<&Epoch>, sealed: &[u8]) -> Result<(), Misdeed> {
        if let Some(epoch) = epoch {
            self.node.join(epoch.session);
        }
        let grant = epoch.map(|epoch| epoch.grant.as_slice());
        self.node.envelope(self.now, grant, sealed)
    }

    pub(crate) fn take_acks(&mut self, acks: Vec<Ack>) -> Result<(), Misdeed> {
        self.node.acks(self.now, &acks)
    }

    pub(crate) fn send(&mut self, text: &str) -> MessageId {
        let id = self.node.new_id();
        let body = text_body(text);
        self.node
            .send(self.now, id, Draft { body, ttl_s: 0 })
            .unwrap();
        id
    }

    /// Commits and returns the frames to send. Panics if the store has recorded a violation.
    pub(crate) fn frames(&mut self) -> Vec<Frame> {
        let frames = self.node.commit(self.now);
        assert_eq!(self.node.store.violations, Vec::<String>::new());
        frames
    }

    pub(crate) fn acknowledged(&mut self) -> Vec<MessageId> {
        let frames = self.frames();
        let acks = frames.into_iter().filter_map(|frame| match frame {
            Frame::Acks(acks) => Some(acks),
            _ => None,
        });
        acks.flatten().map(|ack| ack.id).collect()
    }

    pub(crate) fn expect_nothing_acknowledged(&mut self) {
        assert_eq!(self.acknowledged(), []);
    }

    pub(crate) fn ack_of(&mut self, id: MessageId) -> Ack {
        self.frames();
        let hash = self.node.store.outbox[&id].entry.hash;
        Ack { id, hash }
    }

    pub(crate) fn acknowledge(&mut self, id: MessageId) {
        let ack = self.ack_of(id);
        self.take_acks(vec![ack]).unwrap();
        self.frames();
    }

    pub(crate) fn expect_shown(&mut self, numbers: &[u64]) {
        self.frames();
        let shown = self
            .node
            .store
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Shown { id, .. } => Some(*id),
                _ => None,
            });
        let expected: Vec<MessageId> = numbers.iter().map(|n| id(*n)).collect();
        assert_eq!(shown.collect::<Vec<_>>(), expected);
    }

    pub(crate) fn newest_epoch(&self) -> u64 {
        self.node.conversation().statement().epoch
    }
}

/// The places that alice states in her first session, in incarnation 1.
pub(crate) fn alice_is_new() -> Places {
    Places {
        following: 0,
        following_epoch: 0,
        expected: 0,
        newest_grant: Bytes::new(),
        incarnation: 1,
        epoch: 0,
        oldest: 1,
        next: 1,
        settled: Vec::new(),
    }
}

pub(crate) fn id(n: u64) -> MessageId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    MessageId(bytes)
}

fn text_body(text: &str) -> Body {
    Body::Content(Content::new("", text.to_owned()).unwrap())
}
