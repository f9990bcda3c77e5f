//! One side of the simulated world: a real conversation, its driver and its store.

use super::identities::Identified;
use super::store::ModelStore;
use m2_crypto::envelope::{EpochHeader, Grant, ReceiveEpoch, SealedHeader};
use m2_net::delivery::{
    Ack, Action, Context, Conversation, Counters, Draft, GiveUp, Limits, MessageId, Misbehaved,
    OpenedMessage, Path, SendRefused, Time, Write,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;

/// What travels between the two sides.
#[derive(Debug, Clone)]
pub enum Frame {
    /// One message.
    Envelope {
        /// The signed grant, while it rides along.
        grant: Option<Vec<u8>>,
        /// The sealed message.
        sealed: Vec<u8>,
    },
    /// Acknowledgements.
    Acks(Vec<Ack>),
    /// An epoch can't be opened.
    Refused(u64, u64),
}

/// What lies in a mailbox: one message, as it is once its letter was opened.
#[derive(Debug, Clone)]
pub struct Letter {
    incarnation: u64,
    id: MessageId,
    payload: Vec<u8>,
}

/// Where in its next commit a side is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// Writes and actions are lost.
    BeforeCommit,
    /// Actions are lost.
    AfterCommit,
}

/// What a broken driver would do. The checker must notice.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Nothing: the driver keeps its contract.
    None,
    /// Never stores writes of this kind.
    Forgets(fn(&Write) -> bool),
    /// Performs the actions before it commits.
    ActsBeforeCommit,
}

/// What was polled together: the actions wait for the writes, and for every batch before.
struct Batch {
    writes: Vec<Write>,
    actions: Vec<Action>,
}

/// One side.
pub struct Node {
    me: &'static Identified,
    peer: &'static Identified,
    limits: Limits,
    rng: StdRng,
    incarnation: u64,
    conversation: Conversation,
    connected: bool,
    /// Polled, but not committed yet.
    pipeline: Vec<Batch>,
    loads: Vec<MessageId>,
    /// What left under which index of which epoch.
    sealed: BTreeMap<(u64, u64, u32), Vec<u8>>,
    /// Its store.
    pub store: ModelStore,
    /// Its next crash.
    pub crash: Option<Crash>,
    /// How it is broken.
    pub fault: Fault,
    /// How often it was restored from a backup.
    pub restores: usize,
    /// What its earlier lives counted.
    counters: Counters,
}

/// The context of an input, with the store's look-up as history.
macro_rules! context {
    ($node:ident, $now:expr) => {
        &mut Context {
            now: $now,
            rng: &mut $node.rng,
            own: &$node.me.identity,
            own_id: $node.me.id,
            peer: $node.peer.identity.certificate(),
            peer_id: $node.peer.id,
            incarnation: $node.incarnation,
            history: &$node.store,
        }
    };
}

