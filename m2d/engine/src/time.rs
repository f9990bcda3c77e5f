//! Handles changes of the system clock, and judges which clocks are wrong
//! (`docs/operator/clocks.md`).

use super::upkeep::MaintenanceTimers;
use super::{Effect, Engine};
use crate::refusal::Refusal;
use crate::session::Session;
use m2_core::ContactState;
use m2_core::clock::{Opinion, agrees, opinion};
use m2_core::sessions::SessionId;
use m2_crypto::envelope::MAX_GRANT_AHEAD_S;
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

/// A peer's clock, as reported in its last session.
#[derive(Debug, Clone, Copy)]
pub(super) struct PeerClock {
    unix_ms: u64,
    at: Instant,
}

impl PeerClock {
    /// Returns the clock of a session's peer, if it reported one.
    pub(super) fn of(skew_ms: Option<i64>, now_ms: u64) -> Option<Self> {
        let skew = skew_ms?;
        Some(Self {
            unix_ms: now_ms.saturating_add_signed(skew),
            at: Instant::now(),
        })
    }

    /// Returns how far this clock is ahead of one that shows `now_ms`, in milliseconds.
    fn ahead_of(&self, now_ms: u64) -> i64 {
        let passed = u64::try_from(self.at.elapsed().as_millis()).unwrap_or(u64::MAX);
        let theirs = i128::from(self.unix_ms.saturating_add(passed));
        i64::try_from(theirs - i128::from(now_ms)).unwrap_or(i64::MAX)
    }
}

/// The engine's state about the local clock.
#[derive(Debug, Default)]
pub(super) struct TimeKeeping {
    /// The number of clock changes already handled.
    followed: u64,
    /// True if stored times may be wrong. They are corrected once the clock is confirmed.
    redate: bool,
}

impl Engine {
    /// Marks stored times as possibly wrong at the start, as they may be in the future.
    pub(super) fn start_clock(&mut self) {
        self.time.redate = true;
    }

    /// Handles a clock that was set since the last check, within a batch.
    pub(super) fn follow_clock(&mut self) -> Result<(), Refusal> {
        let sets = self.clock.sets();
        if sets != self.time.followed {
            let by_ms = self.clock.unsettled().map_or(0, |set| set.by_ms);
            tracing::info!(seconds = by_ms / 1_000, "the system's clock was set");
            self.time.followed = sets;
            self.time.redate = true;
            self.judge_clock();
            self.restart_timers()?;
            self.meet_again(by_ms)?;
        }
        if self.time.redate && self.clock.unsettled().is_none() {
            self.time.redate = false;
            self.dirty.flush(&self.store)?;
            if self.store.redate(self.now_ms())? {
                self.restart_timers()?;
            }
        }
        Ok(())
    }

    /// Restarts all timers after the clock was set, as at a restart: due times are computed again
    /// from the store, and none may be further away than its interval allows.
    fn restart_timers(&mut self) -> Result<(), Refusal> {
        let now = self.now_ms();
        self.dirty.flush(&self.store)?;
        self.store.restart_letters(now)?;
        self.timers.clear();
        let crossed = std::mem::take(&mut self.crossed).into_iter();
        self.crossed = crossed.map(|(_, id)| (now, id)).collect();
        for peer_state in self.peers.values_mut() {
            peer_state.conversation = None;
            peer_state.timer = None;
        }
        self.maintenance = MaintenanceTimers::default();
        self.mail.restart(now);
        self.wake_conversations()?;
        self.wake_depositor();
        self.wake_collectors();
        self.wake_lines();
        self.wake_lookup();
        Ok(())
    }

    /// Dials all contacts that are offline, and replaces sessions whose peers may have refused
    /// messages while the clocks were further apart.
    fn meet_again(&mut self, by_ms: i64) -> Result<(), Refusal> {
        let rows: Vec<i64> = self.peers.keys().copied().collect();
        for row in rows {
            let links = self
                .peers
                .get(&row)
                .map(|peer_state| peer_state.links.clone());
            for link in links.unwrap_or_default() {
                let skew_ms = self.session_skew(link.id);
                if skew_ms.is_some_and(|skew_ms| is_nearer(skew_ms, by_ms)) {
                    self.effect(Effect::Close(link.id, CloseCode::Replaced));
                }
            }
            self.dial(row)?;
        }
        Ok(())
    }

    /// Records the clock that a session's peer reported.
    pub(super) fn note_clock(&mut self, row: i64, link: &Arc<Session>) {
        let (now_ms, skew_ms) = (self.now_ms(), self.session_skew(link.id));
        if let Some(peer_state) = self.peers.get_mut(&row) {
            peer_state.clock = PeerClock::of(skew_ms, now_ms).or(peer_state.clock);
        }
        self.judge_clock();
    }

    /// Records that a contact created a key in the future: its clock was set since its session
    /// began.
    pub(super) fn note_key_time(&mut self, row: i64, created_s: u64) {
        let latest_s = self.now_ms() / 1_000 + MAX_GRANT_AHEAD_S;
        if created_s > latest_s
            && let Some(peer_state) = self.peers.get_mut(&row)
        {
            peer_state.clock = Some(PeerClock {
                unix_ms: created_s.saturating_mul(1_000),
                at: Instant::now(),
            });
        }
    }

