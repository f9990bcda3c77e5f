//! One side of the simulated world: a real conversation, its driver and its store.

mod letters;
mod sent;
mod sessions;
mod stores;

pub use self::letters::Letter;
use self::sessions::Stored;
pub use self::sessions::epoch_secret;
use super::identities::Identified;
use super::ledger::Ledger;
use super::store::ModelStore;
use bytes::Bytes;
use m2_crypto::envelope::{EpochHeader, EpochSecret, Grant, ReceiveEpoch};
use m2_delivery::{
    AcceptedGrant, Ack, Action, Conflict, Context, Conversation, Counters, Draft, GiveUp, Limits,
    MessageId, Misdeed, Notice, Path, SendRefused, Time, Write,
};
use m2_net::wire::Places;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;

/// A frame between the two sides.
#[derive(Debug, Clone)]
pub enum Frame {
    /// The sender's statement of its places: always the first frame of a session, and never lost
    /// within it.
    Places(Box<Places>),
    /// One message.
    Envelope {
        /// The signed grant, as long as it accompanies messages of its epoch.
        grant: Option<Vec<u8>>,
        /// The sealed message.
        sealed: Vec<u8>,
    },
    /// Acknowledgements.
    Acks(Vec<Ack>),
    /// A refusal of an epoch that cannot be opened: its incarnation and number.
    Refused(u64, u64),
}

/// The point of the next commit at which a side is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// Before the commit: writes and actions are lost.
    BeforeCommit,
    /// After the commit: actions are lost.
    AfterCommit,
}

/// A fault of the driver, which the checker must detect.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// No fault: the driver fulfils its contract.
    None,
    /// Never stores writes of one kind.
    Forgets(fn(&Write) -> bool),
    /// Performs the actions before it commits.
    ActsBeforeCommit,
}

/// Writes, actions and letters polled together. Actions and letters wait for the commit of this and all
/// earlier batches.
struct Batch {
    writes: Vec<Write>,
    actions: Vec<Action>,
    letters: Vec<Letter>,
}

/// One side of a conversation.
pub struct Node {
    me: &'static Identified,
    peer: &'static Identified,
    limits: Limits,
    rng: StdRng,
    conversation: Conversation,
    connected: bool,
    /// True once the peer has stated its places since the start: no other frame is accepted before.
    placed: bool,
    /// Batches that are polled but not committed yet.
    pipeline: Vec<Batch>,
    /// Letters whose writes are not polled yet.
    letters: Vec<Letter>,
    /// Letters that left.
    posted: Vec<Letter>,
    /// The secret of the epochs that this side opens in the session on which it sends.
    sending: Option<EpochSecret>,
    /// The secrets of the epochs that the peer opens in the sessions that are up, by their names.
    receiving: BTreeMap<[u8; 8], EpochSecret>,
    /// The record of keys, shared by all runs and copies of both sides.
    ledger: Ledger,
    /// The hashes of the grants of the epochs that were opened since the last start.
    grants: BTreeMap<(u64, u64), [u8; 32]>,
    /// Copies of the store at earlier moments.
    snapshots: Vec<ModelStore>,
    /// When all conversations last took new incarnations, as the engine does on proof.
    renewed_all: Option<Time>,
    renewal_due: bool,
    /// The conflicts between stores that were detected, with their number, over all runs.
    pub conflicts: BTreeMap<Conflict, usize>,
    /// The side's store.
    pub store: ModelStore,
    /// The crash at the next commit, if any.
    pub crash: Option<Crash>,
    /// The driver's fault.
    pub fault: Fault,
    /// The number of times that the store was rolled back, lost or replaced by a copy.
    pub restores: usize,
    /// The number of notices that arrived.
    pub notices: usize,
    /// The counters of earlier runs.
    counters: Counters,
}

/// The context of an input, with the store and what it will hold as history.
macro_rules! context {
    ($node:ident, $now:expr) => {
        &mut Context {
            now: $now,
            rng: &mut $node.rng,
            own: &$node.me.identity,
            own_id: $node.me.id,
            peer: $node.peer.identity.certificate(),
            peer_id: $node.peer.id,
            session: $node.sending.as_mut(),
            history: &Stored {
                store: &$node.store,
                pipeline: &$node.pipeline,
            },
        }
    };
}
use context;

