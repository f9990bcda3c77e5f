//! This daemon's relays, the lines that are open at them, and the lines of contacts
//! (`docs/spec/line.md`).

mod contacts;
mod days;
mod facts;

pub use facts::PrivacyFacts;

use super::contacts::parse_invitation;
use super::input::Reply;
use super::{Effect, Engine};
use crate::refusal::Refusal;
pub(super) use days::day_of;
use days::{days_around, next_change};
use m2_core::ContactState;
use m2_core::IpMode;
use m2_core::resolve::{self, NotFound};
use m2_crypto::PeerId;
use m2_crypto::address::{Surroundings, Use};
use m2_crypto::invitation::{Invitation, InviteId};
use m2_crypto::line::{Caller, LineKey};
use m2_proto::reason::Reason;
use m2_store::LineRow;
use m2_wire::line::{MAX_ADDRESSES, MAX_LINES};
use std::collections::HashMap;
use std::net::SocketAddr;

/// The most entry relays.
const MAX_ENTRIES: usize = 4;
/// Key of the flag that is set once a relay was ever added. From then on contacts are sent offers,
/// even empty ones.
const OFFERS_SENT: &str = "lines told";

/// The configuration of lines.
#[derive(Debug, Clone, Copy)]
pub struct LineSettings {
    /// Which paths sessions may take.
    pub ip: IpMode,
    /// True if contacts may dial at this daemon's relays.
    pub open: bool,
    /// True if the daemon is bound to loopback only, so that its peers can use loopback addresses.
    pub loopback_only: bool,
}

/// A relay of this daemon as front-ends see it.
#[derive(Debug, Clone)]
pub struct LineView {
    /// The stored row.
    pub row: LineRow,
    /// The current health.
    pub health: LineHealth,
}

/// The health of a relay, as reported by the task that keeps sessions with relays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineHealth {
    /// True if a session with the relay is up.
    pub online: bool,
    /// Number of lines open at the relay.
    pub open: u32,
    /// Why there is no session, as a stable reason; empty if there is one.
    pub failure: &'static str,
}

/// The lines that should be open now (`docs/spec/line.md#tokens`).
#[derive(Debug, Clone, Default)]
pub struct OpenLines {
    /// This daemon's relays except entries, the oldest first.
    pub at: Vec<OpenAt>,
    /// When the set of days changes and must be read again, in Unix milliseconds.
    pub until_ms: u64,
}

/// The lines that should be open at one relay, the most important first in case it does not take
/// all.
#[derive(Debug, Clone)]
pub struct OpenAt {
    /// The relay's peer id.
    pub relay: PeerId,
    /// The relay's addresses.
    pub addresses: Vec<SocketAddr>,
    /// The allowed callers, each with the UTC day of its line, counted from 1970-01-01.
    pub lines: Vec<(Caller, u32)>,
}

/// The engine's state of lines.
#[derive(Debug)]
pub(super) struct Lines {
    settings: LineSettings,
    key: LineKey,
    /// The health of relays, by row.
    health: HashMap<i64, LineHealth>,
}

impl Default for LineSettings {
    fn default() -> Self {
        Self {
            ip: IpMode::Direct,
            open: true,
            loopback_only: false,
        }
    }
}

impl Lines {
    pub(super) fn new(settings: LineSettings, key: LineKey) -> Self {
        Self {
            settings,
            key,
            health: HashMap::new(),
        }
    }
}

/// A request about a relay of this daemon, or a report on one.
pub enum LineInput {
    /// Add the relay that made an invitation.
    Add {
        /// The invitation.
        invitation: String,
        /// True if sessions leave this host through it.
        entry: bool,
        /// The new relay.
        reply: Reply<LineView>,
    },
    /// Remove the relay with this peer id or prefix of it.
    Remove(String, Reply<()>),
    /// Record the health of the relay in a row.
    Health(i64, LineHealth),
}

impl Engine {
    /// Handles a request about a relay, or a report on one.
    pub(super) fn on_line(&mut self, input: LineInput) {
        match input {
            LineInput::Add {
                invitation,
                entry,
                reply,
            } => self.run(reply, |it| it.add_line(&invitation, entry)),
            LineInput::Remove(relay, reply) => self.run(reply, |it| it.remove_line(&relay)),
            LineInput::Health(row, health) => self.set_line_health(row, health),
        }
    }

    /// Returns this daemon's relays, and the lines that should be open at them now.
    pub(super) fn lines_to_open(&mut self) -> Result<(Vec<LineRow>, OpenLines), Refusal> {
        let views = self.list_lines()?.into_iter();
        let rows = views.map(|view| view.row).collect();
        Ok((rows, self.open_lines()?))
    }

