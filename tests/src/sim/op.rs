//! The steps of a schedule, and how they are made from random numbers.

/// One of the two peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Alice.
    A,
    /// Bob.
    B,
}

impl Side {
    /// Returns the other side.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// One step. A number that picks an item is taken modulo the number of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants' comments describe their fields")]
pub enum Op {
    /// Sends a message, with a time to live in seconds or 0. With `later`, its writes wait for the
    /// next commit.
    Send { side: Side, ttl_s: u32, later: bool },
    /// Gives up a message of the outbox.
    GiveUp { side: Side, pick: u8, later: bool },
    /// Sends a notice.
    Notify { side: Side, later: bool },
    /// Delivers one of the frames to this side.
    Deliver { to: Side, pick: u8, later: bool },
    /// Delivers the oldest frames to this side.
    DeliverMany { to: Side, count: u8 },
    /// Loses one of the frames.
    Lose { to: Side, pick: u8 },
    /// Duplicates one of the frames.
    Repeat { to: Side, pick: u8 },
    /// Establishes a session for this side, direct or over a line, possibly replacing another one.
    Up { side: Side, line: bool },
    /// Establishes a session for both sides.
    BothUp,
    /// Ends the session for this side.
    Down { side: Side },
    /// Ends the session for both sides and drops all frames in flight.
    Cut,
    /// Commits pending writes.
    Commit { side: Side },
    /// Kills and restarts the side.
    Kill { side: Side },
    /// Kills the side at its next commit: before or after it.
    KillAtCommit { side: Side, after: bool },
    /// Advances the clock.
    Wait { seconds: u32 },
    /// Deposits a message of the outbox in a mailbox of the peer.
    Deposit { side: Side, pick: u8, later: bool },
    /// Collects one of the letters to this side, or a copy of it from another mailbox.
    Collect { to: Side, pick: u8, copy: bool },
    /// Takes a snapshot of the store.
    Snapshot { side: Side },
    /// Rolls the store back to a snapshot; with `told`, the user reports it.
    Restore { side: Side, pick: u8, told: bool },
    /// Rolls back the stores of both sides.
    RestoreBoth { pick: u8 },
    /// Loses the store but not the identity key; then the two become contacts again.
    LoseAll { side: Side },
    /// Creates a second daemon from a copy of the store.
    Copy { side: Side },
    /// Swaps the two daemons that run from copies of one store: the other one is connected from now
    /// on.
    Swap { side: Side },
    /// Makes the two contacts again, as after one of them removed the other.
    Again,
    /// Ends one of the last sessions for one side, as far as it receives on it.
    Leave { side: Side, age: u8 },
    /// Sends the side a refusal of an epoch.
    Refuse { side: Side, pick: u8 },
}

/// Makes a step from a random number.
type Make = fn(u64) -> Op;

/// The steps of a schedule, by weight.
const WEIGHTS: &[(u32, Make)] = &[
    (24, |n| Op::Send {
        side: side(n),
        ttl_s: ttl(n >> 1),
        later: n >> 8 & 3 == 0,
    }),
    (3, |n| Op::GiveUp {
        side: side(n),
        pick: byte(n),
        later: n >> 16 & 1 == 0,
    }),
    (6, |n| Op::Notify {
        side: side(n),
        later: n >> 16 & 1 == 0,
    }),
    (20, |n| Op::Deliver {
        to: side(n),
        pick: byte(n),
        later: n >> 16 & 3 == 0,
    }),
    (10, |n| Op::DeliverMany {
        to: side(n),
        count: byte(n) % 12,
    }),
    (5, |n| Op::Lose {
        to: side(n),
        pick: byte(n),
    }),
    (5, |n| Op::Repeat {
        to: side(n),
        pick: byte(n),
    }),
    (5, |n| Op::Up {
        side: side(n),
        line: n >> 1 & 1 == 0,
    }),
    (5, |_| Op::BothUp),
    (2, |n| Op::Down { side: side(n) }),
    (2, |_| Op::Cut),
    (5, |n| Op::Commit { side: side(n) }),
    (2, |n| Op::Kill { side: side(n) }),
    (4, |n| Op::KillAtCommit {
        side: side(n),
        after: n >> 1 & 1 == 0,
    }),
    (5, |n| Op::Wait {
        seconds: WAITS[(n >> 1) as usize % WAITS.len()],
    }),
    (6, |n| Op::Deposit {
        side: side(n),
        pick: byte(n),
        later: n >> 16 & 3 == 0,
    }),
    (5, |n| Op::Collect {
        to: side(n),
        pick: byte(n),
        copy: n >> 16 & 1 == 0,
    }),
    (2, |n| Op::Leave {
        side: side(n),
        age: byte(n) % 4,
    }),
    (1, |n| Op::Refuse {
        side: side(n),
        pick: byte(n),
    }),
];

const HOUR: u32 = 3_600;
const WAITS: [u32; 7] = [1, 11, 31, 700, HOUR, 25 * HOUR, 15 * 24 * HOUR];

const fn side(n: u64) -> Side {
    if n & 1 == 0 { Side::A } else { Side::B }
}

const fn byte(n: u64) -> u8 {
    (n >> 8) as u8
}

const fn ttl(n: u64) -> u32 {
    match n % 8 {
        0 => 20,
        1 => 2 * HOUR,
        _ => 0,
    }
}

/// The additional steps of a schedule in which stores are rolled back, lost and copied, by weight.
const FAULTS: &[(u32, Make)] = &[
    (6, |n| Op::Snapshot { side: side(n) }),
    (3, |n| Op::Restore {
        side: side(n),
        pick: byte(n),
        told: n >> 16 & 3 == 0,
    }),
    (1, |n| Op::RestoreBoth { pick: byte(n) }),
    (1, |n| Op::LoseAll { side: side(n) }),
    (2, |n| Op::Copy { side: side(n) }),
    (4, |n| Op::Swap { side: side(n) }),
    (1, |_| Op::Again),
    (6, |_| Op::BothUp),
];

/// Returns the step for two random numbers, in a schedule without store faults.
pub fn schedule(kind: u32, detail: u64) -> Op {
    pick(&[WEIGHTS], kind, detail)
}

/// Returns the step for two random numbers, in a schedule in which stores are rolled back, lost and
/// copied.
pub fn faulty_schedule(kind: u32, detail: u64) -> Op {
    pick(&[WEIGHTS, FAULTS], kind, detail)
}

fn pick(tables: &[&[(u32, Make)]], kind: u32, detail: u64) -> Op {
    let rows = || tables.iter().copied().flatten();
    let total: u32 = rows().map(|(weight, _)| weight).sum();
    let mut left = kind % total;
    for (weight, make) in rows() {
        if left < *weight {
            return make(detail);
        }
        left -= weight;
    }
    Op::BothUp
}
