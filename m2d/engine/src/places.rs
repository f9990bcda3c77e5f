//! The start of a conversation in a session, and conflicts between a store and what the other side
//! has seen of it (`docs/spec/delivery.md#places`).

use super::Engine;
use crate::refusal::Refusal;
use crate::session::Session;
use m2_delivery::Conflict;
use m2_store::{EventKind, StoreError};
use m2_wire::{Message, Places};
use std::sync::Arc;

/// The least time between two renewals of all conversations, in milliseconds.
const RENEW_ALL_MS: u64 = 3_600_000;
/// The least time between two events about the same conflict, in milliseconds.
const TELL_AGAIN_MS: u64 = 24 * 3_600_000;
/// How long a conflict is reported after it was last proven, in milliseconds.
const WARN_MS: u64 = 7 * 24 * 3_600_000;

/// Keys of the last proven conflict of the local store: its time, and its number.
const OWN_CONFLICT_MS: &str = "conflict ms";
const OWN_CONFLICT: &str = "conflict";
/// Key of the time at which all conversations last took new incarnations.
const RENEWED_ALL_MS: &str = "renewed ms";

/// Returns the number of a conflict in the event log and the store.
const fn conflict_number(conflict: Conflict) -> i64 {
    match conflict {
        Conflict::OwnOlder | Conflict::PeerOlder => 1,
        Conflict::OwnTwice | Conflict::PeerTwice => 2,
    }
}

impl Engine {
    /// Begins the conversation in a session, once it is established or the two became contacts in
    /// it: both sides state their places first. For a contact that was removed and added again,
    /// this waits until all messages queued before the removal are given up.
    pub(super) fn begin_talk(&mut self, row: i64, link: &Arc<Session>) -> Result<(), Refusal> {
        if self.is_giving_up(row)? {
            return Ok(());
        }
        self.sent_once.push(link.id);
        if !self.serves(row, link) {
            let places = self.with_conversation(row, |conversation, cx| {
                conversation.state_on_other_session(cx)
            })?;
            self.note_begun(link.id);
            self.push_frame(link.id, Message::Places(Box::new(places)));
            return Ok(());
        }
        let (path, stated) = (link.path, self.places_in(link.id));
        self.with_conversation(row, |conversation, cx| {
            conversation.connected(cx, path);
            // The statement may have arrived while older messages were being given up.
            if let Some(stated) = &stated {
                conversation.on_places_again(cx, stated);
            }
        })?;
        self.note_begun(link.id);
        self.offer_on_meeting(row)?;
        self.offer_lines(row)?;
        self.seek_direct(row, link);
        Ok(())
    }

    /// Begins the conversation with a new contact in `link`, and in the serving session if that is
    /// another.
    pub(super) fn begin_talk_again(
        &mut self,
        row: i64,
        link: &Arc<Session>,
    ) -> Result<(), Refusal> {
        self.begin_talk(row, link)?;
        let serving = self.serving(row);
        match serving.filter(|serving| serving.id != link.id) {
            Some(serving) => self.begin_talk(row, &serving),
            None => Ok(()),
        }
    }

    /// Continues the conversation in another session, or after the conversation was loaded again.
    pub(super) fn talk_on(&mut self, row: i64, link: &Arc<Session>) -> Result<(), Refusal> {
        if self.is_giving_up(row)? {
            return Ok(());
        }
        self.note_begun(link.id);
        let (path, stated) = (link.path, self.places_in(link.id));
        let own = self.stated_in(link.id);
        self.with_conversation(row, |conversation, cx| {
            if own != 0 && own == conversation.incarnation() {
                conversation.resumed(cx, path);
            } else {
                conversation.connected(cx, path);
            }
            if let Some(stated) = &stated {
                conversation.on_places_again(cx, stated);
            }
        })
    }

    /// Restarts the conversation after the two agreed to be contacts, perhaps again. State of an
    /// earlier time does not count.
    pub(super) fn begin_again(&mut self, row: i64) -> Result<(), Refusal> {
        let peer_state = self.peers.get(&row).into_iter();
        for link in peer_state.flat_map(|peer_state| &peer_state.links) {
            if let Some(progress) = self.sessions.progress_mut(link.id) {
                progress.places = None;
            }
        }
        self.with_conversation(row, |conversation, cx| conversation.begin_again(cx))
    }