impl Node {
    /// A side that has just made its contact.
    pub fn new(
        me: &'static Identified,
        peer: &'static Identified,
        limits: Limits,
        seed: u64,
    ) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        Self {
            me,
            peer,
            incarnation: rng.next_u64(),
            rng,
            conversation: Conversation::new(limits.clone(), m2_net::delivery::Saved::default()),
            connected: false,
            pipeline: Vec::new(),
            loads: Vec::new(),
            counters: Counters::default(),
            sealed: BTreeMap::new(),
            store: ModelStore::new(peer, limits.clone()),
            limits,
            crash: None,
            fault: Fault::None,
            restores: 0,
        }
    }

    /// The conversation itself.
    pub const fn conversation(&self) -> &Conversation {
        &self.conversation
    }

    /// The number of this life.
    pub const fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// What all its lives counted.
    pub fn counters(&self) -> Counters {
        self.counters.plus(self.conversation.counters())
    }

    /// A fresh message id.
    pub fn new_id(&mut self) -> MessageId {
        let mut id = [0; 16];
        self.rng.fill_bytes(&mut id);
        MessageId(id)
    }

    /// Sends a draft under `id`.
    pub fn send(&mut self, now: Time, id: MessageId, draft: Draft) -> Result<(), SendRefused> {
        self.conversation.send(context!(self, now), id, draft)
    }

    /// Gives a message up.
    pub fn give_up(&mut self, now: Time, id: MessageId, reason: GiveUp) {
        self.conversation.give_up(context!(self, now), id, reason);
    }

    /// A letter with a message of the outbox lies in a mailbox: the letter, opened.
    pub fn deposit(&mut self, now: Time, id: MessageId) -> Option<Letter> {
        let payload = self.store.outbox.get(&id)?.payload.clone();
        self.conversation.on_deposited(context!(self, now), id);
        Some(Letter {
            incarnation: self.incarnation,
            id,
            payload,
        })
    }

    /// Takes a letter in. Two honest sides never misbehave.
    pub fn collect(&mut self, now: Time, letter: &Letter) {
        let opened = OpenedMessage {
            incarnation: letter.incarnation,
            id: letter.id,
            plaintext: letter.payload.clone().into(),
        };
        if let Err(misbehaved) = self.conversation.on_letter(context!(self, now), opened) {
            self.store.violate(&format!(
                "an honest peer's letter is blamed: {misbehaved:?}"
            ));
        }
    }

    /// A session stands.
    pub fn connect(&mut self, now: Time, path: Path) {
        self.connected = true;
        self.conversation.connected(context!(self, now), path);
    }

    /// No session is left.
    pub fn disconnect(&mut self, now: Time) {
        self.connected = false;
        self.conversation.disconnected(context!(self, now));
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Time) {
        if self.conversation.next_timeout().is_some_and(|at| at <= now) {
            self.conversation.on_timeout(context!(self, now));
        }
    }

    /// The peer, or somebody in its name, says that it can't open an epoch.
    pub fn refuse(&mut self, now: Time, incarnation: u64, epoch: u64) {
        self.conversation
            .on_epoch_refused(context!(self, now), incarnation, epoch);
    }

    /// Takes a frame in, as a driver does. Two honest sides never misbehave.
    pub fn receive(&mut self, now: Time, frame: &Frame) {
        let result = match frame {
            Frame::Envelope { grant, sealed } => self.envelope(now, grant.as_deref(), sealed),
            Frame::Acks(acks) => self.acks(now, acks),
            Frame::Refused(incarnation, epoch) => {
                self.refuse(now, *incarnation, *epoch);
                Ok(())
            }
        };
        if let Err(misbehaved) = result {
            self.store
                .violate(&format!("an honest peer is blamed: {misbehaved:?}"));
        }
    }

    /// Takes an envelope in.
    pub fn envelope(
        &mut self,
        now: Time,
        grant: Option<&[u8]>,
        sealed: &[u8],
    ) -> Result<(), Misbehaved> {
        let accepted = grant.and_then(|grant| self.accept(now, grant));
        self.envelope_accepted(now, accepted, sealed)
    }

    /// Takes an envelope in whose grant was accepted, by whatever means.
    pub fn envelope_accepted(
        &mut self,
        now: Time,
        accepted: Option<ReceiveEpoch>,
        sealed: &[u8],
    ) -> Result<(), Misbehaved> {
        self.conversation
            .on_envelope(context!(self, now), accepted, sealed)
    }

    /// Takes acknowledgements in.
    pub fn acks(&mut self, now: Time, acks: &[Ack]) -> Result<(), Misbehaved> {
        self.conversation.on_acks(context!(self, now), acks)
    }

    /// Whether a grant is worth its cost.
    pub fn wants_grant(&mut self, now: Time, grant: &EpochHeader) -> bool {
        self.conversation.wants_grant(now, grant)
    }

    fn accept(&mut self, now: Time, grant: &[u8]) -> Option<ReceiveEpoch> {
        let header = *Grant::parse(grant).ok()?.header();
        if !self.wants_grant(now, &header) {
            return None;
        }
        let (me, peer) = (self.me, self.peer);
        let certificate = peer.identity.certificate();
        ReceiveEpoch::accept(
            &mut self.rng,
            &me.identity,
            &me.id,
            certificate,
            &peer.id,
            grant,
            now.seconds(),
        )
        .ok()
    }

    /// Polls what there is, to be committed some time: the history doesn't see it yet.
    pub fn poll(&mut self) {
        let writes = std::iter::from_fn(|| self.conversation.poll_write()).collect();
        let actions = std::iter::from_fn(|| self.conversation.poll_action()).collect();
        self.pipeline.push(Batch { writes, actions });
    }

    /// Commits what there is and performs the actions: the frames that leave.
    pub fn commit(&mut self, now: Time) -> Vec<Frame> {
        self.poll();
        let mut frames = Vec::new();
        let mut batches = std::mem::take(&mut self.pipeline);
        if matches!(self.fault, Fault::ActsBeforeCommit) {
            for batch in &mut batches {
                frames.extend(self.perform(std::mem::take(&mut batch.actions)));
            }
        }
        let last = batches.len().saturating_sub(1);
        for (number, batch) in batches.into_iter().enumerate() {
            let crash = self.crash.filter(|_| number == last);
            if crash == Some(Crash::BeforeCommit) {
                self.restart();
                break;
            }
            self.store.commit(now, self.fault.filter(batch.writes));
            if crash == Some(Crash::AfterCommit) {
                self.restart();
                break;
            }
            frames.extend(self.perform(batch.actions));
        }
        frames
    }

    fn perform(&mut self, actions: Vec<Action>) -> Vec<Frame> {
        let mut frames = Vec::new();
        for action in actions {
            match action {
                Action::Transmit { id, epoch, grant } => {
                    let grant = grant.map(|grant| grant.to_vec());
                    frames.extend(self.transmit(&id, epoch, grant));
                }
                Action::Acknowledge(acks) => {
                    self.check_acks(&acks);
                    frames.push(Frame::Acks(acks));
                }
                Action::RefuseEpoch { incarnation, epoch } => {
                    frames.push(Frame::Refused(incarnation, epoch));
                }
                Action::LoadPayload { id } => self.loads.push(id),
            }
        }
        if !self.connected {
            frames.clear();
        }
        frames
    }

    fn transmit(&mut self, id: &MessageId, epoch: u64, grant: Option<Vec<u8>>) -> Option<Frame> {
        let Some(row) = self.store.outbox.get(id) else {
            // Acknowledged meanwhile, or else it never was stored.
            if !self.store.sent.contains_key(id) {
                self.store.violate("something leaves that is not stored");
            }
            return None;
        };
        if row.entry.epoch != epoch {
            return None;
        }
        let sealed = row.sealed.clone();
        let header = SealedHeader::parse(&sealed).expect("the machine seals valid messages");
        let key = (header.incarnation, header.epoch, header.index);
        let before = self.sealed.entry(key).or_insert_with(|| sealed.clone());
        if *before != sealed {
            self.store.violate("two messages were sealed under one key");
        }
        Some(Frame::Envelope { grant, sealed })
    }

    fn check_acks(&mut self, acks: &[Ack]) {
        for ack in acks {
            let known = self.store.received.get(&ack.id);
            if known.is_none_or(|known| known.hash != ack.hash) {
                self.store
                    .violate("something is acknowledged that is not stored");
            }
        }
    }

    /// Whether the machine waits for the store.
    pub const fn is_loading(&self) -> bool {
        !self.loads.is_empty()
    }

    /// Answers what the machine asked of the store.
    pub fn answer_loads(&mut self, now: Time) {
        for id in std::mem::take(&mut self.loads) {
            if let Some(row) = self.store.outbox.get(&id) {
                let payload = row.payload.clone();
                self.conversation
                    .on_payload(context!(self, now), id, &payload);
            }
        }
    }

    /// Killed and started again.
    pub fn restart(&mut self) {
        self.counters = self.counters();
        self.crash = None;
        self.pipeline.clear();
        self.conversation = Conversation::new(self.limits.clone(), self.store.saved());
        self.connected = false;
        self.loads.clear();
    }

    /// Restored from a backup of this moment: a new incarnation, in which everything that is not
    /// acknowledged is sent again under its id.
    pub fn restore(&mut self, now: Time) {
        let again = self.store.restore();
        self.incarnation = self.rng.next_u64();
        self.restores += 1;
        self.restart();
        for (id, payload) in again {
            let draft = Draft {
                body: payload.body,
                ttl_s: payload.ttl_s,
            };
            if self.send(now, id, draft).is_err() {
                self.store.abandon(&id);
            }
        }
        self.commit(now);
    }
}

impl Fault {
    fn filter(self, writes: Vec<Write>) -> Vec<Write> {
        match self {
            Self::Forgets(kind) => writes.into_iter().filter(|write| !kind(write)).collect(),
            Self::None | Self::ActsBeforeCommit => writes,
        }
    }
}
