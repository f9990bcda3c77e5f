//! The state of both directions of a conversation, which each side states at the start of a session
//! (`docs/spec/delivery.md#places`).

use bytes::Bytes;
use std::ops::Range;

/// The highest place and epoch number: they fit a signed 64-bit column.
const MAX_NUMBER: u64 = i64::MAX as u64;

/// The maximum number of ranges of settled places in a statement.
pub const MAX_SETTLED: usize = 1_024;

/// The sender's state of both directions of a conversation. "Local" below means the receiver of the
/// frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The local incarnation that the peer follows; 0 if it follows none.
    pub following: u64,
    /// The highest epoch of `following` whose grant the peer accepted; 0 if there is none.
    pub following_epoch: u64,
    /// The first place of `following` from which on the peer has received nothing; 0 if it follows
    /// no incarnation.
    pub expected: u64,
    /// The signed grant of `following_epoch`, [`GRANT_BYTES`](m2_crypto::envelope::GRANT_BYTES) long, or empty if the peer does not
    /// have it.
    pub newest_grant: Bytes,
    /// The peer's own incarnation; never 0.
    pub incarnation: u64,
    /// The highest epoch of `incarnation`; 0 if there is none.
    pub epoch: u64,
    /// The oldest place that the peer still offers; [`next`](Self::next) if there is none.
    pub oldest: u64,
    /// The place of the peer's next message.
    pub next: u64,
    /// The places above [`oldest`](Self::oldest) that are not offered any more because they were
    /// acknowledged: at most [`MAX_SETTLED`] non-empty ranges in order.
    pub settled: Vec<Range<u64>>,
}

impl Places {
    /// Returns whether the numbers are in range and consistent with each other, as
    /// `docs/spec/wire.md#places` requires.
    pub fn is_sound(&self) -> bool {
        self.own_is_sound() && self.followed_is_sound()
    }

    fn own_is_sound(&self) -> bool {
        self.incarnation != 0
            && self.epoch <= MAX_NUMBER
            && self.oldest >= 1
            && self.oldest <= self.next
            && self.next <= MAX_NUMBER
            && self.settled_is_sound()
    }

    /// Checks that every range comes after the oldest place and after the range before it, with a
    /// gap between them, and that it ends by `next`.
    fn settled_is_sound(&self) -> bool {
        let mut before = self.oldest;
        self.settled.iter().all(|range| {
            let is_apart = range.start > before && range.end <= self.next;
            before = range.end;
            is_apart
        })
    }

    fn followed_is_sound(&self) -> bool {
        if self.following == 0 {
            return self.following_epoch == 0 && self.expected == 0 && self.newest_grant.is_empty();
        }
        self.following_epoch <= MAX_NUMBER && (1..=MAX_NUMBER).contains(&self.expected)
    }
}
