//! Turns the decisions of a batch that is on disk into effects.

use crate::effect::{Effect, Step};
use crate::frames::kind_of;
use crate::state::State;
use crate::{conversation, lines, mailboxes, presence};
use m2_core::sessions::SessionId;
use m2_wire::Message;

/// The delay before desired state that could not be read is read again, in milliseconds.
const AGAIN_MS: u64 = 5_000;

/// Reports the desired state that changed. What can't be read now is reported after a later batch.
pub(crate) fn report_changes(engine: &mut State) {
    if std::mem::take(&mut engine.batch.changed.relays) {
        match lines::wanted(engine) {
            Ok(wanted) => engine.batch.effects.push_back(Effect::Lines(wanted)),
            Err(refusal) => {
                tracing::debug!(reason = %refusal.reason, "the relays can't be read");
                engine.batch.changed.relays = true;
                engine.batch.changed.again_ms = engine.batch.now_ms().saturating_add(AGAIN_MS);
            }
        }
    }
    if std::mem::take(&mut engine.batch.changed.boxes) {
        match mailboxes::wanted(engine) {
            Ok(wanted) => engine.batch.effects.push_back(Effect::Boxes(wanted)),
            Err(refusal) => {
                tracing::debug!(reason = %refusal.reason, "the boxes can't be read");
                engine.batch.changed.boxes = true;
                engine.batch.changed.again_ms = engine.batch.now_ms().saturating_add(AGAIN_MS);
            }
        }
    }
}

/// Turns the steps of a batch that is on disk into effects.
pub(crate) fn release(engine: &mut State) {
    // Before the answers: a task that is answered finds the new state.
    report_changes(engine);
    let has_erased = engine.maintenance.take_changed();
    if has_erased {
        engine.batch.effects.push_back(Effect::ForgetContent);
    }
    for step in std::mem::take(&mut engine.batch.steps) {
        match step {
            Step::Act(row, action) => conversation::act(engine, row, action),
            Step::Acknowledge(row, id, acks) => conversation::acknowledge(engine, row, id, acks),
            Step::Frame(id, frame) => release_frame(engine, id, frame),
            Step::Effect(Effect::Event(mut event)) => {
                if has_erased {
                    event.forget_content();
                }
                engine.batch.effects.push_back(Effect::Event(event));
            }
            Step::Effect(effect) => engine.batch.effects.push_back(effect),
        }
    }
    presence::report(engine);
}

fn release_frame(engine: &mut State, id: SessionId, frame: Box<Message>) {
    let Some(progress) = engine.sessions.progress_mut(id) else {
        return;
    };
    if let Message::Places(places) = frame.as_ref() {
        progress.stated = places.incarnation;
    }
    // Offers are sent again once the places are stated.
    if progress.stated != 0 || !kind_of(&frame).is_talk() {
        engine.batch.effects.push_back(Effect::Send(id, frame));
    }
}
