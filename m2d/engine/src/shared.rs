//! Client names that several workers share: each event is given to one of them.

use crate::call;
use crate::client_names::{self, StreamStart};
use crate::effect::Effect;
use crate::event_filter::EventFilter;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::shared_queue::{Change, Given, MAX_DEAD, SharedQueue, SharedTerms, WorkerId};
use crate::state::{State, Worker};
use m2_proto::reason::Reason;
use m2_store::StoreError;

/// The most workers of a name that have a stream.
const MAX_WORKERS: usize = 64;
/// The number of events that are considered at once.
const HEADS: u32 = 256;
/// How often an event is given while its name has no workers.
const DELIVERIES: u32 = 5;

/// What is done with dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterAction {
    /// They are given to workers again.
    Retry,
    /// They are dropped.
    Drop,
}

/// The answer to a worker that asks for events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// The events that it is given.
    pub events: Vec<Given>,
    /// The number of events that are not stored any more and were not handled, and the number of the last of them.
    pub dropped: Option<(u64, i64)>,
    /// The number of the last event that was considered.
    pub considered: i64,
    /// True if that is the newest one.
    pub is_caught_up: bool,
    /// The milliseconds until a lease ends or a pause is over; `None` if there is none.
    pub wait_ms: Option<u64>,
}

/// A request about a shared name.
pub enum SharedRequest {
    /// Add a worker. Whatever the answer is, the worker must leave in the end.
    Join {
        /// Identifies the worker: a random number, which no other worker has had.
        id: WorkerId,
        /// The name.
        client: String,
        /// The name of the front-end's access token; empty for the owner.
        token: String,
        /// Where a new name starts.
        start: StreamStart,
        /// The events that are given to workers.
        filter: EventFilter,
        /// The terms of this worker.
        terms: SharedTerms,
        /// The number of the event up to which all are done or open.
        reply: Reply<i64>,
    },
    /// Give a worker the events that it may have.
    Take(WorkerId, Reply<Taken>),
    /// Remove a worker. These events did not reach it; its other leases last.
    Leave(WorkerId, Vec<i64>, Reply<()>),
    /// End the lease of an event that was not handled.
    Refuse {
        /// The name.
        client: String,
        /// The log's incarnation, from the cursor.
        incarnation: u64,
        /// The event's number.
        seq: i64,
        /// The number of the delivery; 0 for any.
        delivery: u32,
        /// The time until it is given again, in milliseconds.
        delay_ms: u64,
        /// Why it was not handled.
        why: String,
        /// Confirms the request.
        reply: Reply<()>,
    },
    /// Settle dead letters. Returns their number.
    Settle {
        /// The name.
        client: String,
        /// The log's incarnation and the event's number, from the cursors; all if empty.
        letters: Vec<(u64, i64)>,
        /// What is done with them.
        action: LetterAction,
        /// The number of dead letters that were settled.
        reply: Reply<u32>,
    },
}

/// Handles a request about a shared name.
pub(crate) fn handle(engine: &mut State, request: SharedRequest) {
    match request {
        SharedRequest::Join {
            id,
            client,
            token,
            start,
            filter,
            terms,
            reply,
        } => call::run(engine, reply, |engine| {
            let worker = Worker {
                client,
                filter,
                terms,
            };
            join(engine, id, worker, &token, start)
        }),
        SharedRequest::Take(worker, reply) => {
            call::run(engine, reply, |engine| take(engine, worker));
        }
        SharedRequest::Leave(worker, unsent, reply) => {
            call::run(engine, reply, |engine| leave(engine, worker, &unsent));
        }
        SharedRequest::Refuse {
            client,
            incarnation,
            seq,
            delivery,
            delay_ms,
            why,
            reply,
        } => call::run(engine, reply, |engine| {
            client_names::check_cursor(engine, incarnation, seq)?;
            let now = engine.batch.now_ms();
            with_queue(engine, &client, |queue| {
                queue.refuse(seq, delivery, delay_ms, now, &why);
            })
        }),
        SharedRequest::Settle {
            client,
            letters,
            action,
            reply,
        } => call::run(engine, reply, |engine| {
            settle(engine, &client, &letters, action)
        }),
    }
}

