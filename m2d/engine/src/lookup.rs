//! Determines which records are published and which peers are looked up, and uses the results
//! (`docs/spec/lookup.md`).

use crate::lines::day_of;
use crate::pseudonym::Pseudonym;
use crate::refusal::Refusal;
use crate::state::State;
use crate::{dialling, invitations, lines};
use m2_core::IpMode;
use m2_core::dial::use_of;
use m2_core::found::MAX_FOUND;
use m2_core::{ContactLine, ContactState, LineTokens};
use m2_crypto::PeerId;
use m2_crypto::address::NamedAddress;
use m2_crypto::invitation::InviteId;
use m2_crypto::line::Caller;
use m2_crypto::presence::{PresenceKey, PresenceLine, PresenceSecret, RecordKey};
use m2_delivery::Path;
use m2_store::{ContactRowId, InvitationRow, LookupSecrets};

/// A record to publish for one contact or invitation.
#[derive(Debug, Clone)]
pub struct PresencePlan {
    /// What the record is published under.
    pub key: PresenceKey,
    /// True if the record may contain addresses.
    pub direct: bool,
    /// Lines on which the reader may dial on the record's day.
    pub lines: Vec<PresenceLine>,
}

/// A peer to look up.
#[derive(Debug, Clone)]
pub struct LookupTarget {
    /// The peer's id.
    pub peer: PeerId,
    /// What the peer publishes under for this daemon.
    pub key: PresenceKey,
    /// True if messages wait for the peer and the known paths failed.
    pub in_need: bool,
}

/// Where a result was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundBy {
    /// In an announcement in the local network.
    Lan,
    /// In a DHT record made at this time, in Unix seconds.
    Dht(u64),
}

/// A result for a peer that is looked up.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// The peer's id.
    pub peer: PeerId,
    /// Where it was found.
    pub by: FoundBy,
    /// Addresses at which the peer may be dialled.
    pub addresses: Vec<NamedAddress>,
    /// Lines on which the peer may be dialled on the day of the record.
    pub lines: Vec<PresenceLine>,
}

/// Returns the records to publish for a UTC day, those of contacts first. Line-only contacts
/// get no record: they know the DHT keys of their records, and an observer with a node near
/// such a key sees the publisher's address.
pub(crate) fn publications(engine: &mut State, day: u32) -> Result<Vec<PresencePlan>, Refusal> {
    let mut all = Vec::new();
    let contacts: Vec<ContactRowId> = engine.peers.contacts_in(ContactState::Contact).collect();
    for row in contacts {
        let Some(secrets) = lookup_secrets(engine, row)? else {
            continue;
        };
        let peer = engine.peers.contact_mut(row)?.peer_id;
        if lines::ip_mode(engine, row) == IpMode::LineOnly {
            continue;
        }
        let lines = lines::published_lines(engine, Caller::Contact(peer), day)?;
        all.push(PresencePlan {
            key: PresenceKey::of_pair(PresenceSecret::new(secrets.ours)),
            direct: shows_address(lines::ip_mode(engine, row), &lines),
            lines,
        });
    }
    for invitation in invitations::list(engine)? {
        let caller = Caller::Invited(InviteId::from_bytes(invitation.id));
        let lines = lines::published_lines(engine, caller, day_of(invitation.created_ms))?;
        all.push(PresencePlan {
            key: presence_key(&invitation),
            direct: shows_address(lines::profile_mode(engine), &lines),
            lines,
        });
    }
    Ok(all)
}

/// Returns the contacts without a direct session, and the peers that this daemon asked.
/// Line-only contacts are left out, as a query also reveals this host's address.
pub(crate) fn sought(engine: &mut State) -> Result<Vec<LookupTarget>, Refusal> {
    let asked = engine.peers.contacts_in(ContactState::Asked);
    let rows: Vec<ContactRowId> = asked
        .chain(engine.peers.contacts_in(ContactState::Contact))
        .collect();
    let mut all = Vec::new();
    for row in rows {
        let mode = lines::ip_mode(engine, row);
        if mode == IpMode::LineOnly {
            continue;
        }
        let Some(peer_state) = engine.peers.get(&row) else {
            continue;
        };
        let (is_online, failed) = (
            peer_state.link().is_some(),
            peer_state.last_failure.is_some(),
        );
        if peer_state
            .link()
            .is_some_and(|link| link.path == Path::Direct)
        {
            continue;
        }
        let (peer, asked) = (
            peer_state.contact.peer_id,
            peer_state.contact.invite_token.is_some(),
        );
        let Some(key) = key_of(engine, row)? else {
            continue;
        };
        let waits = asked || engine.batch.store.has_outbox(row)?;
        all.push(LookupTarget {
            peer,
            key,
            in_need: waits && failed && !is_online,
        });
    }
    Ok(all)
}

