//! Two sides, the network between them, and the clock.

use super::checker;
use super::identities::{ALICE, BOB};
use super::ledger::Ledger;
use super::node::{Crash, Fault, Frame, Letter, Node};
use super::op::{Op, Side};
use m2_delivery::{Body, Content, Draft, GiveUp, Limits, Path, Time};
use std::collections::VecDeque;

/// Maximum number of rounds until a healed world has come to rest.
const PATIENCE: usize = 3_000;

/// Maximum simulated time in milliseconds until a healed world has come to rest: twice the longest
/// retry interval of a sender, and far below the holding time of messages.
const REST_MS: u64 = 2 * 3_600_000;

/// The simulated world.
pub struct World {
    /// Alice.
    pub a: Node,
    /// Bob.
    pub b: Node,
    to_a: VecDeque<Frame>,
    to_b: VecDeque<Frame>,
    mail_for_a: Vec<Letter>,
    mail_for_b: Vec<Letter>,
    now: Time,
    messages: u32,
    inputs: u32,
    /// Number of sessions so far.
    sessions: u64,
    /// Number of store faults so far.
    era: u32,
    /// The second daemon of each side, which runs from a copy of the store but is not connected.
    copy_of_a: Option<Node>,
    copy_of_b: Option<Node>,
}

impl World {
    /// Returns limits so low that a short schedule reaches all of them.
    pub fn small_limits() -> Limits {
        Limits {
            max_outbox: 50,
            window: 4,
            max_held: 4,
            epoch_messages: 5,
            open_incarnations: 2,
            ..Limits::default()
        }
    }

    /// Creates a world at rest, with random numbers from `seed`.
    pub fn new(limits: &Limits, seed: u64) -> Self {
        let ledger = Ledger::default();
        Self {
            a: Node::new(&ALICE, &BOB, limits.clone(), seed, &ledger),
            b: Node::new(&BOB, &ALICE, limits.clone(), !seed, &ledger),
            era: 0,
            copy_of_a: None,
            copy_of_b: None,
            to_a: VecDeque::new(),
            to_b: VecDeque::new(),
            mail_for_a: Vec::new(),
            mail_for_b: Vec::new(),
            now: Time(1_700_000_000_000),
            messages: 0,
            inputs: 0,
            sessions: 0,
        }
    }

    /// Sets the same fault for both drivers.
    pub const fn with_fault(mut self, fault: Fault) -> Self {
        self.a.fault = fault;
        self.b.fault = fault;
        self
    }

    /// Returns one side.
    pub const fn node(&mut self, side: Side) -> &mut Node {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }

    const fn wire(&mut self, to: Side) -> &mut VecDeque<Frame> {
        match to {
            Side::A => &mut self.to_a,
            Side::B => &mut self.to_b,
        }
    }

    /// Returns the simulated time.
    pub const fn now(&self) -> Time {
        self.now
    }

    /// Runs a schedule, heals the network, and returns all violations.
    pub fn run(&mut self, schedule: &[Op]) -> Vec<String> {
        for op in schedule {
            self.step(*op);
        }
        let begun = self.now;
        let rested = self.heal() && self.now.since(begun) <= REST_MS;
        checker::check(&self.a, &self.b, rested)
    }

    /// Runs one step.
    pub fn step(&mut self, op: Op) {
        match op {
            Op::Send { side, ttl_s, later } => self.send(side, ttl_s, later),
            Op::GiveUp { side, pick, later } => self.give_up(side, pick, later),
            Op::Notify { side, later } => {
                let now = self.now;
                self.node(side).notify(now);
                self.commit(side, later);
            }
            Op::Deliver { to, pick, later } => {
                self.deliver_statements(to);
                if let Some(index) = self.index(to, pick) {
                    let frame = self.wire(to).remove(index);
                    self.deliver(to, frame, later);
                }
            }
            Op::DeliverMany { to, count } => {
                self.deliver_statements(to);
                for _ in 0..count {
                    let frame = self.wire(to).pop_front();
                    self.deliver(to, frame, false);
                }
            }
            Op::Lose { to, pick } => {
                if let Some(index) = self.index(to, pick)
                    && !self.is_statement(to, index)
                {
                    self.wire(to).remove(index);
                }
            }
            Op::Repeat { to, pick } => {
                if let Some(index) = self.index(to, pick)
                    && !self.is_statement(to, index)
                {
                    let frame = self.wire(to).get(index).cloned();
                    self.wire(to).extend(frame);
                }
            }
            Op::Deposit { side, pick, later } => self.deposit(side, pick, later),
            Op::Collect { to, pick, copy } => self.collect(to, pick, copy),
            Op::Wait { seconds } => self.wait(self.now.plus(u64::from(seconds) * 1_000)),
            other => self.step_session(other),
        }
    }

