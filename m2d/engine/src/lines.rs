//! This daemon's relays, the lines that are open at them, and the lines of contacts
//! (`docs/spec/line.md`).

mod contacts;
mod days;

pub(crate) use contacts::{
    end_with, forbids, invited_lines, ip_mode, keep_invited_lines, offer, on_offer, profile_mode,
    published_lines, route, shareable_addresses, usable, usable_line,
};

use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::state::{LineHealth, State};
use crate::wanted::{OpenAt, WantedLines};
use crate::{call, invitation_text, suites};
pub(super) use days::day_of;
use days::{days_around, next_change};
use m2_core::ContactState;
use m2_core::resolve::{self, NotFound};
use m2_crypto::PeerId;
use m2_crypto::address::{Surroundings, Use};
use m2_crypto::invitation::{Invitation, InviteId};
use m2_crypto::line::Caller;
use m2_proto::reason::Reason;
use m2_store::{ContactRowId, LineRow, RelayRowId};
use m2_wire::line::{MAX_ADDRESSES, MAX_LINES};
use std::net::SocketAddr;

/// The most entry relays.
const MAX_ENTRIES: usize = 4;
/// Key of the flag that is set once a relay was ever added. From then on contacts are sent offers,
/// even empty ones.
const OFFERS_SENT: &str = "lines told";

/// A relay of this daemon as front-ends see it.
#[derive(Debug, Clone)]
pub struct LineView {
    /// The stored row.
    pub row: LineRow,
    /// The current health.
    pub health: LineHealth,
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
    Health(RelayRowId, LineHealth),
}

/// Handles a request about a relay, or a report on one.
pub(crate) fn handle(engine: &mut State, input: LineInput) {
    match input {
        LineInput::Add {
            invitation,
            entry,
            reply,
        } => call::run(engine, reply, |engine| add(engine, &invitation, entry)),
        LineInput::Remove(relay, reply) => {
            call::run(engine, reply, |engine| remove(engine, &relay))
        }
        LineInput::Health(row, health) => set_line_health(engine, row, health),
    }
}

/// Returns this daemon's relays, and the lines that should be open at them now. Schedules the next
/// look for the time at which the days of the lines change.
pub(crate) fn wanted(engine: &mut State) -> Result<WantedLines, Refusal> {
    let relays = engine.batch.store.lines()?;
    let open = open_lines(engine, &relays)?;
    engine.lines.days_until_ms = next_change(engine.batch.now_ms());
    Ok(WantedLines { relays, open })
}

/// Adds the relay that made an invitation. Only its id and addresses are used, so the
/// invitation may be used up or expired.
pub(crate) fn add(engine: &mut State, text: &str, entry: bool) -> Result<LineView, Refusal> {
    let invitation = invitation_text::parse_invitation(text)?;
    invitation_text::check_inviter(engine, &invitation)?;
    let relay = *invitation.peer();
    let mut addresses = typed_addresses(&invitation);
    addresses.truncate(MAX_ADDRESSES);
    if addresses.is_empty() {
        return Err(Refusal::because(
            Reason::InvitationInvalid,
            "The invitation names no address of the relay. Ask its operator for a new one.",
        ));
    }
    check_line_room(engine, &relay, entry)?;
    let row = engine.batch.store.put_line(&LineRow {
        row: RelayRowId::default(),
        relay,
        addresses,
        entry,
        created_ms: engine.batch.now_ms(),
    })?;
    suites::carry_over(engine, &relay)?;
    engine.batch.store.set_number(OFFERS_SENT, 1)?;
    lines_changed(engine)?;
    Ok(line_view(engine, row))
}

/// Lists this daemon's relays, the oldest first.
pub(crate) fn list(engine: &mut State) -> Result<Vec<LineView>, Refusal> {
    let rows = engine.batch.store.lines()?.into_iter();
    Ok(rows.map(|row| line_view(engine, row)).collect())
}

/// Removes the relay with this peer id or prefix of it.
pub(crate) fn remove(engine: &mut State, text: &str) -> Result<(), Refusal> {
    let lines = engine.batch.store.lines()?.into_iter();
    let found = resolve::by_prefix(text, lines.map(|line| (line.relay, line.row)));
    let row = found.map_err(|error| match error {
        NotFound::Unknown => Refusal::new(Reason::LineUnknown),
        NotFound::Ambiguous => Refusal::new(Reason::LineAmbiguous),
    })?;
    engine.batch.store.delete_line(row)?;
    engine.lines.health.remove(&row);
    lines_changed(engine)
}

fn check_line_room(engine: &State, relay: &PeerId, entry: bool) -> Result<(), Refusal> {
    let limit = if entry { MAX_ENTRIES } else { MAX_LINES };
    let lines = engine.batch.store.lines()?;
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

fn line_view(engine: &State, row: LineRow) -> LineView {
    let health = engine.lines.health.get(&row.row).copied();
    LineView {
        row,
        health: health.unwrap_or_default(),
    }
}

/// Sends new offers to connected contacts, and reports what should be open now.
fn lines_changed(engine: &mut State) -> Result<(), Refusal> {
    let rows: Vec<ContactRowId> = engine.peers.rows();
    for row in rows {
        offer(engine, row)?;
    }
    engine.batch.changed.relays = true;
    Ok(())
}

/// Records the health of a relay.
fn set_line_health(engine: &mut State, row: RelayRowId, health: LineHealth) {
    engine.lines.health.insert(row, health);
}

/// Returns the lines that should be open now: for each contact those of today, and of the day
/// before or after while that is near; for an invitation the line of the day on which it was
/// made.
fn open_lines(engine: &State, relays: &[LineRow]) -> Result<Vec<OpenAt>, Refusal> {
    let mut open = Vec::new();
    if !engine.lines.settings.open {
        return Ok(open);
    }
    let now = engine.batch.now_ms();
    let days = days_around(now);
    let contacts = callers(engine);
    let invitations = engine.batch.store.invitations()?;
    for line in relays.iter().filter(|line| !line.entry) {
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
        open.push(OpenAt {
            relay: line.relay,
            addresses: line.addresses.clone(),
            lines,
        });
    }
    Ok(open)
}

/// Returns the contacts as callers, the most recently connected first.
fn callers(engine: &State) -> Vec<Caller> {
    let peers = engine.peers.contacts_in(ContactState::Contact);
    let mut contacts: Vec<_> = peers
        .filter_map(|row| engine.peers.get(&row))
        .map(|peer_state| &peer_state.contact)
        .collect();
    contacts.sort_by_key(|contact| (std::cmp::Reverse(contact.last_seen_ms), contact.row));
    let callers = contacts.into_iter();
    callers
        .map(|contact| Caller::Contact(contact.peer_id))
        .collect()
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