impl Node {
    /// Creates a side that has just become a contact of its peer.
    pub fn new(
        me: &'static Identified,
        peer: &'static Identified,
        limits: Limits,
        seed: u64,
        ledger: &Ledger,
    ) -> Self {
        Self {
            me,
            peer,
            rng: StdRng::seed_from_u64(seed),
            conversation: Conversation::new(limits.clone(), m2_delivery::Saved::default()),
            connected: false,
            placed: false,
            pipeline: Vec::new(),
            letters: Vec::new(),
            posted: Vec::new(),
            sending: None,
            receiving: BTreeMap::new(),
            counters: Counters::default(),
            ledger: ledger.clone(),
            grants: BTreeMap::new(),
            snapshots: Vec::new(),
            renewed_all: None,
            renewal_due: false,
            conflicts: BTreeMap::new(),
            store: ModelStore::new(peer, limits.clone()),
            limits,
            crash: None,
            fault: Fault::None,
            restores: 0,
            notices: 0,
        }
    }

    /// Returns the conversation.
    pub const fn conversation(&self) -> &Conversation {
        &self.conversation
    }

    /// Returns this side's incarnation; 0 before the first one.
    pub fn incarnation(&self) -> u64 {
        self.conversation.statement().incarnation
    }

    /// Returns the counters over all runs.
    pub fn counters(&self) -> Counters {
        self.counters.plus(self.conversation.counters())
    }

    /// Returns a new random message id.
    pub fn new_id(&mut self) -> MessageId {
        let mut id = [0; 16];
        self.rng.fill_bytes(&mut id);
        MessageId(id)
    }

    /// Sends a draft under `id`.
    pub fn send(&mut self, now: Time, id: MessageId, draft: Draft) -> Result<(), SendRefused> {
        let sent = self.conversation.send(context!(self, now), id, draft);
        sent.map(|_| ())
    }

    /// Sends a notice, if the session and the rate limit allow it.
    pub fn notify(&mut self, now: Time) {
        let notice = Notice::Typing { active: true };
        self.conversation.notify(context!(self, now), notice);
    }

    /// Gives up a message.
    pub fn give_up(&mut self, now: Time, id: MessageId, reason: GiveUp) {
        self.conversation.give_up(context!(self, now), id, reason);
    }

    /// Establishes a session, on which this side sends from now on.
    pub fn connect(&mut self, now: Time, path: Path, session: u64) {
        self.connected = true;
        self.sending = Some(epoch_secret(session, self.me));
        self.join(session);
        // A pending statement belongs to an earlier session and is dropped.
        for batch in &mut self.pipeline {
            batch
                .actions
                .retain(|action| !matches!(action, Action::State(_)));
        }
        self.conversation.connected(context!(self, now), path);
    }

    /// Resumes an earlier session, or passes on the peer's last statement in it.
    pub fn resume(&mut self, now: Time, stated: Option<&Places>) {
        match stated {
            None => (self.conversation).resumed(context!(self, now), Path::Direct),
            Some(stated) => (self.conversation).on_places_again(context!(self, now), stated),
        }
    }

    /// Returns this side's statement if it has a session.
    pub fn statement(&self) -> Option<Frame> {
        let places = || Frame::Places(Box::new(self.conversation.statement()));
        self.connected.then(places)
    }

    /// Begins the conversation again, as the two have become contacts again.
    pub fn begin_again(&mut self, now: Time) {
        self.conversation.begin_again(context!(self, now));
    }

    /// Ends the last session.
    pub fn disconnect(&mut self, now: Time) {
        self.connected = false;
        self.sending = None;
        self.receiving.clear();
        self.conversation.disconnected(context!(self, now));
    }

    /// Fires the timeout if it is due.
    pub fn tick(&mut self, now: Time) {
        if self.conversation.next_timeout().is_some_and(|at| at <= now) {
            self.conversation.on_timeout(context!(self, now));
        }
    }

    /// Receives a refusal of an epoch, from the peer or forged in its name.
    pub fn refuse(&mut self, now: Time, incarnation: u64, epoch: u64) {
        self.conversation
            .on_epoch_refused(context!(self, now), incarnation, epoch);
    }

    /// Receives a frame, as a driver does. As the peer is honest, a report of misbehaviour is a
    /// violation.
    pub fn receive(&mut self, now: Time, frame: &Frame) {
        if !self.placed && !matches!(frame, Frame::Places(_)) {
            return;
        }
        let result = match frame {
            Frame::Places(places) => {
                self.placed = true;
                self.conversation.on_places(context!(self, now), places);
                Ok(())
            }
            Frame::Envelope { grant, sealed } => self.envelope(now, grant.as_deref(), sealed),
            Frame::Acks(acks) => self.acks(now, acks),
            Frame::Refused(incarnation, epoch) => {
                self.refuse(now, *incarnation, *epoch);
                Ok(())
            }
        };
        if let Err(misdeed) = result {
            self.store
                .violate(&format!("an honest peer is blamed: {misdeed:?}"));
        }
    }