    fn step_session(&mut self, op: Op) {
        match op {
            Op::Up { side, line } => {
                let path = if line { Path::Line } else { Path::Direct };
                self.up(side, path);
            }
            Op::BothUp => self.both_up(),
            Op::Down { side } => self.down(side),
            Op::Cut => self.cut(),
            Op::Commit { side } => self.commit(side, false),
            Op::Kill { side } => self.node(side).restart(),
            Op::KillAtCommit { side, after } => {
                self.node(side).crash = Some(if after {
                    Crash::AfterCommit
                } else {
                    Crash::BeforeCommit
                });
            }
            Op::Leave { side, age } => {
                let session = self.sessions.saturating_sub(u64::from(age));
                self.node(side).leave(session);
            }
            Op::Refuse { side, pick } => {
                let now = self.now;
                let node = self.node(side);
                node.refuse(now, node.incarnation(), u64::from(pick % 6));
                self.commit(side, false);
            }
            other => self.step_fault(other),
        }
    }

    fn step_fault(&mut self, op: Op) {
        if !matches!(op, Op::Snapshot { .. } | Op::Copy { .. }) {
            self.commit_all();
        }
        match op {
            Op::Snapshot { side } => self.node(side).take_snapshot(),
            Op::Restore { side, pick, told } => {
                self.node(side).restore(pick, told);
                self.begin_era();
            }
            Op::RestoreBoth { pick } => {
                self.a.restore(pick, false);
                self.b.restore(pick, false);
                self.begin_era();
            }
            Op::LoseAll { side } => {
                self.node(side).lose_everything();
                self.begin_era();
                self.become_contacts();
            }
            Op::Copy { side } => {
                let copy = self.node(side).copy();
                *self.copy_of(side) = Some(copy);
            }
            Op::Swap { side } => self.swap(side),
            Op::Again => {
                self.begin_era();
                self.become_contacts();
            }
            _ => {}
        }
    }

    /// Commits everything that was accepted before a fault, as it belongs to the time before it.
    fn commit_all(&mut self) {
        for side in [Side::A, Side::B] {
            self.node(side).crash = None;
            self.commit(side, false);
        }
    }

    /// Begins a new era after a change of a store, which no session survives.
    fn begin_era(&mut self) {
        self.cut();
        self.era += 1;
        let era = self.era;
        for side in [Side::A, Side::B] {
            let node = self.node(side);
            node.crash = None;
            node.store.begin_era(era);
        }
    }

    fn swap(&mut self, side: Side) {
        let Some(mut other) = self.copy_of(side).take() else {
            return;
        };
        // Both daemons are alive, but only one is connected at a time.
        std::mem::swap(self.node(side), &mut other);
        let now = self.now;
        other.disconnect(now);
        let conflicts = std::mem::take(&mut other.conflicts);
        let node = self.node(side);
        for (conflict, count) in conflicts {
            *node.conflicts.entry(conflict).or_default() += count;
        }
        node.restores += 1;
        let broken = std::mem::take(&mut other.store.violations);
        node.store.violations.extend(broken);
        *self.copy_of(side) = Some(other);
        self.begin_era();
    }

    const fn copy_of(&mut self, side: Side) -> &mut Option<Node> {
        match side {
            Side::A => &mut self.copy_of_a,
            Side::B => &mut self.copy_of_b,
        }
    }

    /// Makes the two contacts again. That needs a session, in which both state their places
    /// afterwards.
    fn become_contacts(&mut self) {
        self.cut();
        let now = self.now;
        for side in [Side::A, Side::B] {
            self.node(side).begin_again(now);
            self.commit(side, false);
        }
        self.both_up();
    }

    fn cut(&mut self) {
        self.down(Side::A);
        self.down(Side::B);
        self.to_a.clear();
        self.to_b.clear();
    }

    fn is_statement(&mut self, to: Side, index: usize) -> bool {
        matches!(self.wire(to).get(index), Some(Frame::Places(_)))
    }

    /// Delivers statements before all other frames, as they are the first frames of their session.
    fn deliver_statements(&mut self, to: Side) {
        let (first, rest): (VecDeque<_>, VecDeque<_>) = std::mem::take(self.wire(to))
            .into_iter()
            .partition(|frame| matches!(frame, Frame::Places(_)));
        *self.wire(to) = rest;
        for frame in first {
            self.deliver(to, Some(frame), false);
        }
    }

    fn index(&mut self, to: Side, pick: u8) -> Option<usize> {
        let count = self.wire(to).len();
        (count > 0).then(|| usize::from(pick) % count)
    }

