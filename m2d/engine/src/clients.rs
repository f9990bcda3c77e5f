//! Named clients of the event stream and their cursors.

use crate::call;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::state::State;
use m2_proto::reason::Reason;
use m2_store::StoreError;

/// The most named clients with a stored cursor.
const MAX_CLIENTS: u32 = 10_000;
/// How long an unused named client is kept, in milliseconds.
const KEEP_MS: u64 = 90 * 86_400_000;
/// How long a named client that never acknowledged an event is kept, in milliseconds.
const KEEP_UNUSED_MS: u64 = 30 * 86_400_000;

/// Where an event stream starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamStart {
    /// After the newest event.
    Now,
    /// With the oldest event kept.
    Start,
    /// After this event of the log with this incarnation.
    After {
        /// The log's incarnation, from the cursor.
        incarnation: u64,
        /// The event's number.
        seq: i64,
    },
    /// At the named client's cursor; after the newest event if the client is new.
    Kept,
}

/// A request about a stream of events.
pub enum StreamRequest {
    /// Return the number of the event after which a stream starts.
    Open {
        /// The client's name; empty for none.
        client: String,
        /// Where the stream starts.
        start: StreamStart,
        /// The number of the event.
        reply: Reply<i64>,
    },
    /// Move a named client's cursor forward.
    Acknowledge {
        /// The client's name.
        client: String,
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
            start,
            reply,
        } => call::run(engine, reply, |engine| open_stream(engine, &client, start)),
        StreamRequest::Acknowledge {
            client,
            incarnation,
            seq,
            reply,
        } => call::run(engine, reply, |engine| {
            acknowledge_events(engine, &client, incarnation, seq)
        }),
        StreamRequest::See(client, reply) => {
            call::run(engine, reply, |engine| see_client(engine, &client))
        }
        StreamRequest::Remove(client, reply) => {
            call::run(engine, reply, |engine| remove_client(engine, &client))
        }
    }
}

/// Returns the event number after which a stream starts. Stores the cursor of a new named
/// client.
fn open_stream(engine: &mut State, client: &str, start: StreamStart) -> Result<i64, Refusal> {
    let newest = engine.batch.store.newest_event()?;
    let kept = if client.is_empty() {
        None
    } else {
        engine.batch.store.client_cursor(client)?
    };
    let after = match (start, kept) {
        (StreamStart::Now, _) => newest,
        (StreamStart::Start, _) => 0,
        (StreamStart::After { incarnation, seq }, _) => {
            check_cursor(engine, incarnation, seq, newest)?
        }
        (StreamStart::Kept, kept) => kept.unwrap_or(newest),
    };
    match kept {
        _ if client.is_empty() => {}
        Some(_) => see_client(engine, client)?,
        None => add_client(engine, client, after)?,
    }
    Ok(after)
}

/// Moves a named client's cursor forward. An older position changes nothing.
fn acknowledge_events(
    engine: &mut State,
    client: &str,
    incarnation: u64,
    seq: i64,
) -> Result<(), Refusal> {
    if engine.batch.store.client_cursor(client)?.is_none() {
        return Err(unknown(client));
    }
    let newest = engine.batch.store.newest_event()?;
    let seq = check_cursor(engine, incarnation, seq, newest)?;
    let now = engine.batch.now_ms();
    engine.batch.store.acknowledge_client(client, seq, now)?;
    Ok(())
}

/// Records that a named client is connected.
fn see_client(engine: &mut State, client: &str) -> Result<(), Refusal> {
    let now = engine.batch.now_ms();
    Ok(engine.batch.store.see_client(client, now)?)
}

/// Deletes a named client and its cursor.
fn remove_client(engine: &mut State, client: &str) -> Result<(), Refusal> {
    match engine.batch.store.remove_client(client)? {
        true => Ok(()),
        false => Err(unknown(client)),
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

fn add_client(engine: &mut State, client: &str, after: i64) -> Result<(), Refusal> {
    if engine.batch.store.client_count()? >= MAX_CLIENTS {
        return Err(Refusal::limit(
            "clients",
            usize::try_from(MAX_CLIENTS).unwrap_or_default(),
            "named clients",
            "Remove those that are no longer used with `m2 client remove NAME`; \
             `m2 client list` shows all.",
        ));
    }
    let now = engine.batch.now_ms();
    Ok(engine.batch.store.add_client(client, after, now)?)
}

fn check_cursor(engine: &State, incarnation: u64, seq: i64, newest: i64) -> Result<i64, Refusal> {
    if incarnation == engine.log_incarnation && (0..=newest).contains(&seq) {
        Ok(seq)
    } else {
        Err(Refusal::new(Reason::CursorInvalid))
    }
}

fn unknown(client: &str) -> Refusal {
    Refusal::because(
        Reason::ClientUnknown,
        format!("No client named \"{client}\" exists. `m2 client list` shows all."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Engine;
    use crate::relations;
    use crate::testing::{engine, pass_ms};
    use m2_core::ContactState;
    use m2_crypto::PeerId;

    const DAY_MS: u64 = 86_400_000;

    fn knows(engine: &Engine, name: &str) -> bool {
        engine
            .state
            .batch
            .store
            .client_cursor(name)
            .unwrap()
            .is_some()
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
            open_stream(&mut engine.state, "bot", StreamStart::Kept).unwrap(),
            1
        );
        event(&mut engine);
        assert_eq!(
            open_stream(&mut engine.state, "bot", StreamStart::Kept).unwrap(),
            1
        );
        assert_eq!(
            open_stream(&mut engine.state, "", StreamStart::Kept).unwrap(),
            2
        );
        assert_eq!(
            open_stream(&mut engine.state, "old", StreamStart::Start).unwrap(),
            0
        );
        acknowledge_events(&mut engine.state, "bot", log, 2).unwrap();
        // An acknowledgement that goes backwards succeeds and changes nothing.
        acknowledge_events(&mut engine.state, "bot", log, 1).unwrap();
        assert_eq!(
            open_stream(&mut engine.state, "bot", StreamStart::Kept).unwrap(),
            2
        );
    }

    #[test]
    fn unused_clients_are_pruned() {
        let (_dir, mut engine) = engine();
        event(&mut engine);
        let log = engine.log_incarnation();
        for name in ["used", "never"] {
            open_stream(&mut engine.state, name, StreamStart::Kept).unwrap();
        }
        acknowledge_events(&mut engine.state, "used", log, 1).unwrap();
        pass_ms(&mut engine, 29 * DAY_MS);
        assert!(knows(&engine, "never"));
        pass_ms(&mut engine, 2 * DAY_MS);
        assert!(!knows(&engine, "never"));
        pass_ms(&mut engine, 58 * DAY_MS);
        assert!(knows(&engine, "used"));
        see_client(&mut engine.state, "used").unwrap();
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
            open_stream(&mut engine.state, &name, StreamStart::Kept).unwrap();
        }
        let refused = open_stream(&mut engine.state, "more", StreamStart::Kept).unwrap_err();
        assert_eq!(refused.reason, Reason::LimitReached);
        assert!(refused.message.contains("m2 client remove"));
        open_stream(&mut engine.state, "job-7", StreamStart::Kept).unwrap();
        remove_client(&mut engine.state, "job-7").unwrap();
        let unknown = remove_client(&mut engine.state, "job-7").unwrap_err();
        assert_eq!(unknown.reason, Reason::ClientUnknown);
        open_stream(&mut engine.state, "more", StreamStart::Kept).unwrap();
        engine.state.flush_and_commit().unwrap();
    }
}
