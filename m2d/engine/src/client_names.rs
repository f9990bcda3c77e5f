//! The names of clients of the event stream, and cursors in the log.

use crate::refusal::Refusal;
use crate::state::State;
use m2_proto::reason::Reason;

/// The most named clients with a stored cursor.
pub(crate) const MAX_CLIENTS: u32 = 10_000;

/// The most named clients of one access token.
const MAX_CLIENTS_OF_TOKEN: u32 = 64;

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

/// Returns the event number after which a stream starts. Stores the cursor of a new named
/// client.
pub(crate) fn open_exclusive(
    engine: &mut State,
    client: &str,
    token: &str,
    start: StreamStart,
) -> Result<i64, Refusal> {
    check_token(engine, client, token)?;
    let known = if client.is_empty() {
        None
    } else {
        engine.batch.store.client(client)?
    };
    if known.is_some_and(|head| head.shared) {
        return Err(other_mode(client, true));
    }
    let after = match (start, known) {
        (StreamStart::Kept, Some(head)) => head.cursor,
        _ => first(engine, start)?,
    };
    match known {
        _ if client.is_empty() => {}
        Some(_) => see(engine, client)?,
        None => add(engine, client, token, after, false)?,
    }
    Ok(after)
}

/// Returns the event number up to which the events of a shared name are done or open. Stores a new name. Where a known
/// one starts can't be chosen.
pub(crate) fn open_shared(
    engine: &mut State,
    client: &str,
    token: &str,
    start: StreamStart,
) -> Result<i64, Refusal> {
    check_token(engine, client, token)?;
    if let Some(head) = engine.batch.store.client(client)? {
        if !head.shared {
            return Err(other_mode(client, false));
        }
        see(engine, client)?;
        return Ok(head.cursor);
    }
    let oldest = engine.batch.store.oldest_event()?.unwrap_or(1);
    let after = first(engine, start)?.max(oldest - 1);
    add(engine, client, token, after, true)?;
    Ok(after)
}

fn first(engine: &State, start: StreamStart) -> Result<i64, Refusal> {
    match start {
        StreamStart::Now | StreamStart::Kept => Ok(engine.batch.store.newest_event()?),
        StreamStart::Start => Ok(0),
        StreamStart::After { incarnation, seq } => check_cursor(engine, incarnation, seq),
    }
}

/// Records that a named client is connected.
pub(crate) fn see(engine: &mut State, client: &str) -> Result<(), Refusal> {
    let now = engine.batch.now_ms();
    Ok(engine.batch.store.see_client(client, now)?)
}

/// Refuses a name that belongs to another front-end than that of the token. The owner may use every name.
///
/// Errors: NOT_ALLOWED.
pub(crate) fn check_token(engine: &State, client: &str, token: &str) -> Result<(), Refusal> {
    if token.is_empty() {
        return Ok(());
    }
    match engine.batch.store.client_token(client)? {
        Some(other) if other != token => Err(Refusal::because(
            Reason::NotAllowed,
            format!(
                "The name \"{client}\" belongs to another front-end. Choose a name that no other \
                 front-end uses."
            ),
        )),
        _ => Ok(()),
    }
}

fn add(
    engine: &mut State,
    client: &str,
    token: &str,
    after: i64,
    shared: bool,
) -> Result<(), Refusal> {
    let of_token = engine.batch.store.clients_of_token(token)?;
    if !token.is_empty() && of_token >= MAX_CLIENTS_OF_TOKEN {
        return Err(Refusal::limit(
            "client",
            usize::try_from(MAX_CLIENTS_OF_TOKEN).unwrap_or_default(),
            "names of this token",
            "Use one of them, or have the owner remove some with `m2 client remove NAME`.",
        ));
    }
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
    Ok(engine
        .batch
        .store
        .add_client(client, token, after, shared, now)?)
}

/// Returns the number of the event at a cursor.
///
/// Errors: CURSOR_INVALID.
pub(crate) fn check_cursor(engine: &State, incarnation: u64, seq: i64) -> Result<i64, Refusal> {
    let newest = engine.batch.store.newest_event()?;
    if incarnation == engine.log_incarnation && (0..=newest).contains(&seq) {
        Ok(seq)
    } else {
        Err(Refusal::new(Reason::CursorInvalid))
    }
}

/// Returns the refusal for a name that does not exist.
pub(crate) fn unknown(client: &str) -> Refusal {
    Refusal::because(
        Reason::ClientUnknown,
        format!("No client named \"{client}\" exists. `m2 client list` shows all."),
    )
}

/// Returns the refusal for a name that is shared, or one that is not.
pub(crate) fn other_mode(client: &str, is_shared: bool) -> Refusal {
    let mode = if is_shared {
        "is shared by workers, so one listener alone can't use it"
    } else {
        "belongs to one listener, so workers can't share it"
    };
    Refusal::because(
        Reason::ClientModeDiffers,
        format!(
            "The client name \"{client}\" {mode}. Choose another name, or remove this one with \
             `m2 client remove {client}`."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::engine;

    #[test]
    fn the_name_of_another_front_end_is_not_for_a_token() {
        let (_dir, mut engine) = engine();
        let state = &mut engine.state;
        let kept = StreamStart::Kept;
        let mut open =
            |client, token| open_exclusive(state, client, token, kept).map_err(|it| it.reason);
        open("desk", "").unwrap();
        open("cam", "camera").unwrap();
        open("cam", "camera").unwrap();
        assert_eq!(open("desk", "camera"), Err(Reason::NotAllowed));
        assert_eq!(open("cam", "bot"), Err(Reason::NotAllowed));
        // The owner may use every name, and the name still belongs to the token.
        open("cam", "").unwrap();
        open("cam", "camera").unwrap();
        assert_eq!(open("", "bot"), Ok(0));
        let state = &mut engine.state;
        open_shared(state, "crew", "bot", kept).unwrap();
        let refused = open_shared(state, "crew", "camera", kept).unwrap_err();
        assert_eq!(refused.reason, Reason::NotAllowed);
    }

    #[test]
    fn the_names_of_one_token_are_bounded() {
        let (_dir, mut engine) = engine();
        engine.state.batch.store.begin().unwrap();
        let state = &mut engine.state;
        let mut open =
            |client: &str, token: &str| open_exclusive(state, client, token, StreamStart::Kept);
        for number in 0..MAX_CLIENTS_OF_TOKEN {
            open(&format!("bot-{number}"), "bot").unwrap();
        }
        let refused = open("more", "bot").unwrap_err();
        assert_eq!(refused.reason, Reason::LimitReached);
        open("bot-7", "bot").unwrap();
        open("more", "cam").unwrap();
        open("other", "").unwrap();
    }
}