/// Stores a result and dials the peer if it is useful.
pub(crate) fn take_finding(engine: &mut State, finding: Discovery) {
    if let Err(refusal) = on_found(engine, finding) {
        engine.batch.fail(refusal);
    }
}

fn on_found(engine: &mut State, finding: Discovery) -> Result<(), Refusal> {
    let Some(row) = engine.peers.row_of(&finding.peer) else {
        return Ok(());
    };
    let (mode, now_ms) = (lines::ip_mode(engine, row), engine.batch.now_ms());
    let steady_ms = engine.batch.clock.steady_ms();
    let mut addresses = lines::usable(engine, finding.addresses, use_of(mode));
    addresses.truncate(MAX_FOUND);
    let lines = finding.lines.into_iter().map(line);
    let lines = lines
        .filter_map(|line| lines::usable_line(engine, line))
        .collect();
    let Some(peer_state) = engine.peers.get_mut(&row) else {
        return Ok(());
    };
    if mode == IpMode::LineOnly {
        addresses.clear();
    }
    let found = &mut peer_state.found;
    match finding.by {
        FoundBy::Lan if mode == IpMode::Direct => {
            let is_new = found.hear(addresses, steady_ms);
            if !found.may_dial_lan(steady_ms) && !is_new {
                return Ok(());
            }
        }
        FoundBy::Lan => return Ok(()),
        FoundBy::Dht(made_s) => {
            if !found.read(made_s, now_ms / 1_000, addresses, lines) {
                return Ok(());
            }
        }
    }
    let link = peer_state.link().cloned();
    let name = Pseudonym::of(&finding.peer);
    tracing::debug!(peer = %name, by = ?finding.by, "look-up has new addresses or lines");
    match link {
        None => dialling::dial(engine, row),
        Some(link) if finding.by == FoundBy::Lan && link.path == Path::Line => {
            dialling::dial_successor(engine, &link);
            Ok(())
        }
        // The session does not serve any more, and the new address may lead to its successor.
        Some(link) if engine.sessions.wants_successor(link.id) => {
            dialling::dial_replacement(engine, &link);
            Ok(())
        }
        // Kept for the time after this session.
        Some(_) => Ok(()),
    }
}

/// Returns what this daemon publishes under for the holders of an invitation.
fn presence_key(invitation: &InvitationRow) -> PresenceKey {
    let own = RecordKey::Seed(invitation.record_seed.clone());
    PresenceKey::of_invitation(&invitation.token, own)
}

/// Returns what a contact publishes under for this daemon, or an asked peer for its invitees.
pub(crate) fn key_of(
    engine: &mut State,
    row: ContactRowId,
) -> Result<Option<PresenceKey>, Refusal> {
    let contact = engine.peers.contact_mut(row)?;
    let (state, token) = (contact.state, contact.invite_token.clone());
    let secrets = lookup_secrets(engine, row)?;
    let key = secrets.and_then(|secrets| match state {
        // The key of the invitation's records is kept in place of a secret of the pair.
        ContactState::Asked => {
            let own = RecordKey::Public(*secrets.theirs.expose());
            Some(PresenceKey::of_invitation(&token?, own))
        }
        _ => Some(PresenceKey::of_pair(PresenceSecret::new(secrets.theirs))),
    });
    Ok(key)
}

/// Returns the pairwise secrets of a contact, or an asked peer's invitation secrets.
fn lookup_secrets(engine: &mut State, row: ContactRowId) -> Result<Option<LookupSecrets>, Refusal> {
    let known = engine
        .peers
        .get(&row)
        .and_then(|peer_state| peer_state.secrets.clone());
    if known.is_some() {
        return Ok(known);
    }
    let stored = engine.batch.store.lookup_secrets(row)?;
    if let Some(peer_state) = engine.peers.get_mut(&row) {
        peer_state.secrets.clone_from(&stored);
    }
    Ok(stored)
}

/// Returns whether a record shows addresses. With lines preferred it does only if there is no line.
fn shows_address(mode: IpMode, lines: &[PresenceLine]) -> bool {
    match mode {
        IpMode::Direct => true,
        IpMode::PreferLine => lines.is_empty(),
        IpMode::LineOnly => false,
    }
}

