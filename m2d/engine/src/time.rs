//! Handles changes of the system clock, and judges which clocks are wrong
//! (`docs/operator/clocks.md`).

use crate::refusal::Refusal;
use crate::state::{Maintenance, PeerClock, Session, State};
use crate::warning::{Area, Warning};
use crate::{conversation, dialling};
use m2_core::ContactState;
use m2_core::clock::{Opinion, agrees, opinion};
use m2_core::sessions::SessionId;
use m2_crypto::envelope::MAX_GRANT_AHEAD_S;
use m2_store::ContactRowId;
use m2_wire::CloseCode;
use std::sync::Arc;
use std::time::Instant;

/// A session is replaced when the clock was set closer to its peer's by more than this, in
/// milliseconds: the peer may have refused messages under the wrong time
/// (`docs/spec/wire.md#order`).
const NEARER_MS: u64 = 60_000;
/// How long contacts have to answer after the clock was set, before silence is reported, in
/// milliseconds.
const SILENCE_MS: u64 = 60_000;
/// The command that lets the clock follow a time server.
const FOLLOW_A_SERVER: &str = "timedatectl set-ntp true";

/// What is known of the local clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClockView {
    /// The number of contacts whose clocks were compared with it.
    pub compared: usize,
    /// How far it is ahead of the median of those clocks, in milliseconds.
    pub ahead_ms: Option<i64>,
    /// How often it was set since the start.
    pub steps: u64,
}

/// Marks stored times as possibly wrong at the start, as they may be in the future.
pub(crate) fn start_clock(engine: &mut State) {
    engine.time.redate = true;
}

/// Handles a clock that was set since the last check, within a batch.
pub(crate) fn follow_clock(engine: &mut State) -> Result<(), Refusal> {
    let sets = engine.batch.clock.sets();
    if sets != engine.time.followed {
        let by_ms = engine.batch.clock.unsettled().map_or(0, |set| set.by_ms);
        tracing::info!(seconds = by_ms / 1_000, "the system's clock was set");
        engine.time.followed = sets;
        engine.time.redate = true;
        judge_clock(engine);
        restart_timers(engine)?;
        meet_again(engine, by_ms)?;
    }
    if engine.time.redate && engine.batch.clock.unsettled().is_none() {
        engine.time.redate = false;
        engine.flush()?;
        if engine.batch.store.redate(engine.batch.now_ms())? {
            restart_timers(engine)?;
        }
    }
    Ok(())
}

/// Restarts all timers after the clock was set, as at a restart: due times are computed again
/// from the store, and none may be further away than its interval allows.
fn restart_timers(engine: &mut State) -> Result<(), Refusal> {
    let now = engine.batch.now_ms();
    engine.flush()?;
    engine.batch.store.restart_letters(now)?;
    engine.conversations.timers.clear();
    let crossed = std::mem::take(&mut engine.sessions.crossed).into_iter();
    engine.sessions.crossed = crossed.map(|(_, id)| (now, id)).collect();
    for peer_state in engine.peers.values_mut() {
        peer_state.conversation = None;
        peer_state.timer = None;
    }
    engine.maintenance = Maintenance::default();
    engine.mail.restart(now);
    engine.suites.restart();
    conversation::wake_all(engine)?;
    engine.batch.wake_depositor();
    engine.batch.changed.boxes = true;
    engine.batch.changed.relays = true;
    engine.batch.wake_lookup();
    Ok(())
}

/// Dials all contacts that are offline, and replaces sessions whose peers may have refused
/// messages while the clocks were further apart.
fn meet_again(engine: &mut State, by_ms: i64) -> Result<(), Refusal> {
    let rows: Vec<ContactRowId> = engine.peers.rows();
    for row in rows {
        for link in engine.peers.links(row) {
            let skew_ms = session_skew(engine, link.id);
            if skew_ms.is_some_and(|skew_ms| is_nearer(skew_ms, by_ms)) {
                let why = "the clock was set closer to the peer's";
                engine.batch.close(link.id, CloseCode::Replaced, why);
            }
        }
        dialling::dial(engine, row)?;
    }
    Ok(())
}

