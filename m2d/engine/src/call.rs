//! Runs the requests of front-ends and tasks.

use crate::effect::Effect;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::state::State;
use m2_proto::reason::Reason;

/// Runs a request. Its caller is answered once the batch is on disk.
pub(crate) fn run<T: Send + 'static>(
    engine: &mut State,
    reply: Reply<T>,
    request: impl FnOnce(&mut State) -> Result<T, Refusal>,
) {
    let before = engine.batch.store.changes();
    let result = request(engine);
    if let Err(refusal) = &result {
        if refusal.fault.is_some() {
            // Partial writes of a failed request must not be committed.
            engine.batch.fail(refusal.clone());
        } else if engine.batch.store.changes() != before {
            // A request must check everything before it writes. One that does not is rolled
            // back with its batch instead of being left half done.
            engine.batch.counters.count("REQUEST_HALF_DONE");
            engine.batch.fail(Refusal::new(Reason::StoreFailed));
        }
    }
    engine.batch.effect(Effect::Answer(reply.hold(result)));
}