/// Adds a worker, and its name if it is new.
fn join(
    engine: &mut State,
    id: WorkerId,
    worker: Worker,
    token: &str,
    start: StreamStart,
) -> Result<i64, Refusal> {
    let workers: Vec<&Worker> = engine.shared.of(&worker.client).collect();
    if workers.len() >= MAX_WORKERS {
        return Err(Refusal::limit(
            "client",
            MAX_WORKERS,
            "workers that share this name",
            "End some of them, or choose another name.",
        ));
    }
    if workers.iter().any(|other| other.filter != worker.filter) {
        return Err(Refusal::argument(
            "kinds",
            "as the other workers of the name",
            "The other workers that share this client name ask for other kinds or contacts. Ask for the same ones, or \
             choose another name.",
        ));
    }
    let after = client_names::open_shared(engine, &worker.client, token, start)?;
    engine.shared.workers.insert(id, worker);
    Ok(after)
}

/// Gives a worker the events that it may have.
fn take(engine: &mut State, id: WorkerId) -> Result<Taken, Refusal> {
    let worker = engine.shared.workers.get(&id).cloned();
    let worker = worker.ok_or_else(|| Refusal::new(Reason::ClientUnknown))?;
    let mut queue = take_queue(engine, &worker.client)?;
    let taken = fill(engine, &mut queue, &worker, id);
    put_queue(engine, &worker.client, queue)?;
    Ok(taken?)
}

fn fill(
    engine: &State,
    queue: &mut SharedQueue,
    worker: &Worker,
    id: WorkerId,
) -> Result<Taken, StoreError> {
    let (store, now) = (&engine.batch.store, engine.batch.now_ms());
    let mut taken = Taken::default();
    if let Some(oldest) = store.oldest_event()? {
        let count = queue.forget_before(oldest);
        taken.dropped = (count > 0).then_some((count, oldest - 1));
    }
    queue.end_leases(now);
    loop {
        while let Some(given) = queue.give(id, &worker.terms, now) {
            taken.events.push(given);
        }
        if taken.events.len() >= worker.terms.max_open as usize || !queue.has_room() {
            break;
        }
        let heads = store.event_heads(queue.considered(), HEADS)?;
        if heads.is_empty() {
            break;
        }
        for head in heads {
            if !queue.has_room() {
                break;
            }
            let is_selected = worker.filter.takes(head.kind, &head.peer_id);
            queue.consider(head.seq, head.contact, is_selected);
        }
    }
    taken.considered = queue.considered();
    taken.is_caught_up = taken.considered >= store.newest_event()?;
    taken.wait_ms = queue.next_change_ms(now).map(|next| next - now);
    Ok(taken)
}

/// Removes a worker. The events that did not reach it are given to others at once.
fn leave(engine: &mut State, id: WorkerId, unsent: &[i64]) -> Result<(), Refusal> {
    let Some(worker) = engine.shared.workers.get(&id) else {
        return Ok(());
    };
    let (client, now) = (worker.client.clone(), engine.batch.now_ms());
    let is_known = engine.batch.store.client(&client)?.is_some();
    if is_known && !unsent.is_empty() {
        with_queue(engine, &client, |queue| {
            unsent.iter().for_each(|seq| queue.give_back(*seq, id, now));
        })?;
    }
    engine.shared.remove(id);
    Ok(())
}

/// Notes that a worker of a shared name has handled an event.
pub(crate) fn acknowledge(engine: &mut State, client: &str, seq: i64) -> Result<(), Refusal> {
    with_queue(engine, client, |queue| queue.acknowledge(seq))
}

