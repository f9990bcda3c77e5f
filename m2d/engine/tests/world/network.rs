//! The sessions between the daemons of the simulated world.

use super::daemon::{Daemon, End, Flaw, Time};
use m2_core::PathFailure;
use m2_core::dial::Order;
use m2_core::sessions::SessionId;
use m2_crypto::envelope::{Ends, EpochHeader, EpochSecret, Grant, ReceiveEpoch};
use m2_crypto::letter::LetterSecret;
use m2_crypto::{PeerId, Secret};
use m2_delivery::{AcceptedGrant, Path};
use m2_engine::{
    Arrived, Effect, GrantCheck, Refusal, SealedDeposit, Session, SessionEnd, SessionInput,
    SessionSecrets,
};
use m2_wire::{CloseCode, Message};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;

/// An age at which a session has not failed.
const AGE: Duration = Duration::from_secs(60);

const PEMS: [&str; 3] = [
    include_str!("../../../../tests/vectors/identities/alice.pem"),
    include_str!("../../../../tests/vectors/identities/bob.pem"),
    include_str!("../../../../tests/vectors/identities/carol.pem"),
];

/// One end of a session.
#[derive(Debug)]
struct Half {
    daemon: usize,
    id: SessionId,
    /// Frames on their way to this end.
    arriving: VecDeque<Message>,
    /// The grant that was opened last.
    grant: Vec<u8>,
    /// The secret of the epochs that the other end opens.
    epochs: EpochSecret,
    admitted: Option<oneshot::Receiver<Result<Arrived, Refusal>>>,
}

/// A session between two daemons. The first of the two dialled.
#[derive(Debug)]
struct Pipe([Half; 2]);

pub(crate) struct World {
    pub(crate) daemons: Vec<Daemon>,
    pub(crate) time: Time,
    pub(crate) rng: StdRng,
    pub(crate) seen: Seen,
    pub(crate) errors: Vec<String>,
    /// The letters that their provider has, with the number of their owner.
    pub(crate) letters: Vec<(usize, SealedDeposit)>,
    flaw: Flaw,
    pipes: Vec<Pipe>,
    sessions: u64,
    misdeeds: BTreeMap<&'static str, u64>,
    silent: BTreeSet<usize>,
}

/// What a schedule has reached.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) kills_before: u64,
    pub(crate) kills_after: u64,
    pub(crate) sessions: u64,
    pub(crate) crossed: u64,
    pub(crate) frames: u64,
    pub(crate) closes: BTreeMap<u32, u64>,
    pub(crate) orders: BTreeSet<&'static str>,
    pub(crate) treated: BTreeSet<&'static str>,
    pub(crate) answers: u64,
    pub(crate) grants: u64,
    pub(crate) deposits: u64,
    pub(crate) collected: u64,
}

impl World {
    /// Returns a world of Alice, Bob and Carol.
    pub(crate) fn new(seed: u64, flaw: Flaw) -> Self {
        Self::of([PEMS[0], PEMS[1], PEMS[2]], seed, flaw)
    }

    /// Returns a world in which the third daemon has Alice's identity.
    pub(crate) fn with_twin(seed: u64) -> Self {
        Self::of([PEMS[0], PEMS[1], PEMS[0]], seed, Flaw::None)
    }

    fn of(pems: [&str; 3], seed: u64, flaw: Flaw) -> Self {
        let time = Time::default();
        let daemons = pems.map(|pem| Daemon::new(pem, time.clone(), flaw));
        Self {
            daemons: daemons.into(),
            time,
            rng: StdRng::seed_from_u64(seed),
            seen: Seen::default(),
            errors: Vec::new(),
            letters: Vec::new(),
            flaw,
            pipes: Vec::new(),
            sessions: 0,
            misdeeds: BTreeMap::new(),
            silent: BTreeSet::new(),
        }
    }

    pub(crate) fn id(&self, daemon: usize) -> PeerId {
        self.daemons[daemon].id
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        self.time.fetch_add(ms, Ordering::Relaxed);
    }