/// Records the clock that a session's peer reported.
pub(crate) fn note_clock(engine: &mut State, row: ContactRowId, link: &Arc<Session>) {
    let (now_ms, skew_ms) = (engine.batch.now_ms(), session_skew(engine, link.id));
    if let Some(peer_state) = engine.peers.get_mut(&row) {
        peer_state.clock = PeerClock::of(skew_ms, now_ms).or(peer_state.clock);
    }
    judge_clock(engine);
}

/// Records that a contact created a key in the future: its clock was set since its session
/// began.
pub(crate) fn note_key_time(engine: &mut State, row: ContactRowId, created_s: u64) {
    let latest_s = engine.batch.now_ms() / 1_000 + MAX_GRANT_AHEAD_S;
    if created_s > latest_s
        && let Some(peer_state) = engine.peers.get_mut(&row)
    {
        peer_state.clock = Some(PeerClock {
            unix_ms: created_s.saturating_mul(1_000),
            at: Instant::now(),
        });
    }
}

/// Returns how far the clock of a session's peer is ahead of the local one, in milliseconds, if
/// the peer reported its time.
fn session_skew(engine: &State, id: SessionId) -> Option<i64> {
    let clock = engine.sessions.progress(id)?.clock?;
    let (now_ms, steady_ms) = (engine.batch.clock.now_ms(), engine.batch.clock.steady_ms());
    let theirs = clock.saturating_add_unsigned(steady_ms);
    Some(theirs.saturating_sub_unsigned(now_ms))
}

/// Confirms the local clock if contacts' clocks agree. No contact's clock ever moves it.
fn judge_clock(engine: &mut State) {
    if matches!(clock_opinion(engine), Opinion::Right { .. }) {
        engine.batch.clock.confirm();
    }
}

fn clock_opinion(engine: &State) -> Opinion {
    let contacts = engine.peers.contacts_in(ContactState::Contact);
    let skews: Vec<i64> = contacts.filter_map(|row| engine.skew_of(row)).collect();
    opinion(&skews)
}

/// Returns a contact's skew if the two clocks disagree.
pub(crate) fn disagreement(engine: &State, row: ContactRowId) -> Option<i64> {
    engine.skew_of(row).filter(|skew| !agrees(*skew))
}

/// Returns the warning for the user about the local clock or those of contacts.
pub(crate) fn clock_warning(engine: &State) -> Option<Warning> {
    match clock_opinion(engine) {
        Opinion::Right { others: 0 } => None,
        Opinion::Right { others } => Some(
            Warning::new(
                Area::Clock,
                format!(
                    "The clocks of some contacts are wrong ({others}), not this computer's: \
                     `m2 contact list` says which, and by how much. Ask them to set their time."
                ),
            )
            .mended_by("m2 contact list"),
        ),
        Opinion::Wrong { by_ms, contacts } => {
            let text = format!(
                "This computer's clock is {} what the clocks of {contacts} contacts show: set \
                 its time, and let it follow a time server (NTP).",
                own_side(by_ms)
            );
            Some(Warning::problem(Area::Clock, text).mended_by(FOLLOW_A_SERVER))
        }
        Opinion::Unclear { by_ms } => {
            let text = format!(
                "This computer's clock is {} a contact's clock, and one of the two is wrong: \
                 check this computer's time, then ask the contact to check theirs.",
                own_side(by_ms)
            );
            Some(Warning::new(Area::Clock, text).mended_by(FOLLOW_A_SERVER))
        }
        Opinion::Unknown => silence_after_set(engine)
            .map(|text| Warning::new(Area::Clock, text).mended_by(FOLLOW_A_SERVER)),
    }
}

