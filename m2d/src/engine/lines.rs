//! Our relays, the lines that are open at them, and those of contacts (spec §7,
//! docs/spec/line.md).

mod contacts;
mod days;
mod facts;

pub use facts::PrivacyFacts;

use super::Engine;
use super::effect::Effect;
use crate::config::IpMode;
use crate::refusal::Refusal;
use crate::store::{ContactState, LineRow};
use days::{day_of, days_around, next_change};
use m2_crypto::PeerId;
use m2_crypto::invitation::{Invitation, InvitationError, InviteId};
use m2_crypto::line::{Caller, LineKey};
use m2_net::line::is_on_line;
use m2_net::wire::line::{MAX_ADDRESSES, MAX_LINES};
use m2_proto::reason::Reason;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// Relays that stand in front of others.
const MAX_ENTRIES: usize = 4;
/// The shortest beginning of a peer id that names a relay.
const MIN_PREFIX: usize = 10;
/// Set once a relay was ever added: from then on contacts are told of lines, also that there are
/// none.
const TOLD: &str = "lines told";

/// What the configuration says about lines.
#[derive(Debug, Clone, Copy)]
pub struct LineSettings {
    /// Which ways sessions take.
    pub ip: IpMode,
    /// Whether contacts may call at our relays.
    pub open: bool,
}

/// A relay of ours as shown.
#[derive(Debug, Clone)]
pub struct LineView {
    /// What is stored.
    pub row: LineRow,
    /// How it is doing.
    pub health: LineHealth,
}

/// How a relay of ours is doing, as the task that keeps sessions with relays tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineHealth {
    /// A session with it is up.
    pub online: bool,
    /// Lines that are open there.
    pub open: u32,
    /// Why there is no session, a stable reason, or empty.
    pub failure: &'static str,
}

/// The lines that are to be open now (spec §7).
#[derive(Debug, Clone, Default)]
pub struct OpenLines {
    /// Our relays but for entries, the oldest first.
    pub at: Vec<OpenAt>,
    /// When the days change: ask again then, Unix milliseconds.
    pub until_ms: u64,
}

/// The lines that are to be open at one relay. What matters most comes first, should the relay
/// not take them all.
#[derive(Debug, Clone)]
pub struct OpenAt {
    /// The relay.
    pub relay: PeerId,
    /// Where it is.
    pub addresses: Vec<SocketAddr>,
    /// Who may call there, and the UTC day of the line, days since 1970.
    pub lines: Vec<(Caller, u32)>,
}

/// Rings when the own relays, or who may call, changed. The value means nothing.
pub type LineWake = watch::Sender<()>;

/// The lines' side of the engine.
#[derive(Debug)]
pub(super) struct Lines {
    settings: LineSettings,
    key: LineKey,
    /// How our relays are doing, by row.
    health: HashMap<i64, LineHealth>,
    /// Whom to tell of changes.
    pub wake: Arc<LineWake>,
}

impl Default for LineSettings {
    fn default() -> Self {
        Self {
            ip: IpMode::Direct,
            open: true,
        }
    }
}

impl Lines {
    pub(super) fn new(settings: LineSettings, key: LineKey) -> Self {
        Self {
            settings,
            key,
            health: HashMap::new(),
            wake: Arc::new(watch::Sender::new(())),
        }
    }
}

impl Engine {
    /// Takes the relay that made an invitation as an own one. Of the invitation only who and
    /// where matters, so it may be used up or expired.
    pub fn add_line(&mut self, text: &str, entry: bool) -> Result<LineView, Refusal> {
        let invitation: Invitation = text.trim().parse().map_err(|error: InvitationError| {
            Refusal::because(Reason::InvitationInvalid, error.to_string())
        })?;
        self.check_inviter(&invitation)?;
        let relay = *invitation.peer();
        let mut addresses = invitation.addresses().to_vec();
        addresses.retain(|address| !is_on_line(address));
        addresses.truncate(MAX_ADDRESSES);
        if addresses.is_empty() {
            return Err(Refusal::because(
                Reason::InvitationInvalid,
                "The invitation names no address of the relay.",
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
        self.store.set_number(TOLD, 1)?;
        self.lines_changed()?;
        Ok(self.line_view(row))
    }

    /// Our relays, the oldest first.
    pub fn list_lines(&mut self) -> Result<Vec<LineView>, Refusal> {
        let rows = self.store.lines()?.into_iter();
        Ok(rows.map(|row| self.line_view(row)).collect())
    }

    /// Ends the use of the relay that a text names: its peer id, or the beginning of it.
    pub fn remove_line(&mut self, text: &str) -> Result<(), Refusal> {
        let folded = text.to_lowercase();
        let is_meant = |row: &LineRow| {
            folded.len() >= MIN_PREFIX && row.relay.to_string().starts_with(&folded)
        };
        let found = self.store.lines()?.into_iter().find(is_meant);
        let row = found.ok_or_else(|| Refusal::new(Reason::LineUnknown))?.row;
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
            return Err(Refusal::new(Reason::LimitReached));
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

    /// Tells contacts that are in session, and the task that listens.
    fn lines_changed(&mut self) -> Result<(), Refusal> {
        let rows: Vec<i64> = self.slots.keys().copied().collect();
        for row in rows {
            self.offer_lines(row)?;
        }
        self.wake_lines();
        Ok(())
    }

    /// Tells the task that keeps sessions with our relays, once this batch is on disk.
    pub(super) fn wake_lines(&mut self) {
        self.effects.push(Effect::WakeLines);
    }

    /// Rings when the own relays, or who may call, changed.
    pub fn line_wake(&self) -> Arc<LineWake> {
        self.lines.wake.clone()
    }

    /// How one of our relays is doing.
    pub fn set_line_health(&mut self, row: i64, health: LineHealth) {
        self.lines.health.insert(row, health);
    }

    /// Which lines are to be open now: for every contact those of today, and of the day before or
    /// after while that is near; for an invitation the one of the day on which it was made.
    pub fn open_lines(&mut self) -> Result<OpenLines, Refusal> {
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
            lines.extend(days.beside.into_iter().flat_map(of_day));
            open.at.push(OpenAt {
                relay: line.relay,
                addresses: line.addresses,
                lines,
            });
        }
        Ok(open)
    }

    /// Contacts, those first that were here last.
    fn callers(&self) -> Vec<Caller> {
        let slots = self.contacts_in(ContactState::Contact);
        let mut contacts: Vec<_> = slots
            .filter_map(|row| self.slots.get(&row))
            .map(|slot| &slot.contact)
            .collect();
        contacts.sort_by_key(|contact| (std::cmp::Reverse(contact.last_seen_ms), contact.row));
        let callers = contacts.into_iter();
        callers
            .map(|contact| Caller::Contact(contact.peer_id))
            .collect()
    }
}
