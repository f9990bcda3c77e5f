//! The purge of expired letters and marks.

use super::kept::Erasure;
use super::record::Record;
use super::subjects::{owner_of, period_of};
use super::{PARALLEL, Shared};
use crate::store::{MailboxError, due_hour, due_period};
use async_nats::jetstream::message::StreamMessage;
use futures::{StreamExt, TryStreamExt, stream};
use m2_crypto::deposit::Period;
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of ended periods in which marks are searched for. A mark is written at the latest 7
/// days after its token was valid, so the marks of an earlier period are left only if no purge ran
/// for weeks.
const PERIODS: u16 = 3;

/// Positions in the stream before which nothing is left.
#[derive(Default)]
pub(super) struct Purged {
    letters: AtomicU64,
    marks: AtomicU64,
}

/// Deletes up to `budget` letters and marks that have expired. Returns their number.
pub(super) async fn run(
    shared: &Shared,
    now_ms: u64,
    budget: usize,
) -> Result<usize, MailboxError> {
    let letters = purge_letters(shared, due_hour(now_ms), budget).await?;
    let marks = match due_period(now_ms / 1_000) {
        Some(last) => purge_marks(shared, last, budget - letters).await?,
        None => 0,
    };
    Ok(letters + marks)
}

/// The oldest letters are first in the stream, and clocks of front ends differ by less than the
/// counted hours, so the first letter that is not due ends the purge. The engine's own limit of
/// time, two hours later, removes any remainder.
async fn purge_letters(shared: &Shared, due: u32, budget: usize) -> Result<usize, MailboxError> {
    let is_due = |message: &StreamMessage| Ok(Record::unpack(&message.payload)?.expiry <= due);
    let filter = shared.subjects.all_letters();
    let from = &shared.purged.letters;
    purge(shared, &filter, from, budget, is_due, || {
        shared.overwrites.next()
    })
    .await
}

async fn purge_marks(shared: &Shared, last: Period, budget: usize) -> Result<usize, MailboxError> {
    let earlier = (0..PERIODS).filter_map(|back| last.number().checked_sub(back));
    let mut purged = 0;
    for period in earlier.map(Period::new) {
        purged += purge_period(shared, period, budget - purged).await?;
    }
    // Marks of earlier periods: the clock may have been set.
    let (all, from) = (shared.subjects.all_marks(), &shared.purged.marks);
    while purged < budget {
        let oldest = shared.cluster.kept.next(&all, position(from)).await?;
        let Some(oldest) = oldest else { break };
        from.store(oldest.sequence, Ordering::Relaxed);
        match period_of(&oldest.subject).filter(|period| *period <= last) {
            Some(period) => purged += purge_period(shared, period, budget - purged).await?,
            None => break,
        }
    }
    Ok(purged)
}

async fn purge_period(
    shared: &Shared,
    period: Period,
    budget: usize,
) -> Result<usize, MailboxError> {
    let (filter, from) = (shared.subjects.marks_of_period(period), AtomicU64::new(1));
    purge(
        shared,
        &filter,
        &from,
        budget,
        |_| Ok(true),
        || Erasure::Delete,
    )
    .await
}

/// Deletes the messages that match `filter`, in the order of the stream, up to the first one that
/// is not due. Returns their number.
async fn purge(
    shared: &Shared,
    filter: &str,
    from: &AtomicU64,
    budget: usize,
    is_due: impl Fn(&StreamMessage) -> Result<bool, MailboxError>,
    how: impl Fn() -> Erasure,
) -> Result<usize, MailboxError> {
    let (kept, mut purged) = (&shared.cluster.kept, 0);
    while purged < budget {
        let (mut due, mut next) = (Vec::new(), position(from));
        while due.len() < PARALLEL.min(budget - purged) {
            let Some(message) = kept.next(filter, next).await? else {
                break;
            };
            if !is_due(&message)? {
                next = message.sequence;
                break;
            }
            next = message.sequence + 1;
            due.push(message);
        }
        let erase = |message: &StreamMessage| kept.erase(message.sequence, how());
        let erased: Vec<_> = due.iter().map(erase).collect();
        let erased = stream::iter(erased).buffer_unordered(PARALLEL);
        erased.try_collect::<()>().await?;
        for owner in due.iter().filter_map(|message| owner_of(&message.subject)) {
            shared.fills.forget(&owner);
        }
        from.store(next, Ordering::Relaxed);
        purged += due.len();
        if due.is_empty() {
            break;
        }
    }
    Ok(purged)
}

fn position(from: &AtomicU64) -> u64 {
    from.load(Ordering::Relaxed).max(1)
}
