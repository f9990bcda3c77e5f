//! Publishes this host's addresses in the DHT: one record for each contact and open invitation
//! (`docs/spec/lookup.md#in-the-dht`).

use super::LookupTasks;
use super::due::Due;
use crate::driver::EngineHandle;
use crate::reach::Reachability;
use futures::StreamExt;
use m2_crypto::Secret;
use m2_crypto::address::NamedAddress;
use m2_crypto::presence::{DayKey, MAX_ADDRESSES, PresenceLine, Record, RecordKey, Salt, day};
use m2_discovery::dht::Dht;
use m2_engine::PresencePlan;
use m2_engine::Query;
use m2_engine::Refusal;
use m2_engine::clock::{Clock, SetsSeen};
use m2_limits::backoff::Backoff;
use rand_core::{Rng, UnwrapErr};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The most records published concurrently.
const AT_ONCE: usize = 8;
/// Timeout of one publication.
const WITHIN: Duration = Duration::from_secs(30);
/// The interval at which a record is published, and its random part, in milliseconds. A round also
/// publishes the records that are due within the random part, because a node of the DHT wakes up 20
/// times a second while it runs.
const EVERY_MS: u64 = 50 * 60_000;
const SPREAD_MS: u64 = 20 * 60_000;
/// How long before midnight UTC tomorrow's records are published, in milliseconds.
const BEFORE_MIDNIGHT_MS: u64 = 3_600_000;
const DAY_MS: u64 = 86_400_000;
/// Changes within this time share one round.
const GATHER: Duration = Duration::from_millis(400);
/// The least time between two rounds.
const LEAST_PAUSE: Duration = Duration::from_secs(10);
/// The longest time until the next check.
const LONGEST_WAIT: Duration = Duration::from_secs(900);
const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(10),
    longest: Duration::from_secs(900),
};

/// The content of a record, without the time at which it is made.
type Content = (Vec<NamedAddress>, Vec<PresenceLine>);

/// Distinguishes the places of records in the DHT: the seed of the key, and the salt.
#[derive(Clone, PartialEq, Eq)]
struct Slot(Secret<32>, Option<Salt>);

impl Hash for Slot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.expose().hash(state);
        self.1.hash(state);
    }
}

/// The task that publishes records.
pub(super) struct Publisher {
    dht: Arc<Dht>,
    engine: EngineHandle,
    reach: Arc<Reachability>,
    clock: Arc<Clock>,
    published: Published,
    /// The sequence number of the newest record under each key.
    numbers: HashMap<Slot, u64>,
    sets: SetsSeen,
}

impl Publisher {
    pub(super) fn new(tasks: &LookupTasks, dht: Arc<Dht>) -> Self {
        Self {
            dht,
            engine: tasks.engine.clone(),
            reach: tasks.reach.clone(),
            clock: tasks.clock.clone(),
            published: Published::new(),
            numbers: HashMap::new(),
            sets: SetsSeen::default(),
        }
    }

    /// Runs until the daemon stops.
    pub(super) async fn run(mut self, mut wake: watch::Receiver<()>, stop: CancellationToken) {
        let mut moved = self.reach.changes();
        loop {
            wake.mark_unchanged();
            moved.mark_unchanged();
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.round() => {}
            }
            let wait = self.wait();
            tokio::select! {
                () = stop.cancelled() => return,
                // The senders live as long as the daemon.
                _ = wake.changed() => {}
                _ = moved.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
            tokio::time::sleep(GATHER).await;
        }
    }

    async fn round(&mut self) {
        if let Err(refusal) = self.publish().await {
            tracing::debug!(reason = %refusal.reason, "the records to publish cannot be read");
        }
        tokio::time::sleep(LEAST_PAUSE).await;
    }

    /// Returns the time until a record is due.
    fn wait(&self) -> Duration {
        let now = self.clock.steady_ms();
        let next = self.published.due.next_ms();
        let next = next.map(|next| next.saturating_sub(now));
        let next = Duration::from_millis(next.unwrap_or(u64::MAX));
        next.min(LONGEST_WAIT)
    }

