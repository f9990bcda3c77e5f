use super::*;
use crate::Engine;
use crate::testing::{engine, pass_ms};
use crate::{NewInvitation, PolicyChange, contacts, invitations, policy, privacy_facts, relations};
use m2_core::IpMode;
use m2_core::dial::Target;
use m2_core::{KnownAddress, LineTokens};
use m2_crypto::address::NamedAddress;
use m2_crypto::invitation::{InvitedLine, Offer};
use m2_crypto::line::JoinToken;
use m2_store::ContactRowId;
use m2_wire::line::OfferedLine;

const DAY_MS: u64 = 86_400_000;

fn peer(number: u8) -> PeerId {
    PeerId::from_bytes([number; 32])
}

/// A made-up address of a peer behind a relay, which cannot be dialled.
fn handle() -> NamedAddress {
    "[fc4d:3200::1]:9".parse().unwrap()
}

/// An invitation of another daemon in the same circle, with an address and a line.
fn invitation(engine: &mut Engine, from: PeerId) -> String {
    let addresses = vec!["11.0.2.1:1111".parse().unwrap(), handle()];
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
    let (rng, circle) = (&mut engine.state.batch.rng, engine.state.batch.circle.id());
    let made = Invitation::create(rng, from, circle, offer).unwrap();
    made.to_uri().to_string()
}

fn contact(engine: &mut Engine, number: u8) -> ContactRowId {
    relations::begin(&mut engine.state, peer(number), ContactState::Contact, "").unwrap()
}

fn add(engine: &mut Engine, relay: u8, entry: bool) -> Result<LineView, Refusal> {
    let text = invitation(engine, peer(relay));
    super::add(&mut engine.state, &text, entry)
}

/// Advances the clock to noon, when only one day's lines are open. Returns the day.
fn noon(engine: &mut Engine) -> u32 {
    let now = engine.state.batch.now_ms();
    pass_ms(engine, DAY_MS - now % DAY_MS + DAY_MS / 2);
    day_of(engine.state.batch.now_ms())
}

#[test]
fn only_contacts_and_invitees_may_dial() {
    let (_dir, mut engine) = engine();
    let today = noon(&mut engine);
    add(&mut engine, 50, false).unwrap();
    add(&mut engine, 51, true).unwrap();
    contact(&mut engine, 1);
    contact(&mut engine, 2);
    relations::begin(&mut engine.state, peer(3), ContactState::Request, "").unwrap();
    let new = NewInvitation {
        reusable: false,
        valid_ms: 3 * DAY_MS,
        contact_name: String::new(),
        addresses: Vec::new(),
    };
    let (row, uri) = invitations::create(&mut engine.state, new).unwrap();
    let invited = Caller::Invited(InviteId::from_bytes(row.id));
    let open = wanted(&mut engine.state).unwrap();
    assert_eq!(open.open.len(), 1, "no line is open at an entry");
    let callers = [1, 2].map(|number| (Caller::Contact(peer(number)), today));
    let expected = [callers[0], callers[1], (invited, today)];
    assert_eq!(open.open[0].lines, expected);

    // The token in the invitation matches the open line, also on another day.
    let line = uri.parse::<Invitation>().unwrap();
    let line = line.invited_lines().next().unwrap();
    let secret = engine.state.lines.key.secret(&line.relay, today, &invited);
    assert!(line.relay == peer(50) && line.token == secret.join_token());
    contacts::block(&mut engine.state, &peer(2).to_string()).unwrap();
    let tomorrow = noon(&mut engine);
    let open = wanted(&mut engine.state).unwrap();
    let expected = [(Caller::Contact(peer(1)), tomorrow), (invited, today)];
    assert_eq!(open.open[0].lines, expected);
    invitations::revoke(&mut engine.state, row.id).unwrap();
    assert_eq!(wanted(&mut engine.state).unwrap().open[0].lines.len(), 1);
}

#[test]
fn offered_tokens_match_the_open_lines() {
    let (_dir, mut engine) = engine();
    let today = noon(&mut engine);
    add(&mut engine, 50, false).unwrap();
    add(&mut engine, 51, true).unwrap();
    contact(&mut engine, 1);
    let offered = super::contacts::offered_lines(&engine.state, &peer(1)).unwrap();
    assert_eq!(offered.len(), 1, "entries are not offered");
    assert_eq!(offered[0].relay, peer(50));
    let line = super::contacts::contact_line(offered[0].clone());
    let key = &engine.state.lines.key;
    for day in [today - 1, today, today + 38] {
        let secret = key.secret(&peer(50), day, &Caller::Contact(peer(1)));
        assert_eq!(line.tokens.of_day(day), Some(secret.join_token()));
    }
    assert_eq!(line.tokens.of_day(today + 39), None);
    engine.state.lines.settings.open = false;
    assert!(
        super::contacts::offered_lines(&engine.state, &peer(1))
            .unwrap()
            .is_empty()
    );
    assert!(wanted(&mut engine.state).unwrap().open.is_empty());
}