/// Returns what is known of the local clock.
pub(crate) fn clock_view(engine: &State) -> ClockView {
    let contacts = engine.peers.contacts_in(ContactState::Contact);
    let mut skews: Vec<i64> = contacts.filter_map(|row| engine.skew_of(row)).collect();
    skews.sort_unstable();
    let median = skews.get(skews.len() / 2);
    ClockView {
        compared: skews.len(),
        ahead_ms: median.map(|skew| skew.saturating_neg()),
        steps: engine.batch.clock.sets(),
    }
}

/// Returns the warning about a set clock that no contact has confirmed.
fn silence_after_set(engine: &State) -> Option<String> {
    let set = engine.batch.clock.unsettled()?;
    if set.ago_ms < SILENCE_MS || engine.peers.count(ContactState::Contact) == 0 {
        return None;
    }
    let by = duration(set.by_ms.unsigned_abs());
    let seen = match (set.at_start, set.by_ms < 0) {
        (true, true) => format!("shows {by} less than the newest time stored here"),
        (true, false) => format!("shows {by} more than when this daemon last ran"),
        (false, true) => format!("was set back by {by}"),
        (false, false) => format!("was set ahead by {by}"),
    };
    Some(format!(
        "This computer's clock {seen}, and no contact has answered since: check that its \
         date and time are right. A daemon whose clock is wrong by more than a day can't be \
         reached."
    ))
}

/// Returns whether the local clock moved closer to a peer's when it was set by `by_ms`.
fn is_nearer(after: i64, by_ms: i64) -> bool {
    let before = after.saturating_add(by_ms);
    after.unsigned_abs().saturating_add(NEARER_MS) < before.unsigned_abs()
}

/// Describes the local clock relative to clocks that are ahead of it by `by_ms`.
fn own_side(by_ms: i64) -> String {
    let side = if by_ms < 0 { "ahead of" } else { "behind" };
    format!("{} {side}", duration(by_ms.unsigned_abs()))
}