    /// Receives an envelope.
    pub fn envelope(
        &mut self,
        now: Time,
        grant: Option<&[u8]>,
        sealed: &[u8],
    ) -> Result<(), Misdeed> {
        let accepted = grant.and_then(|grant| self.accept(now, grant));
        self.conversation
            .on_envelope(context!(self, now), accepted, sealed)
    }

    /// Receives an envelope whose grant has already been accepted.
    pub fn envelope_accepted(
        &mut self,
        now: Time,
        accepted: Option<ReceiveEpoch>,
        sealed: &[u8],
    ) -> Result<(), Misdeed> {
        let accepted = accepted.map(|epoch| AcceptedGrant {
            epoch,
            grant: Bytes::new(),
        });
        self.conversation
            .on_envelope(context!(self, now), accepted, sealed)
    }

    /// Receives acknowledgements.
    pub fn acks(&mut self, now: Time, acks: &[Ack]) -> Result<(), Misdeed> {
        self.conversation.on_acks(context!(self, now), acks)
    }

    /// Returns whether the conversation wants a grant opened, which is expensive.
    pub fn wants_grant(&mut self, now: Time, grant: &EpochHeader) -> bool {
        self.conversation.wants_grant(now, grant)
    }

    fn accept(&mut self, now: Time, grant: &[u8]) -> Option<AcceptedGrant> {
        let header = *Grant::parse(grant).ok()?.header();
        if !self.wants_grant(now, &header) {
            return None;
        }
        self.open_epoch(now, grant).map(|epoch| AcceptedGrant {
            epoch,
            grant: Bytes::copy_from_slice(grant),
        })
    }

    /// Polls writes and actions without committing them: the history does not contain them yet.
    pub fn poll(&mut self) {
        let writes: Vec<Write> = std::iter::from_fn(|| self.conversation.poll_write()).collect();
        let actions: Vec<_> = std::iter::from_fn(|| self.conversation.poll_action()).collect();
        self.record(&actions);
        let letters = std::mem::take(&mut self.letters);
        self.pipeline.push(Batch {
            writes,
            actions,
            letters,
        });
    }

    /// Records every key that was used, whether or not the message is ever committed or sent.
    fn record(&mut self, actions: &[Action]) {
        for action in actions {
            let Action::Transmit { grant, sealed, .. } = action else {
                continue;
            };
            if let Some(grant) = grant {
                let header = *Grant::parse(grant).expect("a valid grant").header();
                let hash = m2_crypto::envelope::grant_hash(grant);
                self.grants.insert((header.incarnation, header.epoch), hash);
            }
            if let Some(what) = self.ledger.record(&self.grants, sealed) {
                self.store.violate(what);
            }
        }
    }

    fn count_conflicts(&mut self, now: Time, writes: &[Write]) {
        for write in writes {
            let Write::Conflict(conflict) = write else {
                continue;
            };
            *self.conflicts.entry(*conflict).or_default() += 1;
            let lately = self.renewed_all.is_some_and(|at| now.since(at) < 3_600_000);
            if *conflict == Conflict::OwnTwice && !lately {
                self.renewed_all = Some(now);
                self.renewal_due = true;
            }
        }
    }

    /// Commits all pending writes, performs the actions, and returns the frames to send.
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
            self.count_conflicts(now, &batch.writes);
            self.store.commit(now, self.fault.filter(batch.writes));
            if crash == Some(Crash::AfterCommit) {
                self.restart();
                break;
            }
            frames.extend(self.perform(batch.actions));
            self.posted.extend(batch.letters);
        }
        if std::mem::take(&mut self.renewal_due) {
            self.conversation.renew(context!(self, now));
            frames.extend(self.commit(now));
        }
        frames
    }

    fn perform(&mut self, actions: Vec<Action>) -> Vec<Frame> {
        let mut frames = Vec::new();
        for action in actions {
            match action {
                Action::State(places) => frames.push(Frame::Places(Box::new(places))),
                Action::Transmit {
                    id,
                    session,
                    grant,
                    sealed,
                } => frames.extend(self.transmit(id.as_ref(), &session, grant.as_deref(), &sealed)),
                Action::Acknowledge(acks) => {
                    self.check_acks(&acks);
                    frames.push(Frame::Acks(acks));
                }
                Action::RefuseEpoch { incarnation, epoch } => {
                    frames.push(Frame::Refused(incarnation, epoch));
                }
                Action::Notice(_) => self.notices += 1,
            }
        }
        if !self.connected {
            frames.clear();
        }
        frames
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