    /// Runs a batch of one daemon, and performs its effects unless it was killed.
    pub(crate) fn run(&mut self, daemon: usize, end: End) {
        match end {
            End::Whole => {}
            End::KilledBefore => self.seen.kills_before += 1,
            End::KilledAfter => self.seen.kills_after += 1,
        }
        match self.daemons[daemon].run(end) {
            Some(effects) => {
                for effect in effects {
                    self.perform(daemon, effect);
                }
                self.take_admissions(daemon);
            }
            None => self.drop_sessions_of(daemon),
        }
    }

    fn perform(&mut self, daemon: usize, effect: Effect) {
        match effect {
            Effect::Answer(held) => {
                self.seen.answers += 1;
                held.deliver();
            }
            Effect::Send(id, frame) => self.send(daemon, id, *frame),
            Effect::Close(id, code) => self.close(daemon, id, code),
            Effect::Violation(id, reason) => {
                self.errors
                    .push(format!("an honest peer broke the protocol: {reason}"));
                self.close(daemon, id, CloseCode::Misbehaved);
            }
            Effect::Misdeed(_, reason) => *self.misdeeds.entry(reason).or_default() += 1,
            Effect::Dial(peer, order) => self.order(daemon, peer, &order),
            _ => {}
        }
    }

    fn order(&mut self, daemon: usize, peer: PeerId, order: &Order) {
        let wanted = &mut self.daemons[daemon].wanted;
        let name = match order {
            Order::Want(..) => "want",
            Order::Ensure(..) => "ensure",
            Order::Expedite => "expedite",
            Order::Rest => "rest",
            Order::Settled => "settled",
        };
        self.seen.orders.insert(name);
        match order {
            Order::Want(..) | Order::Ensure(..) => drop(wanted.insert(peer)),
            Order::Expedite => {}
            Order::Rest | Order::Settled => drop(wanted.remove(&peer)),
        }
    }

    fn half(&self, daemon: usize, id: SessionId) -> Option<(usize, usize)> {
        let pipes = self.pipes.iter().enumerate();
        let mut found = pipes.filter_map(|(number, pipe)| {
            let mut halves = pipe.0.iter();
            let side = halves.position(|half| half.daemon == daemon && half.id == id)?;
            Some((number, side))
        });
        found.next()
    }

    fn send(&mut self, daemon: usize, id: SessionId, frame: Message) {
        if self.flaw == Flaw::LosesFrames && self.rng.random_range(0..8) == 0 {
            return;
        }
        if let Some((pipe, side)) = self.half(daemon, id) {
            self.pipes[pipe].0[1 - side].arriving.push_back(frame);
        }
    }

    fn close(&mut self, daemon: usize, id: SessionId, code: CloseCode) {
        *self.seen.closes.entry(code as u32).or_default() += 1;
        if self.silent.contains(&daemon) {
            return;
        }
        if let Some((pipe, side)) = self.half(daemon, id) {
            let refused = match code {
                CloseCode::Refused => Some(PathFailure::Refused),
                CloseCode::NotAContact => Some(PathFailure::NotAContact),
                CloseCode::Misbehaved => Some(PathFailure::Misbehaved),
                _ => None,
            };
            let Pipe(halves) = self.pipes.swap_remove(pipe);
            for (number, half) in halves.into_iter().enumerate() {
                let reason = refused.filter(|_| number != side);
                self.report_end(half.daemon, half.id, reason);
            }
        }
    }

    fn report_end(&mut self, daemon: usize, id: SessionId, refused: Option<PathFailure>) {
        let daemon = &mut self.daemons[daemon];
        if !daemon.sessions.remove(&id) || self.flaw == Flaw::LosesEnds {
            return;
        }
        let end = SessionEnd {
            id,
            age: AGE,
            refused,
        };
        drop(daemon.ask(|reply| SessionInput::Down(end, reply)));
    }

