//! Changes of settings while the engine runs.

use crate::settings::Tunable;
use crate::state::{Round, State};
use m2_core::StoreLimits;

/// Replaces the settings that can change, and does the work at once that depends on them.
pub(crate) fn tune(engine: &mut State, new: Tunable) {
    engine.batch.limits = StoreLimits {
        max_outbox: engine.batch.limits.max_outbox,
        ..new.limits
    };
    engine.mail.settings = new.letters;
    engine.mail.due = 0;
    engine.round = Round::default();
    engine.maintenance.prune = 0;
    engine.maintenance.contacts = 0;
    engine.maintenance.retention = 0;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::engine;
    use crate::{Input, LetterSettings, Reply};

    #[test]
    fn new_limits_hold_from_the_next_batch_on_and_the_outbox_keeps_its_own() {
        let (_dir, mut engine) = engine();
        let before = engine.state.batch.limits.max_outbox;
        let tunable = Tunable {
            limits: StoreLimits {
                keep_days: 7,
                max_outbox: before + 1,
                ..StoreLimits::default()
            },
            letters: LetterSettings {
                after_ms: 5,
                ..LetterSettings::default()
            },
        };
        let (reply, mut answer) = Reply::channel();
        engine.begin_batch();
        engine.handle(Input::Tune(Box::new(tunable), reply));
        engine.end_batch().unwrap();
        while let Some(effect) = engine.poll_effect() {
            if let crate::Effect::Answer(held) = effect {
                held.deliver();
            }
        }
        assert!(answer.try_recv().unwrap().is_ok());
        let state = &engine.state;
        assert_eq!(state.batch.limits.keep_days, 7);
        assert_eq!(state.batch.limits.max_outbox, before);
        assert_eq!(state.mail.settings.after_ms, 5);
    }
}
