//! The frame `Places` (`docs/spec/wire.md#places`).

use super::Malformed;
use bytes::Bytes;
use m2_crypto::envelope::GRANT_BYTES;
pub use m2_delivery::{MAX_SETTLED, Places};
use m2_proto::wire::v1 as proto;
use std::ops::Range;

pub(super) fn parse(places: proto::Places) -> Result<Places, Malformed> {
    if !matches!(places.newest_grant.len(), 0 | GRANT_BYTES) {
        return Err(Malformed::FixedLength);
    }
    let parsed = Places {
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
    if parsed.is_sound() {
        Ok(parsed)
    } else {
        Err(Malformed::Bounds)
    }
}

pub(super) fn into_proto(places: Places) -> proto::Places {
    proto::Places {
        following: places.following,
        following_epoch: places.following_epoch,
        expected: places.expected,
        newest_grant: places.newest_grant,
        incarnation: places.incarnation,
        epoch: places.epoch,
        oldest: places.oldest,
        next: places.next,
        settled: places.settled.iter().map(into_range).collect(),
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
    use crate::Message;
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

    fn reparse(places: Places) -> Result<Message, Malformed> {
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
            let parsed = reparse(places.clone()).unwrap();
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
            assert_eq!(reparse(places), Err(expected));
        }
    }
}