#[test]
fn the_lines_of_a_contact_are_deleted_with_it() {
    let (_dir, mut engine) = engine();
    let text = invitation(&mut engine, peer(1));
    contacts::add(&mut engine.state, &text, "").unwrap();
    let row = engine.state.peers.row_of(&peer(1)).unwrap();
    let route = route(&engine.state, row).unwrap();
    let somewhere: NamedAddress = "11.0.2.1:1111".parse().unwrap();
    let named = Target::known(KnownAddress::Named(somewhere), IpMode::Direct);
    assert_eq!(route.addresses, [named], "the address on a line is dropped");
    assert_eq!(route.lines[0].addresses, [somewhere]);
    let token = LineTokens::Always(JoinToken([9; 16]));
    assert_eq!(route.lines[0].tokens, token);
    engine.state.peers.contact_mut(row).unwrap().state = ContactState::Contact;

    let offer = |relay, address| OfferedLine {
        relay: peer(relay),
        addresses: vec![address],
        first_day: 1,
        tokens: vec![JoinToken([1; 16])],
    };
    let offers = vec![offer(60, somewhere), offer(61, handle())];
    on_offer(&mut engine.state, row, offers).unwrap();
    let lines = super::route(&engine.state, row).unwrap().lines;
    assert!(lines.len() == 1 && lines[0].relay == peer(60), "{lines:?}");
    contacts::remove(&mut engine.state, &peer(1).to_string(), false).unwrap();
    assert!(super::route(&engine.state, row).unwrap().lines.is_empty());
}

#[test]
fn a_line_only_contact_has_no_address_and_gets_no_letters() {
    let (_dir, mut engine) = engine();
    let text = invitation(&mut engine, peer(1));
    contacts::add(&mut engine.state, &text, "bob").unwrap();
    let row = engine.state.peers.row_of(&peer(1)).unwrap();
    let change = |ip| PolicyChange {
        ip: Some(ip),
        ..PolicyChange::default()
    };
    policy::set(&mut engine.state, "bob", change(Some(IpMode::LineOnly))).unwrap();
    let route = route(&engine.state, row).unwrap();
    assert!(route.mode == IpMode::LineOnly && route.addresses.is_empty());
    assert!(forbids(&engine.state, row, m2_delivery::Path::Direct));
    assert!(!forbids(&engine.state, row, m2_delivery::Path::Line));
    policy::set(&mut engine.state, "bob", change(None)).unwrap();
    assert_eq!(super::route(&engine.state, row).unwrap().addresses.len(), 1);
    engine.state.lines.settings.ip = IpMode::PreferLine;
    let weaker = policy::set(&mut engine.state, "bob", change(Some(IpMode::Direct)));
    assert_eq!(weaker.unwrap_err().reason, Reason::InvalidArgument);
}

#[test]
fn own_relays_are_bounded_and_never_this_daemon() {
    let (_dir, mut engine) = engine();
    let own = engine.state.batch.own_id;
    let text = invitation(&mut engine, own);
    let refused = super::add(&mut engine.state, &text, false).unwrap_err();
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
    let facts = privacy_facts::privacy_facts(&mut engine.state).unwrap();
    assert_eq!((facts.relays, facts.entries), (MAX_LINES, 1));
    remove(&mut engine.state, &peer(80).to_string()[..12]).unwrap();
    assert!(remove(&mut engine.state, "m21").is_err());
    assert_eq!(list(&mut engine.state).unwrap().len(), MAX_LINES);
}

#[test]
fn a_prefix_that_several_relays_share_removes_none() {
    let (_dir, mut engine) = engine();
    let [one, _] = [8, 9].map(|last| {
        let mut id = [7; 32];
        id[31] = last;
        let text = invitation(&mut engine, PeerId::from_bytes(id));
        super::add(&mut engine.state, &text, false)
            .unwrap()
            .row
            .relay
            .to_string()
    });
    let refused = remove(&mut engine.state, &one[..20]).unwrap_err();
    assert_eq!(refused.reason, Reason::LineAmbiguous);
    remove(&mut engine.state, &one).unwrap();
    remove(&mut engine.state, &one[..20]).unwrap();
    assert!(engine.state.batch.store.lines().unwrap().is_empty());
}
