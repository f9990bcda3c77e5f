//! Addresses and lines of a contact that look-up found. They are kept in memory only.

use crate::ContactLine;
use m2_crypto::address::NamedAddress;

/// The most addresses that one source of look-up may contribute for a contact.
pub const MAX_FOUND: usize = 4;
/// How long an address found in the local network is dialled, in milliseconds: contacts announce
/// themselves every hour.
pub const LAN_MS: u64 = 2 * 3_600_000;
/// The least time between two dials caused by announcements that repeat known addresses, in
/// milliseconds.
const LAN_PAUSE_MS: u64 = 5_000;
/// The maximum age of a record, in seconds.
pub const OLDEST_S: u64 = 2 * 86_400;
/// How far the clock of a record's maker may be ahead, in seconds.
pub const AHEAD_S: u64 = 3_600;

/// The results of look-up for one contact.
#[derive(Debug, Default)]
pub struct Found {
    lan: Vec<NamedAddress>,
    /// In milliseconds of the steady clock.
    lan_until_ms: u64,
    /// When a repeated announcement may next cause a dial, in milliseconds of the steady clock.
    lan_dial_ms: u64,
    dht: Vec<NamedAddress>,
    lines: Vec<ContactLine>,
    /// When the newest record was made, in Unix seconds by its maker's clock.
    made_s: u64,
}

impl Found {
    /// Returns the addresses in the local network, unless they have expired.
    pub fn lan(&self, steady_ms: u64) -> &[NamedAddress] {
        if steady_ms < self.lan_until_ms {
            &self.lan
        } else {
            &[]
        }
    }

    /// Returns the addresses that the contact published.
    pub fn dht(&self) -> &[NamedAddress] {
        &self.dht
    }

    /// Returns the lines that the contact published.
    pub fn lines(&self) -> &[ContactLine] {
        &self.lines
    }

    /// Takes the addresses of an announcement. Earlier ones are kept while there is room. Returns
    /// whether one of the announced addresses is new.
    pub fn hear(&mut self, mut addresses: Vec<NamedAddress>, steady_ms: u64) -> bool {
        let known = self.lan(steady_ms);
        let is_new = addresses.iter().any(|address| !known.contains(address));
        addresses.extend_from_slice(known);
        self.lan = first_distinct(addresses);
        self.lan_until_ms = steady_ms.saturating_add(LAN_MS);
        is_new
    }

    /// Returns whether an announcement without new addresses may cause a dial now, and starts the
    /// pause if so: a host that replays announcements must not keep the dialer busy.
    pub fn may_dial_lan(&mut self, steady_ms: u64) -> bool {
        let may_dial = steady_ms >= self.lan_dial_ms;
        if may_dial {
            self.lan_dial_ms = steady_ms.saturating_add(LAN_PAUSE_MS);
        }
        may_dial
    }

    /// Takes a record made at `made_s`. Returns whether it is newer and recent; otherwise it is
    /// ignored.
    pub fn read(
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

/// Returns the first distinct addresses, up to the number that one source may contribute.
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
    fn repeated_announcements_cause_dials_only_after_a_pause() {
        let mut found = Found::default();
        assert!(found.may_dial_lan(10));
        assert!(!found.may_dial_lan(10 + LAN_PAUSE_MS - 1));
        assert!(found.may_dial_lan(10 + LAN_PAUSE_MS));
    }
}
