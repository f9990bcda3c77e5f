//! The relays that a session for lines passes (`docs/spec/line.md#which-relays-a-session-passes`).

use super::OwnRelays;
use crate::config::IpMode;
use m2_crypto::PeerId;
use m2_net::line::Hop;
use m2_store::LineRow;

/// Returns the routes for listening at a relay of this daemon, the best first. If there are
/// entries, every route passes one.
pub(super) fn to_own(own: &OwnRelays, relay: &LineRow) -> Vec<Vec<Hop>> {
    let target = hop(relay);
    let entries = own.rows().filter(|row| row.entry);
    let through: Vec<_> = entries
        .map(|entry| vec![hop(entry), target.clone()])
        .collect();
    if through.is_empty() {
        return vec![vec![target]];
    }
    through
}

/// Returns the routes to a relay at which a contact listens, the best first; empty if no route is
/// allowed.
///
/// With [`IpMode::LineOnly`] the first relay is always one of this daemon's own: a contact could
/// name its own host as a relay to learn this daemon's address. An entry comes before all other
/// relays.
pub(super) fn to_contact(own: &OwnRelays, mode: IpMode, target: &Hop) -> Vec<Vec<Hop>> {
    let ours = |id: &PeerId| own.rows().find(|row| row.relay == *id);
    // A contact cannot redirect a relay of this daemon to another address.
    let target = ours(&target.relay).map_or_else(|| target.clone(), hop);
    let mut ways: Vec<Vec<Hop>> = own
        .rows()
        .filter(|row| row.entry && row.relay != target.relay)
        .map(|entry| vec![hop(entry), target.clone()])
        .collect();
    if own.rows().any(|row| row.entry) {
        return ways;
    }
    if ours(&target.relay).is_some() {
        return vec![vec![target]];
    }
    if mode != IpMode::Direct {
        let others = own.rows().map(|first| vec![hop(first), target.clone()]);
        ways.extend(others);
    }
    if mode != IpMode::LineOnly && ways.is_empty() {
        ways.push(vec![target]);
    }
    ways
}

fn hop(row: &LineRow) -> Hop {
    Hop {
        relay: row.relay,
        addresses: row.addresses.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use m2_store::RelayRowId;

    fn row(number: u8, entry: bool) -> LineRow {
        LineRow {
            row: RelayRowId::new(i64::from(number)),
            relay: PeerId::from_bytes([number; 32]),
            addresses: vec![format!("192.0.2.{number}:1").parse().unwrap()],
            entry,
            created_ms: 0,
        }
    }

    fn named(number: u8, address: &str) -> Hop {
        Hop {
            relay: PeerId::from_bytes([number; 32]),
            addresses: vec![address.parse().unwrap()],
        }
    }

    fn ids(ways: &[Vec<Hop>]) -> Vec<Vec<u8>> {
        let id = |hop: &Hop| *hop.relay.as_bytes().first().unwrap();
        ways.iter()
            .map(|way| way.iter().map(id).collect())
            .collect()
    }

    #[test]
    fn the_first_relay_is_an_own_one_where_required() {
        let theirs = named(9, "198.51.100.9:1");
        let none = OwnRelays::new(Vec::new());
        let own = OwnRelays::new(vec![row(1, false), row(2, false)]);
        let with_entry = OwnRelays::new(vec![row(1, false), row(3, true)]);
        for (mode, without, with, behind) in [
            (
                IpMode::Direct,
                vec![vec![9]],
                vec![vec![9]],
                vec![vec![3, 9]],
            ),
            (
                IpMode::PreferLine,
                vec![vec![9]],
                vec![vec![1, 9], vec![2, 9]],
                vec![vec![3, 9]],
            ),
            (
                IpMode::LineOnly,
                vec![],
                vec![vec![1, 9], vec![2, 9]],
                vec![vec![3, 9]],
            ),
        ] {
            assert_eq!(ids(&to_contact(&none, mode, &theirs)), without);
            assert_eq!(ids(&to_contact(&own, mode, &theirs)), with);
            assert_eq!(ids(&to_contact(&with_entry, mode, &theirs)), behind);
        }
    }

    #[test]
    fn a_contact_cannot_redirect_an_own_relay() {
        let own = OwnRelays::new(vec![row(1, false)]);
        let moved = named(1, "198.51.100.66:6");
        let ways = to_contact(&own, IpMode::LineOnly, &moved);
        assert_eq!(ways, [vec![hop(&row(1, false))]]);
    }

    #[test]
    fn an_entry_comes_first_and_never_before_itself() {
        let own = OwnRelays::new(vec![row(1, false), row(3, true)]);
        assert_eq!(ids(&to_own(&own, &row(1, false))), [vec![3, 1]]);
        let at_entry = named(3, "198.51.100.66:6");
        assert!(to_contact(&own, IpMode::LineOnly, &at_entry).is_empty());
    }
}
