//! Named clients of the event stream and their cursors.

use crate::call;
use crate::client_names::{self, StreamStart};
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::shared;
use crate::state::State;
use m2_store::StoreError;

/// How long an unused named client is kept, in milliseconds.
const KEEP_MS: u64 = 90 * 86_400_000;
/// How long a named client that never acknowledged an event is kept, in milliseconds.
const KEEP_UNUSED_MS: u64 = 30 * 86_400_000;

/// A request about a stream of events.
pub enum StreamRequest {
    /// Return the number of the event after which a stream starts.
    Open {
        /// The client's name; empty for none.
        client: String,
        /// The name of the front-end's access token; empty for the owner.
        token: String,
        /// Where the stream starts.
        start: StreamStart,
        /// The number of the event.
        reply: Reply<i64>,
    },
    /// Move a named client's cursor forward.
    Acknowledge {
        /// The client's name.
        client: String,
        /// The name of the front-end's access token; empty for the owner.
        token: String,
        /// The log's incarnation, from the cursor.
        incarnation: u64,
        /// The event's number.
        seq: i64,
        /// Confirms the request.
        reply: Reply<()>,
    },
    /// Record that a named client is connected.
    See(String, Reply<()>),
    /// Delete a named client and its cursor.
    Remove(String, Reply<()>),
}

/// Handles a request about a stream of events.
pub(crate) fn handle(engine: &mut State, request: StreamRequest) {
    match request {
        StreamRequest::Open {
            client,
            token,
            start,
            reply,
        } => call::run(engine, reply, |engine| {
            client_names::open_exclusive(engine, &client, &token, start)
        }),
        StreamRequest::Acknowledge {
            client,
            token,
            incarnation,
            seq,
            reply,
        } => call::run(engine, reply, |engine| {
            client_names::check_token(engine, &client, &token)?;
            acknowledge_events(engine, &client, incarnation, seq)
        }),
        StreamRequest::See(client, reply) => {
            call::run(engine, reply, |engine| client_names::see(engine, &client))
        }
        StreamRequest::Remove(client, reply) => {
            call::run(engine, reply, |engine| remove_client(engine, &client))
        }
    }
}

/// Moves a named client's cursor forward; an older position changes nothing. Of a shared name, marks one event as
/// handled.
fn acknowledge_events(
    engine: &mut State,
    client: &str,
    incarnation: u64,
    seq: i64,
) -> Result<(), Refusal> {
    let known = engine.batch.store.client(client)?;
    let known = known.ok_or_else(|| client_names::unknown(client))?;
    let seq = client_names::check_cursor(engine, incarnation, seq)?;
    if known.shared {
        shared::acknowledge(engine, client, seq)?;
    }
    let cursor = if known.shared { 0 } else { seq };
    let now = engine.batch.now_ms();
    engine.batch.store.acknowledge_client(client, cursor, now)?;
    Ok(())
}

/// Deletes a named client and its cursor.
fn remove_client(engine: &mut State, client: &str) -> Result<(), Refusal> {
    match engine.batch.store.remove_client(client)? {
        true => Ok(()),
        false => Err(client_names::unknown(client)),
    }
}

/// Deletes named clients that have not connected for a long time.
pub(crate) fn prune(engine: &mut State, now: u64) -> Result<(), StoreError> {
    let before = |kept: u64| now.saturating_sub(kept);
    engine
        .batch
        .store
        .prune_clients(before(KEEP_MS), before(KEEP_UNUSED_MS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Engine;
    use crate::client_names::{MAX_CLIENTS, open_exclusive};
    use crate::relations;
    use crate::testing::{engine, pass_ms};
    use m2_core::ContactState;
    use m2_crypto::PeerId;
    use m2_proto::reason::Reason;

    const DAY_MS: u64 = 86_400_000;

    fn knows(engine: &Engine, name: &str) -> bool {
        engine.state.batch.store.client(name).unwrap().is_some()
    }

    /// Appends an event to the log.
    fn event(engine: &mut Engine) {
        let peer = PeerId::from_bytes([1; 32]);
        if engine.state.peers.row_of(&peer).is_none() {
            relations::begin(&mut engine.state, peer, ContactState::Contact, "").unwrap();
        }
        let contact = engine.state.peers.row_of(&peer).unwrap();
        engine
            .state
            .batch
            .event(m2_store::EventKind::ContactAdded, contact, None, 0)
            .unwrap();
    }

    #[test]
    fn a_new_client_starts_now_and_a_known_one_where_it_left_off() {
        let (_dir, mut engine) = engine();
        event(&mut engine);
        let log = engine.log_incarnation();
        assert_eq!(
            open_exclusive(&mut engine.state, "bot", "", StreamStart::Kept).unwrap(),
            1
        );
        event(&mut engine);
        assert_eq!(
            open_exclusive(&mut engine.state, "bot", "", StreamStart::Kept).unwrap(),
            1
        );
        assert_eq!(
            open_exclusive(&mut engine.state, "", "", StreamStart::Kept).unwrap(),
            2
        );
        assert_eq!(
            open_exclusive(&mut engine.state, "old", "", StreamStart::Start).unwrap(),
            0
        );
        acknowledge_events(&mut engine.state, "bot", log, 2).unwrap();
        // An acknowledgement that goes backwards succeeds and changes nothing.
        acknowledge_events(&mut engine.state, "bot", log, 1).unwrap();
        assert_eq!(
            open_exclusive(&mut engine.state, "bot", "", StreamStart::Kept).unwrap(),
            2
        );
    }

    #[test]
    fn unused_clients_are_pruned() {
        let (_dir, mut engine) = engine();
        event(&mut engine);
        let log = engine.log_incarnation();
        for name in ["used", "never"] {
            open_exclusive(&mut engine.state, name, "", StreamStart::Kept).unwrap();
        }
        acknowledge_events(&mut engine.state, "used", log, 1).unwrap();
        pass_ms(&mut engine, 29 * DAY_MS);
        assert!(knows(&engine, "never"));
        pass_ms(&mut engine, 2 * DAY_MS);
        assert!(!knows(&engine, "never"));
        pass_ms(&mut engine, 58 * DAY_MS);
        assert!(knows(&engine, "used"));
        client_names::see(&mut engine.state, "used").unwrap();
        pass_ms(&mut engine, 89 * DAY_MS);
        assert!(knows(&engine, "used"));
        pass_ms(&mut engine, 2 * DAY_MS);
        assert!(!knows(&engine, "used"));
    }

    #[test]
    fn the_refusal_at_the_limit_names_the_remedy() {
        let (_dir, mut engine) = engine();
        // One transaction, as each commit would wait for the disk.
        engine.state.batch.store.begin().unwrap();
        for number in 0..MAX_CLIENTS {
            let name = format!("job-{number}");
            open_exclusive(&mut engine.state, &name, "", StreamStart::Kept).unwrap();
        }
        let refused = open_exclusive(&mut engine.state, "more", "", StreamStart::Kept).unwrap_err();
        assert_eq!(refused.reason, Reason::LimitReached);
        assert!(refused.message.contains("m2 client remove"));
        open_exclusive(&mut engine.state, "job-7", "", StreamStart::Kept).unwrap();
        remove_client(&mut engine.state, "job-7").unwrap();
        let unknown = remove_client(&mut engine.state, "job-7").unwrap_err();
        assert_eq!(unknown.reason, Reason::ClientUnknown);
        open_exclusive(&mut engine.state, "more", "", StreamStart::Kept).unwrap();
        engine.state.flush_and_commit().unwrap();
    }
}
