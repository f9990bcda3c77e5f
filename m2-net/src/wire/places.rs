//! `Places`: the state of both directions of a conversation, stated at the start of a session
//! (`docs/spec/wire.md#places`).

use super::Malformed;
use bytes::Bytes;
use m2_crypto::envelope::GRANT_BYTES;
use m2_proto::wire::v1 as proto;
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
    /// The signed grant of `following_epoch`, [`GRANT_BYTES`] long, or empty if the peer does not
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
    pub(super) fn parse(places: proto::Places) -> Result<Self, Malformed> {
        if !matches!(places.newest_grant.len(), 0 | GRANT_BYTES) {
            return Err(Malformed::FixedLength);
        }
        let parsed = Self {
            following: places.following,
            following_epoch: places.following_epoch,
            expected: places.expected,
            // A slice would keep the whole frame alive.
            newest_grant: Bytes::copy_from_slice(&places.newest_grant),
            incarnation: places.incarnation,
            epoch: places.epoch,
            oldest: places.oldest,
            next: places.next,
            settled: parse_settled(&places.settled)?,
        };
        if parsed.own_is_sound() && parsed.followed_is_sound() {
            Ok(parsed)
        } else {
            Err(Malformed::Bounds)
        }
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

    pub(super) fn into_proto(self) -> proto::Places {
        proto::Places {
            following: self.following,
            following_epoch: self.following_epoch,
            expected: self.expected,
            newest_grant: self.newest_grant,
            incarnation: self.incarnation,
            epoch: self.epoch,
            oldest: self.oldest,
            next: self.next,
            settled: self.settled.iter().map(into_range).collect(),
        }
    }
}

fn parse_settled(ranges: &[proto::PlaceRange]) -> Result<Vec<Range<u64>>, Malformed> {
    if ranges.len() > MAX_SETTLED {
        return Err(Malformed::Bounds);
    }
    let parse = |range: &proto::PlaceRange| {
        let end = range.first.checked_add(range.count)?;
        (range.count > 0).then_some(range.first..end)
    };
    let parsed: Option<Vec<_>> = ranges.iter().map(parse).collect();
    parsed.ok_or(Malformed::Bounds)
}

fn into_range(range: &Range<u64>) -> proto::PlaceRange {
    proto::PlaceRange {
        first: range.start,
        count: range.end.saturating_sub(range.start),
    }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init)]
mod tests {
    use super::*;
    use crate::wire::Message;
    use prost::Message as _;

    fn sound() -> Places {
        Places {
            following: 7,
            following_epoch: 3,
            expected: 9,
            newest_grant: vec![1; GRANT_BYTES].into(),
            incarnation: 8,
            epoch: 1,
            oldest: 4,
            next: 12,
            settled: vec![5..7, 8..9],
        }
    }

    fn parse(places: Places) -> Result<Message, Malformed> {
        let frame = Message::Places(Box::new(places)).into_proto();
        Message::decode(frame.encode_to_vec().into())
    }

    #[test]
    fn a_sound_statement_survives_the_wire() {
        let nothing_followed = Places {
            following: 0,
            following_epoch: 0,
            expected: 0,
            newest_grant: Bytes::new(),
            ..sound()
        };
        for places in [sound(), nothing_followed] {
            let parsed = parse(places.clone()).unwrap();
            assert_eq!(parsed, Message::Places(Box::new(places)));
        }
    }

    #[test]
    fn every_bound_is_checked() {
        type Spoil = fn(&mut Places);
        let spoilt: [(Spoil, Malformed); 18] = [
            (|p| p.settled = [4..5].into(), Malformed::Bounds),
            (|p| p.settled = [5..5].into(), Malformed::Bounds),
            (|p| p.settled = [5..13].into(), Malformed::Bounds),
            (|p| p.settled = vec![5..7, 7..8], Malformed::Bounds),
            (|p| p.settled = vec![8..9, 5..7], Malformed::Bounds),
            (
                |p| p.settled = vec![6..7; MAX_SETTLED + 1],
                Malformed::Bounds,
            ),
            (|p| p.incarnation = 0, Malformed::Bounds),
            (|p| p.oldest = 0, Malformed::Bounds),
            (|p| p.oldest = 13, Malformed::Bounds),
            (|p| p.next = 1 << 63, Malformed::Bounds),
            (|p| p.epoch = 1 << 63, Malformed::Bounds),
            (|p| p.following_epoch = 1 << 63, Malformed::Bounds),
            (|p| p.expected = 1 << 63, Malformed::Bounds),
            (|p| p.expected = 0, Malformed::Bounds),
            (|p| p.following = 0, Malformed::Bounds),
            (|p| p.newest_grant.truncate(1), Malformed::FixedLength),
            (
                |p| p.newest_grant = vec![1; GRANT_BYTES + 1].into(),
                Malformed::FixedLength,
            ),
            (
                |p| (p.following, p.following_epoch, p.expected) = (0, 0, 0),
                Malformed::Bounds,
            ),
        ];
        for (spoil, expected) in spoilt {
            let mut places = sound();
            spoil(&mut places);
            assert_eq!(parse(places), Err(expected));
        }
    }
}