/// Formats a duration in its largest suitable unit.
pub(super) fn duration(ms: u64) -> String {
    const MINUTE: u64 = 60_000;
    let (length, unit) = match ms / MINUTE {
        0..120 => (MINUTE, "minute"),
        120..2_880 => (60 * MINUTE, "hour"),
        _ => (1_440 * MINUTE, "day"),
    };
    let count = ms.saturating_add(length / 2) / length;
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbox::Arrival;
    use crate::testing::engine;
    use crate::{Engine, NewInvitation};
    use crate::{inbox, invitations, mail, problem, relations, upkeep};
    use m2_crypto::PeerId;
    use m2_delivery::{Body, Content, ContentHash, MessageId, Payload, Time};

    const DAY_MS: u64 = 86_400_000;
    const HOUR: i64 = 3_600_000;

    /// Adds contacts whose clocks are ahead of the local one by these differences.
    fn contacts(engine: &mut Engine, skews: &[i64]) {
        for (number, skew) in (engine.state.peers.rows().len()..).zip(skews) {
            let peer = PeerId::from_bytes([u8::try_from(number).unwrap(); 32]);
            let row = relations::begin(&mut engine.state, peer, ContactState::Contact, "").unwrap();
            let unix_ms = engine.state.batch.now_ms().saturating_add_signed(*skew);
            let at = Instant::now();
            engine.state.peers.get_mut(&row).unwrap().clock = Some(PeerClock { unix_ms, at });
        }
    }

    fn said(engine: &Engine) -> String {
        let warning = clock_warning(&engine.state);
        warning.map(|warning| warning.text).unwrap_or_default()
    }

    #[test]
    fn the_warning_names_the_side_that_is_wrong_and_the_remedy() {
        let told = |skews: &[i64]| {
            let (_dir, mut engine) = engine();
            contacts(&mut engine, skews);
            said(&engine)
        };
        assert_eq!(told(&[0, 1_000]), "");
        let ours = told(&[-72 * HOUR; 2]);
        assert!(ours.starts_with("This computer's clock is 3 days ahead of what the clocks of 2"));
        assert!(ours.contains("set its time"));
        assert!(told(&[20 * HOUR; 3]).contains("is 20 hours behind what the clocks of 3 contacts"));
        assert!(
            told(&[0, 0, 9 * HOUR]).starts_with("The clocks of some contacts are wrong (1), not")
        );
        assert!(told(&[-HOUR]).contains("60 minutes ahead of a contact's clock, and one of the"));
    }

    /// Receives a message of the only contact, sent `age_ms` ago by a clock that is ahead by
    /// `skew_ms`, with an hour to live. Returns how long it remains visible; `None` if it is not
    /// shown.
    fn shown_for(skew_ms: i64, age_ms: i64) -> Option<i64> {
        let (_dir, mut engine) = engine();
        contacts(&mut engine, &[skew_ms]);
        let row = engine.state.peers.rows()[0];
        let now = engine.state.batch.now_ms();
        let payload = Payload {
            sequence: 1,
            sent: Time(now.saturating_add_signed(skew_ms - age_ms)),
            ttl_s: 3_600,
            body: Body::Content(Content::new("", &b"hello"[..]).unwrap()),
            as_sent: None,
        };
        let from = Arrival {
            row,
            id: MessageId([1; 16]),
            incarnation: 1,
            hash: ContentHash([1; 32]),
        };
        engine.state.batch.store.begin().unwrap();
        inbox::on_message(&mut engine.state, from, payload).unwrap();
        engine.state.batch.store.commit().unwrap();
        let end = engine.state.batch.store.next_expiry().unwrap()?;
        Some(i64::try_from(end).unwrap() - i64::try_from(now).unwrap())
    }

    #[test]
    fn a_time_to_live_is_corrected_by_the_clock_skew() {
        let near = |end: Option<i64>, expected: i64| (end.unwrap() - expected).abs() < 10_000;
        for skew in [0, 2 * HOUR, -2 * HOUR, 72 * HOUR] {
            assert!(near(shown_for(skew, 0), HOUR), "just sent");
            assert!(
                near(shown_for(skew, HOUR / 2), HOUR / 2),
                "half an hour ago"
            );
            assert_eq!(shown_for(skew, 2 * HOUR), None, "over");
        }
        // Sent while the sender's clock was further ahead than now: it lives no longer than its
        // time to live.
        assert!(near(shown_for(0, -400 * 24 * HOUR), HOUR));
    }

    /// Runs a batch without other work.
    fn batch(engine: &mut Engine) {
        engine.state.batch.store.begin().unwrap();
        follow_clock(&mut engine.state).unwrap();
        upkeep::run_timers(&mut engine.state);
        assert!(engine.state.batch.failed.is_none());
        engine.state.flush_and_commit().unwrap();
    }

    fn invite(engine: &mut Engine) {
        let new = NewInvitation {
            reusable: false,
            valid_ms: 7 * DAY_MS,
            contact_name: String::new(),
            addresses: Vec::new(),
        };
        invitations::create(&mut engine.state, new).unwrap();
    }

    #[test]
    fn nothing_is_pruned_by_age_before_a_set_clock_is_confirmed() {
        let (_dir, mut engine) = engine();
        batch(&mut engine);
        invite(&mut engine);
        engine.state.batch.clock.set(400 * 24 * HOUR);
        batch(&mut engine);
        engine.state.batch.clock.pass(HOUR.unsigned_abs() / 2);
        batch(&mut engine);
        assert_eq!(engine.state.batch.store.invitations().unwrap().len(), 1);
        engine.state.batch.clock.set(-400 * 24 * HOUR);
        batch(&mut engine);
        assert_eq!(invitations::list(&mut engine.state).unwrap().len(), 1);
        // A clock that is not set again is trusted after an hour.
        engine.state.batch.clock.set(400 * 24 * HOUR);
        batch(&mut engine);
        engine.state.batch.clock.pass(2 * HOUR.unsigned_abs());
        batch(&mut engine);
        assert_eq!(engine.state.batch.store.invitations().unwrap().len(), 0);
    }

    #[test]
    fn an_invitation_made_in_the_future_keeps_its_validity_period() {
        let (_dir, mut engine) = engine();
        batch(&mut engine);
        engine.state.batch.clock.set(400 * 24 * HOUR);
        batch(&mut engine);
        invite(&mut engine);
        engine.state.batch.clock.set(-400 * 24 * HOUR);
        batch(&mut engine);
        engine.state.batch.clock.confirm();
        batch(&mut engine);
        let end = invitations::list(&mut engine.state).unwrap()[0].expires_ms;
        assert!(end <= engine.state.batch.now_ms() + 7 * DAY_MS);
    }

    #[test]
    fn no_timer_waits_for_a_time_before_the_clock_was_set() {
        let (_dir, mut engine) = engine();
        batch(&mut engine);
        engine.state.batch.clock.set(400 * 24 * HOUR);
        batch(&mut engine);
        let row = relations::begin(
            &mut engine.state,
            PeerId::from_bytes([1; 32]),
            ContactState::Contact,
            "",
        )
        .unwrap();
        mail::note_offline(&mut engine.state, row);
        batch(&mut engine);
        assert!(engine.next_due_ms() > engine.state.batch.now_ms());
        engine.state.batch.clock.set(-400 * 24 * HOUR);
        batch(&mut engine);
        assert!(engine.next_due_ms() <= engine.state.batch.now_ms() + 2 * HOUR.unsigned_abs());
        assert!(engine.state.mail.offline_since(row) <= engine.state.batch.now_ms());
    }

    #[test]
    fn a_key_from_the_future_shows_that_its_makers_clock_is_ahead() {
        let (_dir, mut engine) = engine();
        contacts(&mut engine, &[0]);
        let row = engine.state.peers.rows()[0];
        let now_s = engine.state.batch.now_ms() / 1_000;
        for in_time in [0, now_s, now_s + MAX_GRANT_AHEAD_S] {
            note_key_time(&mut engine.state, row, in_time);
            assert_eq!(disagreement(&engine.state, row), None);
        }
        note_key_time(&mut engine.state, row, now_s + 3 * 86_400);
        assert!(problem::problem(&engine.state, row).contains("3 days ahead of"));
        note_key_time(&mut engine.state, row, u64::MAX);
        assert!(disagreement(&engine.state, row).is_some());
    }

    #[test]
    fn the_clock_is_compared_with_the_median_of_contacts() {
        let (_dir, mut engine) = engine();
        assert_eq!(clock_view(&engine.state), ClockView::default());
        contacts(&mut engine, &[0, 2 * HOUR, 3 * HOUR]);
        let view = clock_view(&engine.state);
        assert_eq!(view.compared, 3);
        let ahead = view.ahead_ms.unwrap();
        assert!((ahead + 2 * HOUR).abs() < 60_000, "{ahead}");
    }

    #[test]
    fn a_set_clock_is_reported_only_until_a_contact_answers() {
        let (_dir, mut engine) = engine();
        engine.state.batch.clock.set(400 * 24 * HOUR);
        engine.state.batch.now_ms();
        assert_eq!(said(&engine), "", "no contact could answer");
        contacts(&mut engine, &[0]);
        engine
            .state
            .peers
            .values_mut()
            .for_each(|peer_state| peer_state.clock = None);
        assert_eq!(said(&engine), "", "they have a minute");
        engine.state.batch.clock.pass(SILENCE_MS);
        let told = said(&engine);
        assert!(told.starts_with("This computer's clock was set ahead by 400 days"));
        contacts(&mut engine, &[0]);
        judge_clock(&mut engine.state);
        assert_eq!(said(&engine), "");
        assert_eq!(engine.state.batch.clock.unsettled(), None);
    }
}