    /// Publishes the records that changed or are due.
    async fn publish(&mut self) -> Result<(), Refusal> {
        if self.sets.changed(&self.clock) {
            // The time in the records is wrong, and their day may be too.
            self.published = Published::new();
        }
        let now_ms = self.clock.now_ms();
        let wanted = self.wanted(&days(now_ms)).await?;
        let slots: Vec<Slot> = wanted.iter().map(|(key, _)| slot(key)).collect();
        self.published.keep(&slots);
        self.numbers.retain(|slot, _| slots.contains(slot));
        let wanted = self.published.of_round(wanted, self.clock.steady_ms());
        self.send_all(wanted, now_ms / 1_000).await;
        Ok(())
    }

    /// Returns the records of these days with their content.
    async fn wanted(&self, days: &[u32]) -> Result<Vec<(DayKey, Content)>, Refusal> {
        let addresses = self.reach.candidates().await;
        let mut wanted = Vec::new();
        for &day in days {
            let publications = self.engine.read(|reply| Query::Publications(day, reply));
            for publication in publications.await? {
                let content = content(publication.direct, &addresses, publication.lines.clone());
                wanted.push((key(&publication, day), content));
            }
        }
        Ok(wanted)
    }

    async fn send_all(&mut self, wanted: Vec<(DayKey, Content)>, now_s: u64) {
        let steady_ms = self.clock.steady_ms();
        let sends = wanted.into_iter().map(|(key, content)| {
            let (dht, number) = (self.dht.clone(), self.next_number(slot(&key), now_s));
            async move {
                let done = send(&dht, &key, &content, (now_s, number)).await;
                (slot(&key), content, done)
            }
        });
        let sends: Vec<_> = sends.collect();
        let mut sends = futures::stream::iter(sends).buffer_unordered(AT_ONCE);
        while let Some((slot, content, done)) = sends.next().await {
            self.note_sent(slot, content, done, steady_ms);
        }
    }

    /// Returns the sequence number of the next record under a key.
    fn next_number(&mut self, slot: Slot, now_s: u64) -> u64 {
        // The number must also grow after the clock was set back, as nodes keep the highest.
        let number = self.numbers.entry(slot).or_default();
        *number = now_s.max(number.saturating_add(1));
        *number
    }

    /// Schedules the next publication of a record, or a retry.
    fn note_sent(&mut self, slot: Slot, content: Content, done: bool, steady_ms: u64) {
        let jitter = UnwrapErr(getrandom::SysRng).next_u32();
        if done {
            let spread = u64::from(jitter) % SPREAD_MS;
            let next_ms = steady_ms + EVERY_MS + spread;
            self.published.done(slot, content, next_ms);
        } else {
            self.published.due.failed(slot, steady_ms, jitter);
        }
    }
}

/// What was published under each key, and when the next publication is due.
struct Published {
    due: Due<Slot>,
    said: HashMap<Slot, Content>,
}

impl Published {
    fn new() -> Self {
        Self {
            due: Due::new(BACKOFF),
            said: HashMap::new(),
        }
    }

    /// Forgets all other keys.
    fn keep(&mut self, slots: &[Slot]) {
        self.due.keep(|slot| slots.contains(slot));
        self.said.retain(|slot, _| slots.contains(slot));
    }

    /// Returns the records of one round: none if none is due, else all that are due or will be soon.
    fn of_round(&self, wanted: Vec<(DayKey, Content)>, now_ms: u64) -> Vec<(DayKey, Content)> {
        let is_due = |one: &(DayKey, Content), at_ms| self.is_due(&slot(&one.0), &one.1, at_ms);
        let until_ms = match wanted.iter().any(|one| is_due(one, now_ms)) {
            true => now_ms.saturating_add(SPREAD_MS),
            false => return Vec::new(),
        };
        let soon = wanted.into_iter().filter(|one| is_due(one, until_ms));
        soon.collect()
    }

    /// Returns whether a record is due or has new content. An empty record is published only to
    /// replace an earlier one.
    fn is_due(&self, slot: &Slot, content: &Content, at_ms: u64) -> bool {
        match self.said.get(slot) {
            Some(said) => said != content || self.due.is_due(slot, at_ms),
            None => *content != Content::default() && self.due.is_due(slot, at_ms),
        }
    }

