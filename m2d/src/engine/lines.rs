//! This daemon's relays, the lines that are open at them, and the lines of contacts
//! (`docs/spec/line.md`).

mod contacts;
mod days;
mod facts;

pub use facts::PrivacyFacts;

use super::Engine;
use super::contacts::parse_invitation;
use super::effect::Effect;
use crate::config::IpMode;
use crate::refusal::Refusal;
use crate::store::LineRow;
pub(super) use days::day_of;
use days::{days_around, next_change};
use m2_core::ContactState;
use m2_crypto::PeerId;
use m2_crypto::address::{Surroundings, Use};
use m2_crypto::invitation::{Invitation, InviteId};
use m2_crypto::line::{Caller, LineKey};
use m2_net::wire::line::{MAX_ADDRESSES, MAX_LINES};
use m2_proto::reason::Reason;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// The most entry relays.
const MAX_ENTRIES: usize = 4;
/// The shortest prefix of a peer id that identifies a relay.
const MIN_PREFIX: usize = 10;
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

/// Wakes the task that keeps lines open when the relays or the allowed callers change. The value
/// carries no information.
pub type LineWake = watch::Sender<()>;

/// The engine's state of lines.
#[derive(Debug)]
pub(super) struct Lines {
    settings: LineSettings,
    key: LineKey,
    /// The health of relays, by row.
    health: HashMap<i64, LineHealth>,
    /// Wakes the task that keeps sessions with relays.
    pub wake: Arc<LineWake>,
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
            wake: Arc::new(watch::Sender::new(())),
        }
    }
}

impl Engine {
    /// Adds the relay that made an invitation. Only its id and addresses are used, so the
    /// invitation may be used up or expired.
    pub fn add_line(&mut self, text: &str, entry: bool) -> Result<LineView, Refusal> {
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
    pub fn list_lines(&mut self) -> Result<Vec<LineView>, Refusal> {
        let rows = self.store.lines()?.into_iter();
        Ok(rows.map(|row| self.line_view(row)).collect())
    }

    /// Removes the relay with this peer id or prefix of it.
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
        self.effects.push(Effect::WakeLines);
    }

    /// Returns the sender that wakes the task when the relays or the allowed callers change.
    pub fn line_wake(&self) -> Arc<LineWake> {
        self.lines.wake.clone()
    }

    /// Records the health of a relay.
    pub fn set_line_health(&mut self, row: i64, health: LineHealth) {
        self.lines.health.insert(row, health);
    }

    /// Returns the lines that should be open now: for each contact those of today, and of the day
    /// before or after while that is near; for an invitation the line of the day on which it was
    /// made.
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
mod tests {
    use super::*;
    use crate::engine::upkeep::tests::{engine, pass_ms};
    use crate::engine::{NewInvitation, PolicyChange};
    use m2_core::dial::Target;
    use m2_core::{KnownAddress, LineTokens};
    use m2_crypto::address::NamedAddress;
    use m2_crypto::invitation::{InvitedLine, Offer};
    use m2_crypto::line::JoinToken;
    use m2_net::wire::line::OfferedLine;

    const DAY_MS: u64 = 86_400_000;

    fn peer(number: u8) -> PeerId {
        PeerId::from_bytes([number; 32])
    }

    /// A made-up address of a peer behind a relay, which cannot be dialled.
    fn on_line() -> NamedAddress {
        "[fc4d:3200::1]:9".parse().unwrap()
    }

    /// An invitation of another daemon in the same circle, with an address and a line.
    fn invitation(engine: &mut Engine, from: PeerId) -> String {
        let addresses = vec!["11.0.2.1:1111".parse().unwrap(), on_line()];
        let line = InvitedLine {
            relay: peer(90),
            token: JoinToken([9; 16]),
            addresses: addresses.clone(),
        };
        let offer = Offer {
            reusable: false,
            expires_s: u64::MAX,
            addresses,
            lines: vec![line.to_bytes().unwrap()],
        };
        let (rng, circle) = (&mut engine.rng, engine.circle.id());
        let made = Invitation::create(rng, from, circle, offer).unwrap();
        made.to_uri().to_string()
    }

    fn contact(engine: &mut Engine, number: u8) -> i64 {
        engine
            .new_contact(peer(number), ContactState::Contact, "")
            .unwrap()
    }

    fn add(engine: &mut Engine, relay: u8, entry: bool) -> Result<LineView, Refusal> {
        let text = invitation(engine, peer(relay));
        engine.add_line(&text, entry)
    }

    /// Advances the clock to noon, when only one day's lines are open. Returns the day.
    fn noon(engine: &mut Engine) -> u32 {
        let now = engine.now_ms();
        pass_ms(engine, DAY_MS - now % DAY_MS + DAY_MS / 2);
        day_of(engine.now_ms())
    }

    #[test]
    fn only_contacts_and_invitees_may_dial() {
        let (_dir, mut engine) = engine();
        let today = noon(&mut engine);
        add(&mut engine, 50, false).unwrap();
        add(&mut engine, 51, true).unwrap();
        contact(&mut engine, 1);
        contact(&mut engine, 2);
        engine
            .new_contact(peer(3), ContactState::Request, "")
            .unwrap();
        let new = NewInvitation {
            reusable: false,
            valid_ms: 3 * DAY_MS,
            contact_name: String::new(),
            addresses: Vec::new(),
        };
        let (row, uri) = engine.create_invitation(new).unwrap();
        let invited = Caller::Invited(InviteId::from_bytes(row.id));
        let open = engine.open_lines().unwrap();
        assert_eq!(open.at.len(), 1, "no line is open at an entry");
        let callers = [1, 2].map(|number| (Caller::Contact(peer(number)), today));
        let expected = [callers[0], callers[1], (invited, today)];
        assert_eq!(open.at[0].lines, expected);

        // The token in the invitation matches the open line, also on another day.
        let line = uri.parse::<Invitation>().unwrap();
        let line = line.invited_lines().next().unwrap();
        let secret = engine.lines.key.secret(&line.relay, today, &invited);
        assert!(line.relay == peer(50) && line.token == secret.join_token());
        engine.block_contact(&peer(2).to_string()).unwrap();
        let tomorrow = noon(&mut engine);
        let open = engine.open_lines().unwrap();
        let expected = [(Caller::Contact(peer(1)), tomorrow), (invited, today)];
        assert_eq!(open.at[0].lines, expected);
        engine.revoke_invitation(row.id).unwrap();
        assert_eq!(engine.open_lines().unwrap().at[0].lines.len(), 1);
    }

