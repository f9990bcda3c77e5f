//! Ways to a contact that look-up found: in memory alone.

use crate::store::ContactLine;
use m2_crypto::address::NamedAddress;

/// The most addresses that one source of look-up may add to a contact's.
pub(super) const MAX_FOUND: usize = 4;
/// How long an address that was found in the local network is dialled, milliseconds: a contact
/// announces itself every hour.
pub(super) const LAN_MS: u64 = 2 * 3_600_000;
/// The least time between two dials that announcements bring about, milliseconds.
const LAN_PAUSE_MS: u64 = 5_000;
/// How old a record may be, and how far ahead its maker's clock, seconds.
pub(super) const OLDEST_S: u64 = 2 * 86_400;
pub(super) const AHEAD_S: u64 = 3_600;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    lan: Vec<NamedAddress>,
    /// By the clock that only runs on.
    lan_until_ms: u64,
    /// From when an announcement has the contact dialled again, by the same clock.
    lan_dial_ms: u64,
    dht: Vec<NamedAddress>,
    lines: Vec<ContactLine>,
    /// When the record was made.
    made_s: u64,
}

impl Found {
    /// Addresses in the local network, unless they are old.
    pub(super) fn lan(&self, steady_ms: u64) -> &[NamedAddress] {
        if steady_ms < self.lan_until_ms {
            &self.lan
        } else {
            &[]
        }
    }

    /// Addresses that the contact published.
    pub(super) fn dht(&self) -> &[NamedAddress] {
        &self.dht
    }

    /// Lines that the contact published.
    pub(super) fn lines(&self) -> &[ContactLine] {
        &self.lines
    }

    /// The contact announced itself at these addresses. Earlier ones stay as far as there is room. Returns
    /// whether one of them is new.
    pub(super) fn hear(&mut self, mut addresses: Vec<NamedAddress>, steady_ms: u64) -> bool {
        let known = self.lan(steady_ms);
        let is_new = addresses.iter().any(|address| !known.contains(address));
        addresses.extend_from_slice(known);
        self.lan = first_distinct(addresses);
        self.lan_until_ms = steady_ms.saturating_add(LAN_MS);
        is_new
    }

    /// Whether an announcement that says nothing new may have the contact dialled now, and notes it: a
    /// host that replays announcements must not keep the dialer busy.
    pub(super) fn may_dial_lan(&mut self, steady_ms: u64) -> bool {
        let may_dial = steady_ms >= self.lan_dial_ms;
        if may_dial {
            self.lan_dial_ms = steady_ms.saturating_add(LAN_PAUSE_MS);
        }
        may_dial
    }

    /// A record of `made_s` says this. Returns whether that is news; nothing is taken otherwise.
    pub(super) fn read(
        &mut self,
        made_s: u64,
        now_s: u64,
        addresses: Vec<NamedAddress>,
        lines: Vec<ContactLine>,
    ) -> bool {
        let is_news = made_s > self.made_s
            && made_s.saturating_add(OLDEST_S) > now_s
            && made_s < now_s.saturating_add(AHEAD_S);
        if is_news {
            self.made_s = made_s;
            self.dht = addresses;
            self.lines = lines;
        }
        is_news
    }
}

/// As many as one source may add, the first ones.
fn first_distinct(addresses: Vec<NamedAddress>) -> Vec<NamedAddress> {
    let mut all = Vec::new();
    for address in addresses {
        if all.len() < MAX_FOUND && !all.contains(&address) {
            all.push(address);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements_have_a_contact_dialled_after_pauses() {
        let mut found = Found::default();
        assert!(found.may_dial_lan(10));
        assert!(!found.may_dial_lan(10 + LAN_PAUSE_MS - 1));
        assert!(found.may_dial_lan(10 + LAN_PAUSE_MS));
    }
}