    fn done(&mut self, slot: Slot, content: Content, next_ms: u64) {
        self.due.done(slot.clone(), next_ms);
        self.said.insert(slot, content);
    }
}

/// Returns the days of which records are published: today, and shortly before midnight also
/// tomorrow.
fn days(now_ms: u64) -> Vec<u32> {
    let today = day(now_ms / 1_000);
    let mut days = vec![today];
    if now_ms % DAY_MS >= DAY_MS - BEFORE_MIDNIGHT_MS {
        days.push(today.saturating_add(1));
    }
    days
}

/// Returns the content of a record, with addresses only for a reader that may know them.
fn content(direct: bool, addresses: &[NamedAddress], lines: Vec<PresenceLine>) -> Content {
    let shown = if direct { addresses } else { &[] };
    (shown.iter().copied().take(MAX_ADDRESSES).collect(), lines)
}

fn key(publication: &PresencePlan, day: u32) -> DayKey {
    DayKey::derive(&publication.key, day)
}

/// Returns where a record is stored.
fn slot(key: &DayKey) -> Slot {
    let id = match key.dht_key() {
        RecordKey::Seed(seed) => seed.clone(),
        RecordKey::Public(public) => Secret::new(*public),
    };
    Slot(id, key.salt().copied())
}

async fn send(
    dht: &Dht,
    key: &DayKey,
    (addresses, lines): &Content,
    (now_s, number): (u64, u64),
) -> bool {
    let record = Record {
        made_s: now_s,
        addresses: addresses.clone(),
        lines: lines.clone(),
    };
    let Ok(sealed) = record.seal(&mut UnwrapErr(getrandom::SysRng), key) else {
        return false;
    };
    let stored = dht.publish(key, number, &sealed, WITHIN).await;
    stored.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use m2_crypto::presence::{PresenceKey, PresenceSecret};

    const MINUTE_MS: u64 = 60_000;

    fn record(number: u8, address: &str) -> (DayKey, Content) {
        let key = PresenceKey::of_pair(PresenceSecret::new(Secret::new([number; 32])));
        let address: NamedAddress = address.parse().unwrap();
        (DayKey::derive(&key, 20_000), (vec![address], Vec::new()))
    }

    fn numbers(round: &[(DayKey, Content)], of: &[(DayKey, Content)]) -> Vec<usize> {
        let place =
            |one: &(DayKey, Content)| of.iter().position(|other| slot(&one.0) == slot(&other.0));
        round.iter().filter_map(place).collect()
    }

    #[test]
    fn records_that_are_due_soon_are_published_in_one_round() {
        let all: Vec<_> = (0..3)
            .map(|number| record(number, "192.0.2.1:4000"))
            .collect();
        let mut published = Published::new();
        assert_eq!(
            numbers(&published.of_round(all.clone(), 0), &all),
            [0, 1, 2]
        );
        for ((key, content), due) in all.iter().zip([50, 60, 75]) {
            published.done(slot(key), content.clone(), due * MINUTE_MS);
        }
        assert!(
            published
                .of_round(all.clone(), 50 * MINUTE_MS - 1)
                .is_empty()
        );
        let round = published.of_round(all.clone(), 50 * MINUTE_MS);
        assert_eq!(
            numbers(&round, &all),
            [0, 1],
            "the third is due in 25 minutes"
        );
    }

    #[test]
    fn a_record_with_new_content_is_published_at_once() {
        let old = record(1, "192.0.2.1:4000");
        let mut published = Published::new();
        published.done(slot(&old.0), old.1.clone(), 60 * MINUTE_MS);
        assert!(published.of_round(vec![old.clone()], MINUTE_MS).is_empty());
        let new = record(1, "192.0.2.2:4000");
        assert_eq!(published.of_round(vec![new], MINUTE_MS).len(), 1);
        let empty = (old.0.clone(), Content::default());
        assert_eq!(published.of_round(vec![empty.clone()], MINUTE_MS).len(), 1);
        let fresh = Published::new();
        assert!(
            fresh.of_round(vec![empty], 0).is_empty(),
            "it would replace none"
        );
    }
}