/// Settles dead letters. Returns their number.
fn settle(
    engine: &mut State,
    client: &str,
    letters: &[(u64, i64)],
    action: LetterAction,
) -> Result<u32, Refusal> {
    for (incarnation, seq) in letters {
        client_names::check_cursor(engine, *incarnation, *seq)?;
    }
    let mut queue = take_queue(engine, client)?;
    let all = queue.dead().iter().copied();
    let chosen: Vec<i64> = if letters.is_empty() {
        all.collect()
    } else {
        all.filter(|seq| letters.iter().any(|(_, wanted)| wanted == seq))
            .collect()
    };
    let now = engine.batch.now_ms();
    let mut count = 0;
    for seq in chosen {
        match (action, engine.batch.store.contact_of_event(seq)?) {
            (LetterAction::Retry, Some(contact)) => queue.retry(seq, contact, now),
            // There is nothing left to give to a worker.
            (LetterAction::Retry, None) => continue,
            (LetterAction::Drop, _) => queue.drop_dead(seq),
        }
        count += 1;
    }
    put_queue(engine, client, queue)?;
    Ok(count)
}

/// Returns the warning about dead letters.
pub(crate) fn dead_letter_warning(engine: &State) -> Result<Option<String>, StoreError> {
    let totals = engine.batch.store.dead_letter_totals()?;
    if totals.count == 0 {
        return Ok(None);
    }
    let days = engine.batch.now_ms().saturating_sub(totals.oldest_ms) / 86_400_000;
    let full = if totals.most >= MAX_DEAD as u64 {
        " A name has reached its limit of 1,000: further events that its workers can't handle are given to them again \
         and again, once a minute."
    } else {
        ""
    };
    Ok(Some(format!(
        "{} events of {} shared client names were not handled and are dead letters, the oldest for {days} days: \
         `m2 client list` shows the names, `m2 client dead-letters NAME` the events, which can be retried or \
         dropped.{full}",
        totals.count, totals.clients
    )))
}

/// Changes the queue of a name, and stores its changes. The other workers of the name are woken.
fn with_queue(
    engine: &mut State,
    client: &str,
    change: impl FnOnce(&mut SharedQueue),
) -> Result<(), Refusal> {
    let mut queue = take_queue(engine, client)?;
    change(&mut queue);
    put_queue(engine, client, queue)
}

/// Takes the queue of a name out of memory, or out of the store.
///
/// Errors: CLIENT_UNKNOWN; CLIENT_MODE_DIFFERS if the name is not shared.
fn take_queue(engine: &mut State, client: &str) -> Result<SharedQueue, Refusal> {
    let store = &engine.batch.store;
    let head = store
        .client(client)?
        .ok_or_else(|| client_names::unknown(client))?;
    if !head.shared {
        return Err(client_names::other_mode(client, false));
    }
    let workers = engine.shared.of(client);
    let max_deliveries = workers.map(|worker| worker.terms.max_deliveries).max();
    let max_deliveries = max_deliveries.unwrap_or(DELIVERIES);
    if let Some(mut queue) = engine.shared.queues.remove(client) {
        queue.set_max_deliveries(max_deliveries);
        return Ok(queue);
    }
    let rows = store.shared_events(client)?;
    let now = engine.batch.now_ms();
    Ok(SharedQueue::load(head.cursor, max_deliveries, &rows, now))
}

/// Stores the changes of a queue, and keeps it in memory while its name has workers.
fn put_queue(engine: &mut State, client: &str, mut queue: SharedQueue) -> Result<(), Refusal> {
    let store = &engine.batch.store;
    let changes = queue.take_changes();
    let wakes = !changes.is_empty();
    for change in changes {
        match change {
            Change::Put(row, why) => store.put_shared_event(client, &row, &why)?,
            Change::Delete(seq) => store.delete_shared_event(client, seq)?,
            Change::Floor(floor) => store.advance_client(client, floor)?,
        }
    }
    if engine.shared.of(client).next().is_some() {
        engine.shared.queues.insert(client.to_owned(), queue);
    }
    if wakes {
        engine.batch.effect(Effect::SharedChanged);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