    /// Sends a message with a unique text.
    fn send(&mut self, side: Side, ttl_s: u32, later: bool) {
        self.messages += 1;
        let text = format!("message {}", self.messages);
        let body = Body::Content(Content::new("", text).expect("the text is short"));
        let now = self.now;
        let node = self.node(side);
        let id = node.new_id();
        // A full outbox is a legitimate refusal.
        let _ = node.send(now, id, Draft { body, ttl_s });
        self.commit(side, later);
    }

    fn give_up(&mut self, side: Side, pick: u8, later: bool) {
        let now = self.now;
        let node = self.node(side);
        let count = node.store.outbox.len().max(1);
        let id = node.store.outbox.keys().nth(usize::from(pick) % count);
        if let Some(id) = id.copied() {
            node.give_up(now, id, GiveUp::Retracted);
        }
        self.commit(side, later);
    }

    fn deposit(&mut self, side: Side, pick: u8, later: bool) {
        let now = self.now;
        let node = self.node(side);
        let count = node.store.outbox.len().max(1);
        let id = node.store.outbox.keys().nth(usize::from(pick) % count);
        if let Some(id) = id.copied() {
            node.deposit(now, id);
        }
        self.commit(side, later);
    }

    fn collect(&mut self, to: Side, pick: u8, copy: bool) {
        let now = self.now;
        let mailbox = self.mailbox(to);
        if mailbox.is_empty() {
            return;
        }
        let index = usize::from(pick) % mailbox.len();
        let letter = if copy {
            mailbox[index].clone()
        } else {
            mailbox.swap_remove(index)
        };
        self.node(to).collect(now, &letter);
        self.commit(to, false);
    }

    const fn mailbox(&mut self, of: Side) -> &mut Vec<Letter> {
        match of {
            Side::A => &mut self.mail_for_a,
            Side::B => &mut self.mail_for_b,
        }
    }

    fn deliver(&mut self, to: Side, frame: Option<Frame>, later: bool) {
        if let Some(frame) = frame {
            let now = self.now;
            self.node(to).receive(now, &frame);
            self.commit(to, later);
        }
    }

    fn up(&mut self, side: Side, path: Path) {
        let now = self.now;
        // A statement of an earlier session is dropped.
        self.wire(side.other())
            .retain(|frame| !matches!(frame, Frame::Places(_)));
        self.sessions += 1;
        let session = self.sessions;
        self.node(side).connect(now, path, session);
        // The other side may still send on another session.
        self.node(side.other()).join(session);
        self.commit(side, false);
        // The session is also new for the other side, which states its places again.
        let stated = self.node(side.other()).statement();
        self.wire(side)
            .retain(|frame| !matches!(frame, Frame::Places(_)));
        self.wire(side).extend(stated);
    }

    fn both_up(&mut self) {
        self.up(Side::A, Path::Direct);
        self.up(Side::B, Path::Direct);
    }

    fn down(&mut self, side: Side) {
        let now = self.now;
        self.node(side).disconnect(now);
    }

    fn commit(&mut self, side: Side, later: bool) {
        self.inputs += 1;
        let now = self.now;
        if later {
            // Alternates between inputs that accumulate before they are polled, and batches that
            // are polled but not committed.
            if self.inputs.is_multiple_of(2) {
                self.node(side).poll();
            }
            return;
        }
        let frames = self.node(side).commit(now);
        let letters = self.node(side).take_posted();
        self.wire(side.other()).extend(frames);
        self.mailbox(side.other()).extend(letters);
    }

    fn wait(&mut self, until: Time) {
        self.now = self.now.max(until);
        for side in [Side::A, Side::B] {
            let now = self.now;
            self.node(side).tick(now);
            self.commit(side, false);
        }
    }

    /// Stops losses and crashes, and lets the world come to rest. Returns whether it did.
    pub fn heal(&mut self) -> bool {
        self.a.crash = None;
        self.b.crash = None;
        self.both_up();
        for _ in 0..PATIENCE {
            self.exchange();
            if self.at_rest() {
                return true;
            }
            if self.to_a.is_empty() && self.to_b.is_empty() {
                let Some(at) = self.next_timeout() else {
                    return false;
                };
                self.wait(at);
            }
        }
        false
    }

    fn exchange(&mut self) {
        for side in [Side::A, Side::B] {
            self.commit(side, false);
            self.deliver_statements(side);
            let frames = std::mem::take(self.wire(side));
            for frame in frames {
                self.deliver(side, Some(frame), false);
            }
        }
    }

    fn at_rest(&self) -> bool {
        let idle = |node: &Node| node.store.outbox.is_empty() && node.store.held.is_empty();
        self.to_a.is_empty() && self.to_b.is_empty() && idle(&self.a) && idle(&self.b)
    }

    fn next_timeout(&self) -> Option<Time> {
        let timeouts = [&self.a, &self.b].map(|node| node.conversation().next_timeout());
        timeouts.into_iter().flatten().min()
    }
}