    /// Handles a contact's statement of its places.
    pub(super) fn on_places(
        &mut self,
        row: i64,
        link: &Arc<Session>,
        stated: &Places,
    ) -> Result<(), Refusal> {
        let Some(progress) = self.sessions.progress_mut(link.id) else {
            return Ok(());
        };
        if !progress.takes_statement() {
            self.violation(link.id, "PLACES_REPEATED");
            return Ok(());
        }
        progress.places = Some(Arc::new(stated.clone()));
        self.sent_once.push(link.id);
        let Some(peer_state) = self.peers.get_mut(&row) else {
            return Ok(());
        };
        // A statement that arrives late on an older session is older than one of a newer session.
        if link.id.0 < peer_state.placed_by {
            return Ok(());
        }
        peer_state.placed_by = link.id.0;
        self.with_conversation(row, |conversation, cx| conversation.on_places(cx, stated))
    }

    /// Reports that messages of a contact are lost, because one side lost its state.
    pub(super) fn on_history_lost(
        &mut self,
        row: i64,
        missing: Option<u32>,
    ) -> Result<(), StoreError> {
        let missing = missing.map_or(0, i64::from);
        self.event(EventKind::HistoryLost, row, None, missing)
    }

    /// Handles a store that is older than the state the other side has seen.
    pub(super) fn on_conflict(&mut self, row: i64, conflict: Conflict) -> Result<(), StoreError> {
        let number = conflict_number(conflict);
        let now = self.now_ms();
        if matches!(conflict, Conflict::PeerOlder | Conflict::PeerTwice) {
            let (before, at) = self.store.contact_conflict(row)?;
            self.store.put_contact_conflict(row, number, now)?;
            if before == number && is_within(now, at, TELL_AGAIN_MS) {
                return Ok(());
            }
            return self.event(EventKind::ContactConflict, row, None, number);
        }
        let renewed = self.stamp(RENEWED_ALL_MS)?;
        if !is_within(now, renewed, RENEW_ALL_MS) {
            self.store.set_number(RENEWED_ALL_MS, stamped(now))?;
            // The machine has renewed this conversation already if its own incarnation is shared.
            let done = if conflict == Conflict::OwnOlder {
                row
            } else {
                0
            };
            self.renewal = Some(done);
        }
        let (before, at) = (self.stamp(OWN_CONFLICT)?, self.stamp(OWN_CONFLICT_MS)?);
        self.store.set_number(OWN_CONFLICT, number)?;
        self.store.set_number(OWN_CONFLICT_MS, stamped(now))?;
        if before == stamp_of(number) && is_within(now, at, TELL_AGAIN_MS) {
            return Ok(());
        }
        match conflict {
            Conflict::OwnTwice => {
                tracing::error!("a second daemon runs from a copy of this one's data")
            }
            _ => tracing::error!("this daemon's store is older than what a contact has seen of it"),
        }
        self.event(EventKind::OwnConflict, row, None, number)
    }

    /// Takes a new incarnation of every conversation except `but`, which has one already.
    pub(super) fn renew_all(&mut self, but: i64) -> Result<(), Refusal> {
        self.dirty.flush(&self.store)?;
        self.store.end_incarnations(but)?;
        let loaded = self
            .peers
            .values()
            .filter(|peer_state| peer_state.conversation.is_some());
        let rows: Vec<i64> = loaded.map(|peer_state| peer_state.contact.row).collect();
        for row in rows.into_iter().filter(|row| *row != but) {
            self.with_conversation(row, |conversation, cx| conversation.renew(cx))?;
        }
        Ok(())
    }

    /// Returns the warning about a conflict of the local store, if one is recent.
    pub(super) fn conflict_warning(&self) -> Result<Option<String>, StoreError> {
        let at = self.stamp(OWN_CONFLICT_MS)?;
        if !is_within(self.now_ms(), at, WARN_MS) {
            return Ok(None);
        }
        let text = if self.stamp(OWN_CONFLICT)? == 1 {
            "This daemon's data is older than what a contact has seen of it: it was restored from \
             a copy, or a second daemon runs from a copy. Messages received after the copy was \
             made are missing here. Make sure that only one daemon uses this identity."
        } else {
            "A second daemon runs with this identity, from a copy of this one's data: each of the \
             two receives only some of the messages. Stop one of them and do not start it again."
        };
        Ok(Some(text.to_owned()))
    }

    /// Returns the conflict of a contact's store found lately, as a number; 0 for no conflict.
    pub(super) fn recent_conflict(&self, row: i64) -> Result<i64, StoreError> {
        let (conflict, at) = self.store.contact_conflict(row)?;
        let is_recent = is_within(self.now_ms(), at, WARN_MS);
        Ok(if is_recent { conflict } else { 0 })
    }

    fn stamp(&self, key: &str) -> Result<u64, StoreError> {
        Ok(self.store.number(key)?.map_or(0, stamp_of))
    }
}

/// Returns whether less than `span` has passed since `at` (0: never). A time in the future was
/// recorded by a wrong clock and is ignored.
const fn is_within(now: u64, at: u64, span: u64) -> bool {
    at != 0 && at <= now && now - at < span
}

fn stamped(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn stamp_of(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
