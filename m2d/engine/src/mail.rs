//! Whether and when messages for a contact go by letter (`docs/spec/delivery.md#by-letter`).

use crate::lines;
use crate::state::State;
use m2_core::IpMode;
use m2_store::ContactRowId;

/// Returns whether letters for a contact may be deposited: both sides consent
/// (`docs/spec/delivery.md#by-letter`), and the mode allows the providers it named to learn
/// this daemon's address.
pub(crate) fn may_deposit(engine: &State, contact: ContactRowId) -> bool {
    engine.mail.policy(contact).uses
        && engine.mail.offered.contains(&contact)
        && lines::ip_mode(engine, contact) != IpMode::LineOnly
}

/// Records that a contact's last session ended. After a delay its messages go by letter.
pub(crate) fn note_offline(engine: &mut State, contact: ContactRowId) {
    let now = engine.batch.now_ms();
    engine.mail.offline_since.insert(contact, now);
    if may_deposit(engine, contact) {
        engine
            .mail
            .note(now.saturating_add(engine.mail.settings.after_ms));
    }
}

/// Records that a message was queued. If its contact stays away, it goes by letter after a
/// delay.
pub(crate) fn note_queued(engine: &mut State, contact: ContactRowId) {
    if may_deposit(engine, contact) {
        let at = engine
            .batch
            .now_ms()
            .saturating_add(engine.mail.settings.after_ms);
        engine.mail.note(at);
    }
}