    /// Adds the relay that made an invitation. Only its id and addresses are used, so the
    /// invitation may be used up or expired.
    pub(crate) fn add_line(&mut self, text: &str, entry: bool) -> Result<LineView, Refusal> {
        let invitation = parse_invitation(text)?;
        self.check_inviter(&invitation)?;
        let relay = *invitation.peer();
        let mut addresses = typed_addresses(&invitation);
        addresses.truncate(MAX_ADDRESSES);
        if addresses.is_empty() {
            return Err(Refusal::because(
                Reason::InvitationInvalid,
                "The invitation names no address of the relay. Ask its operator for a new one.",
            ));
        }
        self.check_line_room(&relay, entry)?;
        let row = self.store.put_line(&LineRow {
            row: 0,
            relay,
            addresses,
            entry,
            created_ms: self.now_ms(),
        })?;
        self.store.set_number(OFFERS_SENT, 1)?;
        self.lines_changed()?;
        Ok(self.line_view(row))
    }

    /// Lists this daemon's relays, the oldest first.
    pub(crate) fn list_lines(&mut self) -> Result<Vec<LineView>, Refusal> {
        let rows = self.store.lines()?.into_iter();
        Ok(rows.map(|row| self.line_view(row)).collect())
    }

    /// Removes the relay with this peer id or prefix of it.
    pub(crate) fn remove_line(&mut self, text: &str) -> Result<(), Refusal> {
        let lines = self.store.lines()?.into_iter();
        let found = resolve::by_prefix(text, lines.map(|line| (line.relay, line.row)));
        let row = found.map_err(|error| match error {
            NotFound::Unknown => Refusal::new(Reason::LineUnknown),
            NotFound::Ambiguous => Refusal::new(Reason::LineAmbiguous),
        })?;
        self.store.delete_line(row)?;
        self.lines.health.remove(&row);
        self.lines_changed()
    }

    fn check_line_room(&self, relay: &PeerId, entry: bool) -> Result<(), Refusal> {
        let limit = if entry { MAX_ENTRIES } else { MAX_LINES };
        let lines = self.store.lines()?;
        let others = lines
            .iter()
            .filter(|line| line.entry == entry && line.relay != *relay);
        if others.count() >= limit {
            let items = if entry { "entry relays" } else { "relays" };
            return Err(Refusal::limit(
                "lines",
                limit,
                items,
                "Remove one of them first.",
            ));
        }
        Ok(())
    }

    fn line_view(&self, row: LineRow) -> LineView {
        let health = self.lines.health.get(&row.row).copied();
        LineView {
            row,
            health: health.unwrap_or_default(),
        }
    }

    /// Sends new offers to connected contacts, and wakes the task that listens.
    fn lines_changed(&mut self) -> Result<(), Refusal> {
        let rows: Vec<i64> = self.peers.keys().copied().collect();
        for row in rows {
            self.offer_lines(row)?;
        }
        self.wake_lines();
        Ok(())
    }

    /// Wakes the task that keeps sessions with relays, once this batch is on disk.
    pub(super) fn wake_lines(&mut self) {
        self.effect(Effect::WakeLines);
    }

    /// Records the health of a relay.
    pub(crate) fn set_line_health(&mut self, row: i64, health: LineHealth) {
        self.lines.health.insert(row, health);
    }

    /// Returns the lines that should be open now: for each contact those of today, and of the day
    /// before or after while that is near; for an invitation the line of the day on which it was
    /// made.
    pub(crate) fn open_lines(&mut self) -> Result<OpenLines, Refusal> {
        let now = self.now_ms();
        let days = days_around(now);
        let mut open = OpenLines {
            at: Vec::new(),
            until_ms: next_change(now),
        };
        if !self.lines.settings.open {
            return Ok(open);
        }
        let contacts = self.callers();
        let invitations = self.store.invitations()?;
        for line in self.store.lines()?.into_iter().filter(|line| !line.entry) {
            let newest_first = invitations.iter().rev();
            let invited = newest_first
                .filter(|row| row.created_ms >= line.created_ms && now < row.expires_ms)
                .map(|row| {
                    let caller = Caller::Invited(InviteId::from_bytes(row.id));
                    (caller, day_of(row.created_ms))
                });
            let of_day = |day: u32| contacts.iter().map(move |caller| (*caller, day));
            let mut lines: Vec<(Caller, u32)> = of_day(days.today).chain(invited).collect();
            lines.extend(days.adjacent.into_iter().flat_map(of_day));
            open.at.push(OpenAt {
                relay: line.relay,
                addresses: line.addresses,
                lines,
            });
        }
        Ok(open)
    }

    /// Returns the contacts as callers, the most recently connected first.
    fn callers(&self) -> Vec<Caller> {
        let peers = self.contacts_in(ContactState::Contact);
        let mut contacts: Vec<_> = peers
            .filter_map(|row| self.peers.get(&row))
            .map(|peer_state| &peer_state.contact)
            .collect();
        contacts.sort_by_key(|contact| (std::cmp::Reverse(contact.last_seen_ms), contact.row));
        let callers = contacts.into_iter();
        callers
            .map(|contact| Caller::Contact(contact.peer_id))
            .collect()
    }
}

/// Returns the addresses of a relay or provider from an invitation that the user entered. Private
/// and loopback addresses are accepted, since the user chose them.
pub(super) fn typed_addresses(invitation: &Invitation) -> Vec<SocketAddr> {
    let here = Surroundings::default();
    let named = invitation.addresses().iter();
    named
        .filter_map(|named| named.admit(&here, Use::Anywhere))
        .collect()
}

#[cfg(test)]
mod tests;
