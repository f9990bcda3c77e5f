//! Offers lines to contacts, stores the lines that contacts offer, and builds the routes to
//! contacts (`docs/spec/line.md#offers`).

use super::OFFERS_SENT;
use super::days::day_of;
use crate::refusal::Refusal;
use crate::state::State;
use m2_core::IpMode;
use m2_core::dial::{Route, Target};
use m2_core::{ContactLine, LineTokens};
use m2_crypto::PeerId;
use m2_crypto::address::{NamedAddress, Use};
use m2_crypto::invitation::{Invitation, InviteId, InvitedLine};
use m2_crypto::line::Caller;
use m2_crypto::presence::{self, PresenceLine};
use m2_delivery::Path;
use m2_store::{ContactRowId, LineRow};
use m2_wire::Message;
use m2_wire::line::{Line, MAX_DAYS, MAX_LINES, OfferedLine};
use std::net::SocketAddr;

/// Limits of the lines in an invitation, which must fit into a QR code.
const MAX_INVITED: usize = 3;
const MAX_INVITED_ADDRESSES: usize = 2;

/// The most addresses of a route.
const MAX_ROUTE: usize = 12;

/// Sends a contact the lines on which it may dial, on its session. The offer may be empty. It
/// is skipped for a peer that is no contact, and until this daemon first had a relay.
pub(crate) fn offer(engine: &mut State, contact: ContactRowId) -> Result<(), Refusal> {
    if !engine.peers.is_contact(contact) || engine.batch.store.number(OFFERS_SENT)?.is_none() {
        return Ok(());
    }
    let Some(link) = engine.peers.serving(contact) else {
        return Ok(());
    };
    let offer = Line::Offer(offered_lines(engine, &link.peer_id)?);
    let frame = Message::Line(Box::new(offer));
    engine.batch.push_frame(link.id, frame);
    Ok(())
}

pub(crate) fn offered_lines(engine: &State, peer: &PeerId) -> Result<Vec<OfferedLine>, Refusal> {
    let caller = Caller::Contact(*peer);
    // The contact's clock may be behind this daemon's.
    let first_day = day_of(engine.batch.now_ms()).saturating_sub(1);
    let lines = relays_for_callers(engine)?.into_iter();
    let offered = lines.filter_map(|line| {
        let addresses = shareable_addresses(engine, &line.addresses);
        let days = (first_day..).take(MAX_DAYS);
        let token = |day| {
            engine
                .lines
                .key
                .secret(&line.relay, day, &caller)
                .join_token()
        };
        (!addresses.is_empty()).then(|| OfferedLine {
            relay: line.relay,
            tokens: days.map(token).collect(),
            addresses,
            first_day,
        })
    });
    Ok(offered.take(MAX_LINES).collect())
}

/// Returns the lines on which a caller may dial on a UTC day, for a record of that day
/// (`docs/spec/lookup.md#records`).
pub(crate) fn published_lines(
    engine: &State,
    caller: Caller,
    day: u32,
) -> Result<Vec<PresenceLine>, Refusal> {
    let lines = relays_for_callers(engine)?.into_iter();
    let published = lines.filter_map(|line| {
        let mut addresses = shareable_addresses(engine, &line.addresses);
        addresses.truncate(presence::MAX_LINE_ADDRESSES);
        let secret = engine.lines.key.secret(&line.relay, day, &caller);
        (!addresses.is_empty()).then(|| PresenceLine {
            relay: line.relay,
            token: secret.join_token(),
            addresses,
        })
    });
    Ok(published.take(presence::MAX_LINES).collect())
}

/// Returns the relays at which others may dial; none if the configuration closes them.
fn relays_for_callers(engine: &State) -> Result<Vec<LineRow>, Refusal> {
    if !engine.lines.settings.open {
        return Ok(Vec::new());
    }
    let mut relays = engine.batch.store.lines()?;
    relays.retain(|line| !line.entry);
    Ok(relays)
}

/// Returns the addresses of a relay or provider of this daemon that may be named to others.
pub(crate) fn shareable_addresses(engine: &State, own: &[SocketAddr]) -> Vec<NamedAddress> {
    let loopback_only = engine.lines.settings.loopback_only;
    let shareable =
        |address: &SocketAddr| NamedAddress::for_peer(*address, Use::Service, loopback_only);
    own.iter().filter_map(shareable).collect()
}

/// Returns the encoded lines of an invitation that is made at `now_ms`.
pub(crate) fn invited_lines(
    engine: &State,
    invitation: &InviteId,
    now_ms: u64,
) -> Result<Vec<Vec<u8>>, Refusal> {
    let (caller, day) = (Caller::Invited(*invitation), day_of(now_ms));
    let lines = relays_for_callers(engine)?.into_iter();
    let invited = lines.filter_map(|line| {
        let mut addresses = shareable_addresses(engine, &line.addresses);
        addresses.truncate(MAX_INVITED_ADDRESSES);
        let secret = engine.lines.key.secret(&line.relay, day, &caller);
        // Empty without an address.
        let invited = InvitedLine {
            relay: line.relay,
            token: secret.join_token(),
            addresses,
        };
        invited.to_bytes()
    });
    Ok(invited.take(MAX_INVITED).collect())
}