fn line(line: PresenceLine) -> ContactLine {
    ContactLine {
        relay: line.relay,
        addresses: line.addresses,
        tokens: LineTokens::Always(line.token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Engine;
    use crate::testing::{engine, pass_ms};
    use crate::{NewInvitation, PolicyChange, contacts, invitations, lines, policy, relations};
    use m2_core::KnownAddress;
    use m2_core::dial::Target;
    use m2_core::found::{AHEAD_S, LAN_MS, OLDEST_S};
    use m2_crypto::Secret;
    use m2_crypto::line::JoinToken;
    use m2_store::{LineRow, RelayRowId};

    const DAY_MS: u64 = 86_400_000;

    fn peer(number: u8) -> PeerId {
        PeerId::from_bytes([number; 32])
    }

    /// Adds a contact with distinct secrets.
    fn contact(engine: &mut Engine, number: u8) -> ContactRowId {
        let row =
            relations::begin(&mut engine.state, peer(number), ContactState::Contact, "").unwrap();
        let secrets = LookupSecrets {
            ours: Secret::new([number; 32]),
            theirs: Secret::new([number + 100; 32]),
        };
        engine
            .state
            .batch
            .store
            .set_lookup_secrets(row, &secrets)
            .unwrap();
        row
    }

    fn add_relay(engine: &mut Engine) {
        let relay = LineRow {
            row: RelayRowId::default(),
            relay: peer(90),
            addresses: vec!["11.0.2.9:4433".parse().unwrap(); 4],
            entry: false,
            created_ms: 0,
        };
        engine.state.batch.store.put_line(&relay).unwrap();
    }

    fn published(engine: &mut Engine) -> Vec<PresenceKey> {
        let today = day_of(engine.state.batch.now_ms());
        let all = publications(&mut engine.state, today).unwrap();
        all.into_iter().map(|one| one.key).collect()
    }

    fn ours(number: u8) -> PresenceKey {
        PresenceKey::of_pair(PresenceSecret::new(Secret::new([number; 32])))
    }

    fn finding(by: FoundBy, address: &str) -> Discovery {
        Discovery {
            peer: peer(1),
            by,
            addresses: vec![address.parse().unwrap()],
            lines: vec![PresenceLine {
                relay: peer(80),
                token: JoinToken([8; 16]),
                addresses: vec!["11.0.2.80:4433".parse().unwrap()],
            }],
        }
    }

    #[test]
    fn nothing_is_published_for_removed_contacts_or_ended_invitations() {
        let (_dir, mut engine) = engine();
        contact(&mut engine, 1);
        contact(&mut engine, 2);
        let new = NewInvitation {
            reusable: true,
            valid_ms: DAY_MS,
            contact_name: String::new(),
            addresses: Vec::new(),
        };
        let (kept, _) = invitations::create(&mut engine.state, new.clone()).unwrap();
        let (revoked, _) = invitations::create(&mut engine.state, new).unwrap();
        let invited = presence_key;
        let before = published(&mut engine);
        assert_eq!(before.len(), 4);
        assert!(before.contains(&ours(1)) && before.contains(&invited(&revoked)));

        contacts::remove(&mut engine.state, &peer(1).to_string(), false).unwrap();
        contacts::block(&mut engine.state, &peer(2).to_string()).unwrap();
        invitations::revoke(&mut engine.state, revoked.id).unwrap();
        assert_eq!(published(&mut engine), [invited(&kept)]);
        pass_ms(&mut engine, DAY_MS);
        assert!(published(&mut engine).is_empty(), "it has expired");
        let sought = sought(&mut engine.state).unwrap();
        assert!(sought.is_empty(), "{sought:?}");
    }

    #[test]
    fn a_record_holds_what_the_policy_of_its_reader_allows() {
        let (_dir, mut engine) = engine();
        contact(&mut engine, 1);
        let today = day_of(engine.state.batch.now_ms());
        let mut record = |mode, relays: bool| {
            if relays && engine.state.batch.store.lines().unwrap().is_empty() {
                add_relay(&mut engine);
            }
            let change = PolicyChange {
                ip: Some(mode),
                ..PolicyChange::default()
            };
            policy::set(&mut engine.state, &peer(1).to_string(), change).unwrap();
            let all = publications(&mut engine.state, today).unwrap();
            (all[0].direct, all[0].lines.len())
        };
        assert_eq!(record(None, false), (true, 0));
        let prefer = Some(IpMode::PreferLine);
        assert_eq!(record(prefer, false), (true, 0), "there is no line");
        assert_eq!(record(prefer, true), (false, 1));
        assert_eq!(record(None, true), (true, 1));
    }

    #[test]
    fn nothing_is_published_or_sought_for_line_only_contacts() {
        let (_dir, mut engine) = engine();
        contact(&mut engine, 1);
        contact(&mut engine, 2);
        add_relay(&mut engine);
        let change = PolicyChange {
            ip: Some(Some(IpMode::LineOnly)),
            ..PolicyChange::default()
        };
        policy::set(&mut engine.state, &peer(1).to_string(), change).unwrap();
        assert_eq!(published(&mut engine), [ours(2)]);
        let sought = sought(&mut engine.state).unwrap();
        let peers: Vec<PeerId> = sought.iter().map(|one| one.peer).collect();
        assert_eq!(peers, [peer(2)]);
    }

    #[test]
    fn tokens_in_records_match_the_lines_open_that_day() {
        let (_dir, mut engine) = engine();
        contact(&mut engine, 1);
        add_relay(&mut engine);
        let today = day_of(engine.state.batch.now_ms());
        for day in [today, today + 1] {
            let all = publications(&mut engine.state, day).unwrap();
            let caller = Caller::Contact(peer(1));
            let expected = engine
                .state
                .batch
                .identity
                .line_key()
                .secret(&peer(90), day, &caller);
            assert_eq!(all[0].lines[0].token, expected.join_token());
            assert_eq!(all[0].lines[0].addresses.len(), 2);
        }
    }

    #[test]
    fn a_found_contact_is_dialled_at_its_address() {
        let (_dir, mut engine) = engine();
        let row = contact(&mut engine, 1);
        let known = KnownAddress::Proved("11.0.2.1:1111".parse().unwrap());
        engine.state.batch.store.put_address(row, known, 0).unwrap();
        let now_s = engine.state.batch.now_ms() / 1_000;
        take_finding(
            &mut engine.state,
            finding(FoundBy::Dht(now_s), "11.0.2.2:2222"),
        );
        take_finding(&mut engine.state, finding(FoundBy::Lan, "192.168.1.3:3333"));
        let route = lines::route(&engine.state, row).unwrap();
        let texts: Vec<String> = route.addresses.iter().map(ToString::to_string).collect();
        let order = ["192.168.1.3:3333", "11.0.2.1:1111", "11.0.2.2:2222"];
        assert_eq!(texts, order, "the nearest first, the DHT last");
        assert_eq!(route.lines.len(), 1);
        take_finding(&mut engine.state, finding(FoundBy::Lan, "192.168.1.4:3333"));
        let lan = lines::route(&engine.state, row).unwrap().addresses;
        let found = |text: &str| Target::named(text.parse().unwrap(), IpMode::Direct);
        assert_eq!(lan[0], found("192.168.1.4:3333"));
        assert_eq!(lan[1], found("192.168.1.3:3333"), "it is kept");
        pass_ms(&mut engine, LAN_MS);
        assert_eq!(lines::route(&engine.state, row).unwrap().addresses.len(), 2);
        let change = PolicyChange {
            ip: Some(Some(IpMode::LineOnly)),
            ..PolicyChange::default()
        };
        policy::set(&mut engine.state, &peer(1).to_string(), change).unwrap();
        let route = lines::route(&engine.state, row).unwrap();
        assert!(route.addresses.is_empty() && route.lines.len() == 1);
    }

    #[test]
    fn stale_replayed_and_unknown_findings_are_ignored() {
        let (_dir, mut engine) = engine();
        let row = contact(&mut engine, 1);
        let now_s = engine.state.batch.now_ms() / 1_000;
        let addresses = |engine: &mut Engine| lines::route(&engine.state, row).unwrap().addresses;
        for made_s in [0, now_s - OLDEST_S, now_s + AHEAD_S] {
            take_finding(
                &mut engine.state,
                finding(FoundBy::Dht(made_s), "11.0.2.2:2222"),
            );
            assert!(addresses(&mut engine).is_empty());
        }
        take_finding(
            &mut engine.state,
            finding(FoundBy::Dht(now_s), "11.0.2.3:3333"),
        );
        take_finding(
            &mut engine.state,
            finding(FoundBy::Dht(now_s - 1), "11.0.2.2:2222"),
        );
        assert_eq!(
            addresses(&mut engine),
            [Target::named(
                "11.0.2.3:3333".parse().unwrap(),
                IpMode::Direct
            )]
        );
        for refused in ["127.0.0.1:5000", "224.0.0.1:5000", "11.0.2.4:53"] {
            take_finding(&mut engine.state, finding(FoundBy::Lan, refused));
        }
        assert_eq!(addresses(&mut engine).len(), 1);
        let mut many = finding(FoundBy::Lan, "11.0.2.5:5000");
        many.addresses = (0..50)
            .map(|port| NamedAddress::new(([11, 0, 2, 5], 5_000 + port).into()))
            .collect();
        take_finding(&mut engine.state, many);
        assert_eq!(addresses(&mut engine).len(), MAX_FOUND + 1);
        let mut stranger = finding(FoundBy::Lan, "11.0.2.6:5000");
        stranger.peer = peer(66);
        take_finding(&mut engine.state, stranger);
        assert_eq!(addresses(&mut engine).len(), MAX_FOUND + 1);
    }
}
