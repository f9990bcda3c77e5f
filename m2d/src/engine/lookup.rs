//! What look-up publishes and looks for, and what becomes of what it finds (spec §8).

use super::Engine;
use super::effect::Effect;
use super::lines::day_of;
use crate::config::IpMode;
use crate::reach::may_be_called;
use crate::refusal::Refusal;
use crate::store::{ContactLine, ContactState, LineTokens, LookupSecrets};
use m2_crypto::PeerId;
use m2_crypto::invitation::InviteId;
use m2_crypto::line::Caller;
use m2_crypto::presence::{PresenceLine, PresenceSecret};
use m2_net::delivery::Path;
use m2_net::line::is_on_line;
use std::net::SocketAddr;

/// The most addresses that one source of look-up may add to a contact's.
const MAX_FOUND: usize = 4;
/// How long an address that was found in the local network is called, milliseconds: an
/// announcement is made anew every hour.
const LAN_MS: u64 = 2 * 3_600_000;
/// How old a record may be, and how far ahead its maker's clock, seconds.
const OLDEST_S: u64 = 2 * 86_400;
const AHEAD_S: u64 = 3_600;

/// One record that is to be published: of one contact or invitation.
#[derive(Debug, Clone)]
pub struct Publication {
    /// Under which it is published.
    pub secret: PresenceSecret,
    /// Whether it may hold addresses.
    pub direct: bool,
    /// Lines on which its reader may call on the record's day.
    pub lines: Vec<PresenceLine>,
}

/// Somebody that is looked for.
#[derive(Debug, Clone)]
pub struct Sought {
    /// Who.
    pub peer: PeerId,
    /// Under which it publishes for us.
    pub secret: PresenceSecret,
    /// There is something to send, and known ways did not lead to it.
    pub in_need: bool,
    /// Its address may be called.
    pub direct: bool,
}

/// Where something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundBy {
    /// In the local network.
    Lan,
    /// In the DHT, in a record made at this moment, Unix time in seconds.
    Dht(u64),
}

/// What was found of a contact that is looked for.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Who.
    pub peer: PeerId,
    /// How.
    pub by: FoundBy,
    /// Where it may be called.
    pub addresses: Vec<SocketAddr>,
    /// Lines on which it may be called on the day of the record.
    pub lines: Vec<PresenceLine>,
}

/// Ways to a contact that look-up found: in memory alone.
#[derive(Debug, Default)]
pub(super) struct Found {
    lan: Vec<SocketAddr>,
    lan_until_ms: u64,
    dht: Vec<SocketAddr>,
    lines: Vec<ContactLine>,
    /// When the record was made.
    made_s: u64,
}

impl Found {
    /// Addresses in the local network, unless they are old.
    pub(super) fn lan(&self, now_ms: u64) -> &[SocketAddr] {
        if now_ms < self.lan_until_ms {
            &self.lan
        } else {
            &[]
        }
    }

    /// Addresses that the contact published.
    pub(super) fn dht(&self) -> &[SocketAddr] {
        &self.dht
    }

    /// Lines that the contact published.
    pub(super) fn lines(&self) -> &[ContactLine] {
        &self.lines
    }
}

impl Engine {
    /// All records that are to be published for a UTC day, those of contacts first.
    pub fn publications(&mut self, day: u32) -> Result<Vec<Publication>, Refusal> {
        let mut all = Vec::new();
        let contacts: Vec<i64> = self.contacts_in(ContactState::Contact).collect();
        for row in contacts {
            let Some(secrets) = self.lookup_secrets(row)? else {
                continue;
            };
            let peer = self.contact_mut(row)?.peer_id;
            let lines = self.published_lines(Caller::Contact(peer), day)?;
            all.push(Publication {
                secret: PresenceSecret::new(secrets.ours),
                direct: shows_address(self.ip_mode(row), &lines),
                lines,
            });
        }
        for invitation in self.list_invitations()? {
            let caller = Caller::Invited(InviteId::from_bytes(invitation.id));
            let lines = self.published_lines(caller, day_of(invitation.created_ms))?;
            all.push(Publication {
                secret: PresenceSecret::of_rendezvous(&invitation.rendezvous),
                direct: shows_address(self.profile_mode(), &lines),
                lines,
            });
        }
        Ok(all)
    }