    fn drop_sessions_of(&mut self, daemon: usize) {
        let (ended, pipes) = std::mem::take(&mut self.pipes)
            .into_iter()
            .partition(|pipe: &Pipe| pipe.0.iter().any(|half| half.daemon == daemon));
        self.pipes = pipes;
        for half in ended.into_iter().flat_map(|pipe: Pipe| pipe.0) {
            self.report_end(half.daemon, half.id, None);
        }
    }

    /// Ends a session between two daemons, if there is one, as when its path is lost.
    pub(crate) fn cut(&mut self, one: usize, other: usize) {
        let is_between = |pipe: &Pipe| {
            let ends = [pipe.0[0].daemon, pipe.0[1].daemon];
            ends.contains(&one) && ends.contains(&other)
        };
        if let Some(pipe) = self.pipes.iter().position(is_between) {
            let half = &self.pipes[pipe].0[0];
            let (daemon, id) = (half.daemon, half.id);
            self.close(daemon, id, CloseCode::Done);
        }
    }

    /// From now on, a daemon's closes of sessions do not arrive.
    pub(crate) fn lose_closes_of(&mut self, daemon: usize) {
        self.silent.insert(daemon);
    }

    /// Establishes a session if the first daemon dials the other.
    pub(crate) fn connect(&mut self, dialler: usize, other: usize) -> bool {
        let peer = self.id(other);
        if dialler == other || !self.daemons[dialler].wanted.contains(&peer) {
            return false;
        }
        let ours = self
            .pipes
            .iter()
            .any(|pipe| pipe.0[0].daemon == other && pipe.0[1].daemon == dialler);
        self.seen.crossed += u64::from(ours);
        self.seen.sessions += 1;
        let proof_key = Secret::random(&mut self.rng);
        let [one, two] = [(); 2].map(|()| Secret::<32>::random(&mut self.rng));
        let ends = [
            (dialler, other, (one.clone(), two.clone())),
            (other, dialler, (two, one)),
        ];
        let name_in_grants = self.seen.sessions.to_be_bytes();
        let letters = Secret::random(&mut self.rng);
        let secrets = [dialler, other].map(|daemon| (daemon, Secret::random(&mut self.rng)));
        let epochs_of = |daemon| {
            let (_, secret) = secrets.iter().find(|(of, _)| *of == daemon).unwrap();
            EpochSecret::new(name_in_grants, secret.clone())
        };
        let halves = ends.map(|(daemon, peer, lookup_secrets)| {
            self.sessions += 1;
            let id = SessionId(self.sessions);
            let session = Session {
                id,
                peer_id: self.id(peer),
                certificate: Arc::new(self.daemons[peer].identity.certificate().clone()),
                suite: 2,
                dialled: daemon == dialler,
                remote: ([127, 0, 0, 1], 7_000 + u16::try_from(peer).unwrap()).into(),
                path: Path::Direct,
                proof_key: proof_key.clone(),
                name_in_grants,
                lookup_secrets,
            };
            self.daemons[daemon].sessions.insert(id);
            let admitted = self.daemons[daemon].ask(|reply| SessionInput::Up {
                session,
                secrets: SessionSecrets {
                    epochs: epochs_of(daemon),
                    letters: LetterSecret::new(name_in_grants, letters.clone()),
                },
                clock_skew_ms: Some(0),
                reply,
            });
            Half {
                daemon,
                id,
                arriving: VecDeque::new(),
                grant: Vec::new(),
                epochs: epochs_of(peer),
                admitted: Some(admitted),
            }
        });
        self.pipes.push(Pipe(halves));
        true
    }

    /// Takes the answers to new sessions of a daemon. Unwanted ones are closed.
    fn take_admissions(&mut self, daemon: usize) {
        let mut unwanted = Vec::new();
        let halves = self.pipes.iter_mut().flat_map(|pipe| &mut pipe.0);
        for half in halves.filter(|half| half.daemon == daemon) {
            let Some(answer) = half.admitted.as_mut() else {
                continue;
            };
            let Ok(arrived) = answer.try_recv() else {
                continue;
            };
            half.admitted = None;
            let name = match arrived.unwrap() {
                Arrived::Welcome => "welcome",
                Arrived::Stranger => "stranger",
                Arrived::Unwanted => {
                    unwanted.push(half.id);
                    "unwanted"
                }
            };
            self.seen.treated.insert(name);
        }
        for id in unwanted {
            // The engine keeps nothing of it, and is not told of its end.
            self.daemons[daemon].sessions.remove(&id);
            self.close(daemon, id, CloseCode::Refused);
        }
    }