/// Stores the lines of an invitation, under which the inviter is dialled until it offers
/// others.
pub(crate) fn keep_invited_lines(
    engine: &mut State,
    contact: ContactRowId,
    invitation: &Invitation,
) -> Result<(), Refusal> {
    let lines = invitation.invited_lines().map(|line| ContactLine {
        relay: line.relay,
        addresses: line.addresses,
        tokens: LineTokens::Always(line.token),
    });
    let lines: Vec<_> = lines.filter_map(|line| usable_line(engine, line)).collect();
    if !lines.is_empty() {
        engine.batch.store.replace_contact_lines(contact, &lines)?;
    }
    Ok(())
}

/// Returns a line with those addresses of its relay that may be dialled; `None` without any.
pub(crate) fn usable_line(engine: &State, mut line: ContactLine) -> Option<ContactLine> {
    line.addresses = usable(engine, line.addresses, Use::Service);
    (!line.addresses.is_empty()).then_some(line)
}

/// Returns those addresses named by others that may be dialled in some network. Counts the
/// rest.
pub(crate) fn usable(
    engine: &State,
    mut named: Vec<NamedAddress>,
    wanted: Use,
) -> Vec<NamedAddress> {
    let loopback_only = engine.lines.settings.loopback_only;
    let before = named.len();
    named.retain(|address| address.may_suit(wanted, loopback_only));
    let refused = u64::try_from(before - named.len()).unwrap_or(u64::MAX);
    engine.batch.counters.add("ADDRESS_NOT_ALLOWED", refused);
    named
}

/// Stores the lines that a contact offers. They replace all that it offered before.
pub(crate) fn on_offer(
    engine: &mut State,
    contact: ContactRowId,
    offered: Vec<OfferedLine>,
) -> Result<(), Refusal> {
    let lines = offered.into_iter().map(contact_line);
    let lines: Vec<ContactLine> = lines.filter_map(|line| usable_line(engine, line)).collect();
    if engine.batch.store.contact_lines(contact)? != lines {
        engine.batch.store.replace_contact_lines(contact, &lines)?;
    }
    Ok(())
}

/// Deletes the lines of a peer that is no contact any more. Its own join tokens become invalid.
pub(crate) fn end_with(engine: &mut State, contact: ContactRowId) -> Result<(), Refusal> {
    engine.batch.store.replace_contact_lines(contact, &[])?;
    engine.batch.changed.relays = true;
    Ok(())
}

/// Returns the mode for a contact's sessions: the stricter of its own policy and the profile's.
pub(crate) fn ip_mode(engine: &State, contact: ContactRowId) -> IpMode {
    let own = engine
        .peers
        .get(&contact)
        .and_then(|peer_state| peer_state.contact.ip);
    own.unwrap_or_default().max(engine.lines.settings.ip)
}

/// Returns the profile's mode.
pub(crate) fn profile_mode(engine: &State) -> IpMode {
    engine.lines.settings.ip
}

/// Returns the route to a contact. It has direct addresses only where the mode allows them.
pub(crate) fn route(engine: &State, contact: ContactRowId) -> Result<Route, Refusal> {
    let mode = ip_mode(engine, contact);
    let known = match mode {
        IpMode::LineOnly => Vec::new(),
        IpMode::Direct | IpMode::PreferLine => engine.batch.store.addresses(contact)?,
    };
    let known = known.into_iter();
    let mut addresses: Vec<Target> = known.map(|known| Target::known(known, mode)).collect();
    let mut lines = engine.batch.store.contact_lines(contact)?;
    if let Some(peer_state) = engine.peers.get(&contact) {
        let found = &peer_state.found;
        if mode != IpMode::LineOnly {
            let lan = found.lan(engine.batch.clock.steady_ms()).iter().copied();
            let published = found.dht().iter().copied();
            let of = |named| Target::named(named, mode);
            let all = lan.map(of).chain(addresses).chain(published.map(of));
            addresses = distinct(all);
        }
        let is_new = |line: &&ContactLine| lines.iter().all(|known| known.relay != line.relay);
        let news: Vec<_> = found.lines().iter().filter(is_new).cloned().collect();
        lines.extend(news);
    }
    Ok(Route {
        mode,
        addresses,
        lines,
        one_died: false,
    })
}

fn distinct(all: impl Iterator<Item = Target>) -> Vec<Target> {
    let mut kept: Vec<Target> = Vec::new();
    for target in all {
        if kept.len() < MAX_ROUTE && !kept.iter().any(|other| other.is_at(&target)) {
            kept.push(target);
        }
    }
    kept
}

/// Returns an offered line as it is stored.
pub(super) fn contact_line(offered: OfferedLine) -> ContactLine {
    ContactLine {
        relay: offered.relay,
        addresses: offered.addresses,
        tokens: LineTokens::Daily {
            first_day: offered.first_day,
            tokens: offered.tokens,
        },
    }
}

/// Returns whether sessions with a contact may not use a path.
pub(crate) fn forbids(engine: &State, row: ContactRowId, path: Path) -> bool {
    path == Path::Direct && ip_mode(engine, row) == IpMode::LineOnly
}