    /// Contacts without a direct session, and peers that we asked.
    pub fn sought(&mut self) -> Result<Vec<Sought>, Refusal> {
        let asked = self.contacts_in(ContactState::Asked);
        let rows: Vec<i64> = asked
            .chain(self.contacts_in(ContactState::Contact))
            .collect();
        let mut all = Vec::new();
        for row in rows {
            let direct = self.ip_mode(row) == IpMode::Direct;
            let Some(slot) = self.slots.get(&row) else {
                continue;
            };
            let (is_online, failed) = (slot.link().is_some(), !slot.last_failure.is_empty());
            if slot.link().is_some_and(|link| link.path() == Path::Direct) {
                continue;
            }
            let (peer, asked) = (slot.contact.peer_id, slot.contact.invite_token.is_some());
            let Some(secret) = self.secret_of(row)? else {
                continue;
            };
            let waits = asked || self.store.has_outbox(row)?;
            all.push(Sought {
                peer,
                secret,
                in_need: waits && failed && !is_online,
                direct,
            });
        }
        Ok(all)
    }

    /// Something was found: it is tried at once.
    pub fn take_finding(&mut self, finding: Finding, loopback: bool) {
        if let Err(refusal) = self.on_found(finding, loopback) {
            self.fail_batch(refusal);
        }
    }

    fn on_found(&mut self, finding: Finding, loopback: bool) -> Result<(), Refusal> {
        let Some(row) = self.row_of(&finding.peer) else {
            return Ok(());
        };
        let (mode, now_ms) = (self.ip_mode(row), self.now_ms());
        let mut addresses = finding.addresses;
        addresses.retain(|address| may_be_called(address, loopback));
        addresses.truncate(MAX_FOUND);
        let Some(slot) = self.slots.get_mut(&row) else {
            return Ok(());
        };
        if mode == IpMode::LineOnly {
            addresses.clear();
        }
        let found = &mut slot.found;
        match finding.by {
            FoundBy::Lan if mode == IpMode::Direct => {
                found.lan = addresses;
                found.lan_until_ms = now_ms.saturating_add(LAN_MS);
            }
            FoundBy::Lan => return Ok(()),
            FoundBy::Dht(made_s) => {
                let now_s = now_ms / 1_000;
                let is_news = made_s > found.made_s
                    && made_s.saturating_add(OLDEST_S) > now_s
                    && made_s < now_s.saturating_add(AHEAD_S);
                if !is_news {
                    return Ok(());
                }
                found.made_s = made_s;
                found.dht = addresses;
                found.lines = finding.lines.into_iter().filter_map(line).collect();
            }
        }
        let link = slot.link().cloned();
        match link {
            None => self.dial(row),
            Some(link) if finding.by == FoundBy::Lan && link.path() == Path::Line => {
                self.call_beside(&link);
                Ok(())
            }
            Some(_) => Ok(()),
        }
    }

    /// Tells the tasks of look-up once this batch is on disk.
    pub(super) fn wake_lookup(&mut self) {
        self.effects.push(Effect::WakeLookup);
    }

    /// Under which a contact publishes for us, or a peer that we asked for those it invited.
    pub(super) fn secret_of(&mut self, row: i64) -> Result<Option<PresenceSecret>, Refusal> {
        let state = self.contact_mut(row)?.state;
        let secrets = self.lookup_secrets(row)?;
        Ok(secrets.map(|secrets| match state {
            ContactState::Asked => PresenceSecret::of_rendezvous(&secrets.theirs),
            _ => PresenceSecret::new(secrets.theirs),
        }))
    }

    /// The pairwise secrets of a contact; for a peer that we asked, those of its invitation.
    fn lookup_secrets(&mut self, row: i64) -> Result<Option<LookupSecrets>, Refusal> {
        let known = self.slots.get(&row).and_then(|slot| slot.secrets.clone());
        if known.is_some() {
            return Ok(known);
        }
        let stored = self.store.lookup_secrets(row)?;
        if let Some(slot) = self.slots.get_mut(&row) {
            slot.secrets.clone_from(&stored);
        }
        Ok(stored)
    }
}

/// Who prefers lines and has some shows no address.
fn shows_address(mode: IpMode, lines: &[PresenceLine]) -> bool {
    match mode {
        IpMode::Direct => true,
        IpMode::PreferLine => lines.is_empty(),
        IpMode::LineOnly => false,
    }
}

fn line(mut line: PresenceLine) -> Option<ContactLine> {
    line.addresses.retain(|address| !is_on_line(address));
    (!line.addresses.is_empty()).then_some(ContactLine {
        relay: line.relay,
        addresses: line.addresses,
        tokens: LineTokens::Always(line.token),
    })
}