    /// Returns how far the clock of a session's peer is ahead of the local one, in milliseconds, if
    /// the peer reported its time.
    fn session_skew(&self, id: SessionId) -> Option<i64> {
        let clock = self.sessions.progress(id)?.clock?;
        let (now_ms, steady_ms) = (self.clock.now_ms(), self.clock.steady_ms());
        let theirs = clock.saturating_add_unsigned(steady_ms);
        Some(theirs.saturating_sub_unsigned(now_ms))
    }

    /// Confirms the local clock if contacts' clocks agree. No contact's clock ever moves it.
    fn judge_clock(&mut self) {
        if matches!(self.clock_opinion(), Opinion::Right { .. }) {
            self.clock.confirm();
        }
    }

    fn clock_opinion(&self) -> Opinion {
        let contacts = self.contacts_in(ContactState::Contact);
        let skews: Vec<i64> = contacts.filter_map(|row| self.skew_of(row)).collect();
        opinion(&skews)
    }

    /// Returns how far a contact's clock is ahead of the local one, in milliseconds, if it was
    /// reported since the start.
    pub(super) fn skew_of(&self, row: i64) -> Option<i64> {
        let clock = self.peers.get(&row)?.clock?;
        Some(clock.ahead_of(self.now_ms()))
    }

    /// Returns a contact's skew if the two clocks disagree.
    pub(super) fn disagreement(&self, row: i64) -> Option<i64> {
        self.skew_of(row).filter(|skew| !agrees(*skew))
    }

    /// Returns warnings for the user about the local clock.
    pub(super) fn clock_warnings(&self) -> Vec<String> {
        match self.clock_opinion() {
            Opinion::Right { others: 0 } => Vec::new(),
            Opinion::Right { others } => vec![format!(
                "The clocks of some contacts are wrong ({others}), not this computer's: \
                 `m2 contact list` says which, and by how much. Ask them to set their time."
            )],
            Opinion::Wrong { by_ms, contacts } => vec![format!(
                "This computer's clock is {} what the clocks of {contacts} contacts show: set \
                 its time, and let it follow a time server (NTP).",
                own_side(by_ms)
            )],
            Opinion::Unclear { by_ms } => vec![format!(
                "This computer's clock is {} a contact's clock, and one of the two is wrong: \
                 check this computer's time, then ask the contact to check theirs.",
                own_side(by_ms)
            )],
            Opinion::Unknown => self.silence_after_set().into_iter().collect(),
        }
    }

