//! The steps of a schedule, and how proptest makes them.

/// One of the two peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Alice.
    A,
    /// Bob.
    B,
}

impl Side {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// One step. Numbers that pick something wrap around what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the variants' comments say what their fields are"
)]
pub enum Op {
    /// Sends a message, with a time to live in seconds or 0. With `later` its writes wait for
    /// the next commit.
    Send { side: Side, ttl_s: u32, later: bool },
    /// Gives a message of the outbox up.
    GiveUp { side: Side, pick: u8, later: bool },
    /// One of the packets to this side arrives.
    Deliver { to: Side, pick: u8, later: bool },
    /// The oldest packets to this side arrive.
    DeliverMany { to: Side, count: u8 },
    /// One of the packets is lost.
    Lose { to: Side, pick: u8 },
    /// One of the packets is there twice.
    Repeat { to: Side, pick: u8 },
    /// A session stands for this side, direct or by a line, perhaps in the place of another.
    Up { side: Side, line: bool },
    /// For both.
    BothUp,
    /// No session is left for this side.
    Down { side: Side },
    /// Both lose the session and everything that was in flight.
    Cut,
    /// What waits for it is committed, and what was asked of the store is answered.
    Commit { side: Side },
    /// Killed now.
    Kill { side: Side },
    /// Killed at its next commit: before or after it.
    KillAtCommit { side: Side, after: bool },
    /// Seconds pass.
    Wait { seconds: u32 },
    /// Puts a message of the outbox into a mailbox of the peer.
    Deposit { side: Side, pick: u8, later: bool },
    /// One of the letters to this side is collected, or its copy from another mailbox.
    Collect { to: Side, pick: u8, copy: bool },
    /// Keeps a copy of the store.
    Snapshot { side: Side },
    /// The store is put back to one of its copies; with `told` the user says so.
    Restore { side: Side, pick: u8, told: bool },
    /// The same for both sides.
    RestoreBoth { pick: u8 },
    /// The store is lost but for the key, and the two become contacts again.
    LoseAll { side: Side },
    /// A second daemon is made from a copy of the store.
    Copy { side: Side },
    /// The other daemon of the two that run from one store takes its turn.
    Swap { side: Side },
    /// The two become contacts again, and one of them has forgotten the other, or not.
    Again,
    /// Loses its receive epochs and starts again.
    Damage { side: Side },
    /// Is told that an epoch can't be opened.
    Refuse { side: Side, pick: u8 },
}

/// Makes a step out of a random number.
type Make = fn(u64) -> Op;

/// What a schedule is made of, by weight.
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
    (1, |n| Op::Damage { side: side(n) }),
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

/// What else happens to a world in which stores are put back, lost and copied.
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

/// The step that two random numbers stand for, in a world whose stores last.
pub fn schedule(kind: u32, detail: u64) -> Op {
    pick(&[WEIGHTS], kind, detail)
}

/// The same in a world whose stores are put back, lost and copied.
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