    #[test]
    fn offered_tokens_match_the_open_lines() {
        let (_dir, mut engine) = engine();
        let today = noon(&mut engine);
        add(&mut engine, 50, false).unwrap();
        add(&mut engine, 51, true).unwrap();
        contact(&mut engine, 1);
        let offered = engine.offered_lines(&peer(1)).unwrap();
        assert_eq!(offered.len(), 1, "entries are not offered");
        assert_eq!(offered[0].relay, peer(50));
        let line = contacts::contact_line(offered[0].clone());
        let key = &engine.lines.key;
        for day in [today - 1, today, today + 38] {
            let secret = key.secret(&peer(50), day, &Caller::Contact(peer(1)));
            assert_eq!(line.tokens.of_day(day), Some(secret.join_token()));
        }
        assert_eq!(line.tokens.of_day(today + 39), None);
        engine.lines.settings.open = false;
        assert!(engine.offered_lines(&peer(1)).unwrap().is_empty());
        assert!(engine.open_lines().unwrap().at.is_empty());
    }

    #[test]
    fn the_lines_of_a_contact_are_deleted_with_it() {
        let (_dir, mut engine) = engine();
        let text = invitation(&mut engine, peer(1));
        engine.add_contact(&text, "").unwrap();
        let row = engine.row_of(&peer(1)).unwrap();
        let route = engine.route(row).unwrap();
        let somewhere: NamedAddress = "11.0.2.1:1111".parse().unwrap();
        let named = Target::known(KnownAddress::Named(somewhere), IpMode::Direct);
        assert_eq!(route.addresses, [named], "the address on a line is dropped");
        assert_eq!(route.lines[0].addresses, [somewhere]);
        let token = LineTokens::Always(JoinToken([9; 16]));
        assert_eq!(route.lines[0].tokens, token);
        engine.contact_mut(row).unwrap().state = ContactState::Contact;

        let offer = |relay, address| OfferedLine {
            relay: peer(relay),
            addresses: vec![address],
            first_day: 1,
            tokens: vec![JoinToken([1; 16])],
        };
        let offers = vec![offer(60, somewhere), offer(61, on_line())];
        engine.on_line_offer(row, offers).unwrap();
        let lines = engine.route(row).unwrap().lines;
        assert!(lines.len() == 1 && lines[0].relay == peer(60), "{lines:?}");
        engine.remove_contact(&peer(1).to_string(), false).unwrap();
        assert!(engine.route(row).unwrap().lines.is_empty());
    }

    #[test]
    fn a_line_only_contact_has_no_address_and_gets_no_letters() {
        let (_dir, mut engine) = engine();
        let text = invitation(&mut engine, peer(1));
        engine.add_contact(&text, "bob").unwrap();
        let row = engine.row_of(&peer(1)).unwrap();
        let change = |ip| PolicyChange {
            ip: Some(ip),
            ..PolicyChange::default()
        };
        engine
            .set_policy("bob", change(Some(IpMode::LineOnly)))
            .unwrap();
        let route = engine.route(row).unwrap();
        assert!(route.mode == IpMode::LineOnly && route.addresses.is_empty());
        assert!(engine.forbids(row, m2_delivery::Path::Direct));
        assert!(!engine.forbids(row, m2_delivery::Path::Line));
        engine.set_policy("bob", change(None)).unwrap();
        assert_eq!(engine.route(row).unwrap().addresses.len(), 1);
        engine.lines.settings.ip = IpMode::PreferLine;
        let weaker = engine.set_policy("bob", change(Some(IpMode::Direct)));
        assert_eq!(weaker.unwrap_err().reason, Reason::InvalidArgument);
    }

    #[test]
    fn own_relays_are_bounded_and_never_this_daemon() {
        let (_dir, mut engine) = engine();
        let own = engine.own_id;
        let text = invitation(&mut engine, own);
        let refused = engine.add_line(&text, false).unwrap_err();
        assert_eq!(refused.reason, Reason::InvitationOwn);
        for relay in 0..MAX_LINES as u8 {
            let view = add(&mut engine, 50 + relay, false).unwrap();
            assert_eq!(
                view.row.addresses.len(),
                1,
                "the address on a line is dropped"
            );
        }
        let refused = add(&mut engine, 80, false).unwrap_err();
        assert_eq!(refused.reason, Reason::LimitReached);
        add(&mut engine, 80, true).unwrap();
        // An entry may become a normal relay, and the reverse, if there is room.
        assert!(add(&mut engine, 80, false).is_err());
        add(&mut engine, 50, true).unwrap();
        add(&mut engine, 80, false).unwrap();
        let facts = engine.privacy_facts().unwrap();
        assert_eq!((facts.relays, facts.entries), (MAX_LINES, 1));
        engine.remove_line(&peer(80).to_string()[..12]).unwrap();
        assert!(engine.remove_line("m21").is_err());
        assert_eq!(engine.list_lines().unwrap().len(), MAX_LINES);
    }
}