    /// Returns the warning about a set clock that no contact has confirmed.
    fn silence_after_set(&self) -> Option<String> {
        let set = self.clock.unsettled()?;
        if set.ago_ms < SILENCE_MS || self.count(ContactState::Contact) == 0 {
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
    use crate::NewInvitation;
    use crate::inbox::Arrival;
    use crate::upkeep::tests::engine;
    use m2_crypto::PeerId;
    use m2_delivery::{Body, Content, ContentHash, MessageId, Payload, Time};

    const DAY_MS: u64 = 86_400_000;
    const HOUR: i64 = 3_600_000;

    /// Adds contacts whose clocks are ahead of the local one by these differences.
    fn contacts(engine: &mut Engine, skews: &[i64]) {
        for (number, skew) in (engine.peers.len()..).zip(skews) {
            let peer = PeerId::from_bytes([u8::try_from(number).unwrap(); 32]);
            let row = engine.new_contact(peer, ContactState::Contact, "").unwrap();
            let unix_ms = engine.now_ms().saturating_add_signed(*skew);
            let at = Instant::now();
            engine.peers.get_mut(&row).unwrap().clock = Some(PeerClock { unix_ms, at });
        }
    }

    #[test]
    fn the_warning_names_the_side_that_is_wrong_and_the_remedy() {
        let said = |skews: &[i64]| {
            let (_dir, mut engine) = engine();
            contacts(&mut engine, skews);
            engine.clock_warnings().concat()
        };
        assert_eq!(said(&[0, 1_000]), "");
        let ours = said(&[-72 * HOUR; 2]);
        assert!(ours.starts_with("This computer's clock is 3 days ahead of what the clocks of 2"));
        assert!(ours.contains("set its time"));
        assert!(said(&[20 * HOUR; 3]).contains("is 20 hours behind what the clocks of 3 contacts"));
        assert!(
            said(&[0, 0, 9 * HOUR]).starts_with("The clocks of some contacts are wrong (1), not")
        );
        assert!(said(&[-HOUR]).contains("60 minutes ahead of a contact's clock, and one of the"));
    }

    /// Receives a message of the only contact, sent `age_ms` ago by a clock that is ahead by
    /// `skew_ms`, with an hour to live. Returns how long it remains visible; `None` if it is not
    /// shown.
    fn shown_for(skew_ms: i64, age_ms: i64) -> Option<i64> {
        let (_dir, mut engine) = engine();
        contacts(&mut engine, &[skew_ms]);
        let row = engine.peers.keys().copied().next().unwrap();
        let now = engine.now_ms();
        let payload = Payload {
            sequence: 1,
            sent: Time(now.saturating_add_signed(skew_ms - age_ms)),
            ttl_s: 3_600,
            body: Body::Content(Content::new("", &b"hello"[..]).unwrap()),
            oldest: 0,
        };
        let from = Arrival {
            row,
            id: MessageId([1; 16]),
            incarnation: 1,
            hash: ContentHash([1; 32]),
        };
        engine.store.begin().unwrap();
        engine.on_message(from, payload).unwrap();
        engine.store.commit().unwrap();
        let end = engine.store.next_expiry().unwrap()?;
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
        engine.store.begin().unwrap();
        engine.follow_clock().unwrap();
        engine.run_timers();
        assert!(engine.store_failed.is_none());
        engine.flush_and_commit().unwrap();
    }

    fn invite(engine: &mut Engine) {
        let new = NewInvitation {
            reusable: false,
            valid_ms: 7 * DAY_MS,
            contact_name: String::new(),
            addresses: Vec::new(),
        };
        engine.create_invitation(new).unwrap();
    }

    #[test]
    fn nothing_is_pruned_by_age_before_a_set_clock_is_confirmed() {
        let (_dir, mut engine) = engine();
        batch(&mut engine);
        invite(&mut engine);
        engine.clock.set(400 * 24 * HOUR);
        batch(&mut engine);
        engine.clock.pass(HOUR.unsigned_abs() / 2);
        batch(&mut engine);
        assert_eq!(engine.store.invitations().unwrap().len(), 1);
        engine.clock.set(-400 * 24 * HOUR);
        batch(&mut engine);
        assert_eq!(engine.list_invitations().unwrap().len(), 1);
        // A clock that is not set again is trusted after an hour.
        engine.clock.set(400 * 24 * HOUR);
        batch(&mut engine);
        engine.clock.pass(2 * HOUR.unsigned_abs());
        batch(&mut engine);
        assert_eq!(engine.store.invitations().unwrap().len(), 0);
    }

    #[test]
    fn an_invitation_made_in_the_future_keeps_its_validity_period() {
        let (_dir, mut engine) = engine();
        batch(&mut engine);
        engine.clock.set(400 * 24 * HOUR);
        batch(&mut engine);
        invite(&mut engine);
        engine.clock.set(-400 * 24 * HOUR);
        batch(&mut engine);
        engine.clock.confirm();
        batch(&mut engine);
        let end = engine.list_invitations().unwrap()[0].expires_ms;
        assert!(end <= engine.now_ms() + 7 * DAY_MS);
    }

    #[test]
    fn no_timer_waits_for_a_time_before_the_clock_was_set() {
        let (_dir, mut engine) = engine();
        batch(&mut engine);
        engine.clock.set(400 * 24 * HOUR);
        batch(&mut engine);
        let row = engine
            .new_contact(PeerId::from_bytes([1; 32]), ContactState::Contact, "")
            .unwrap();
        engine.note_offline(row);
        batch(&mut engine);
        assert!(engine.next_due_ms() > engine.now_ms());
        engine.clock.set(-400 * 24 * HOUR);
        batch(&mut engine);
        assert!(engine.next_due_ms() <= engine.now_ms() + 2 * HOUR.unsigned_abs());
        assert!(engine.mail.offline_since(row) <= engine.now_ms());
    }

    #[test]
    fn a_key_from_the_future_shows_that_its_makers_clock_is_ahead() {
        let (_dir, mut engine) = engine();
        contacts(&mut engine, &[0]);
        let row = engine.peers.keys().copied().next().unwrap();
        let now_s = engine.now_ms() / 1_000;
        for in_time in [0, now_s, now_s + MAX_GRANT_AHEAD_S] {
            engine.note_key_time(row, in_time);
            assert_eq!(engine.disagreement(row), None);
        }
        engine.note_key_time(row, now_s + 3 * 86_400);
        assert!(engine.problem(row).contains("3 days ahead of"));
        engine.note_key_time(row, u64::MAX);
        assert!(engine.disagreement(row).is_some());
    }

    #[test]
    fn a_set_clock_is_reported_only_until_a_contact_answers() {
        let (_dir, mut engine) = engine();
        engine.clock.set(400 * 24 * HOUR);
        engine.now_ms();
        assert_eq!(engine.clock_warnings(), [""; 0], "no contact could answer");
        contacts(&mut engine, &[0]);
        engine
            .peers
            .values_mut()
            .for_each(|peer_state| peer_state.clock = None);
        assert_eq!(engine.clock_warnings(), [""; 0], "they have a minute");
        engine.clock.pass(SILENCE_MS);
        let said = engine.clock_warnings().concat();
        assert!(said.starts_with("This computer's clock was set ahead by 400 days"));
        contacts(&mut engine, &[0]);
        engine.judge_clock();
        assert_eq!(engine.clock_warnings(), [""; 0]);
        assert_eq!(engine.clock.unsettled(), None);
    }
}