    /// Passes one frame that is on its way to its daemon. Returns whether there was one.
    pub(crate) fn deliver(&mut self) -> bool {
        let waiting: Vec<(usize, usize)> = (0..self.pipes.len())
            .flat_map(|pipe| [(pipe, 0), (pipe, 1)])
            .filter(|(pipe, side)| {
                let half = &self.pipes[*pipe].0[*side];
                // Frames wait until the engine knows the session.
                half.admitted.is_none() && !half.arriving.is_empty()
            })
            .collect();
        let Some((pipe, side)) = waiting.choose(&mut self.rng).copied() else {
            return false;
        };
        let half = &mut self.pipes[pipe].0[side];
        let (daemon, id) = (half.daemon, half.id);
        let frame = half.arriving.pop_front().unwrap();
        self.seen.frames += 1;
        let accepted = self.open_grant(pipe, side, &frame);
        let input = SessionInput::Frame(id, frame, accepted);
        self.daemons[daemon].inputs.push_back(input.into());
        true
    }

    /// Opens the grant of an envelope if the engine wants it, as the task of a session does.
    fn open_grant(&mut self, pipe: usize, side: usize, frame: &Message) -> Option<AcceptedGrant> {
        let Message::Envelope(envelope) = frame else {
            return None;
        };
        let (ours, theirs) = (&self.pipes[pipe].0[side], &self.pipes[pipe].0[1 - side]);
        if envelope.grant.is_empty() || ours.grant == envelope.grant {
            return None;
        }
        let (daemon, peer, id) = (ours.daemon, theirs.daemon, ours.id);
        let header: EpochHeader = *Grant::parse(&envelope.grant).unwrap().header();
        let mut check = self.daemons[daemon].ask(|reply| SessionInput::Grant(id, header, reply));
        self.run(daemon, End::Whole);
        if check.try_recv().unwrap().unwrap() == GrantCheck::Ignore {
            return None;
        }
        self.seen.grants += 1;
        let (daemon, peer) = (&self.daemons[daemon], &self.daemons[peer]);
        let ends = Ends {
            receiver: &daemon.identity,
            receiver_id: daemon.id,
            sender: peer.identity.certificate(),
            sender_id: peer.id,
        };
        // The session may have ended in the meantime.
        let halves = self.pipes.iter_mut().flat_map(|pipe| &mut pipe.0);
        let half = halves.into_iter().find(|half| half.id == id)?;
        let (grant, now_s) = (envelope.grant.clone(), daemon.now_s());
        half.grant = grant.to_vec();
        let epoch = ReceiveEpoch::accept(&mut self.rng, &ends, &mut half.epochs, &grant, now_s);
        let epoch = epoch.unwrap();
        Some(AcceptedGrant { epoch, grant })
    }

    /// Lets all daemons meet and talk until nothing more happens.
    pub(crate) fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..60 {
            let before = (self.seen.frames, self.seen.sessions);
            for daemon in 0..self.daemons.len() {
                self.run(daemon, End::Whole);
                for other in 0..self.daemons.len() {
                    if self.connect(daemon, other) {
                        self.run(daemon, End::Whole);
                        self.run(other, End::Whole);
                    }
                }
            }
            while self.deliver() {
                for daemon in 0..self.daemons.len() {
                    if !self.daemons[daemon].inputs.is_empty() {
                        self.run(daemon, End::Whole);
                    }
                }
            }
            self.pass(5_000);
            let is_quiet = before == (self.seen.frames, self.seen.sessions);
            quiet = if is_quiet { quiet + 1 } else { 0 };
            if quiet > 8 {
                break;
            }
        }
    }
}
