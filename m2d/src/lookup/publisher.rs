//! Publishes this host's addresses in the DHT: one record for each contact and open invitation
//! (`docs/spec/lookup.md#in-the-dht`).

use super::LookupTasks;
use super::due::Due;
use crate::driver::EngineHandle;
use crate::reach::Reachability;
use futures::StreamExt;
use m2_crypto::address::NamedAddress;
use m2_crypto::presence::{DayKey, MAX_ADDRESSES, PresenceLine, Record, day};
use m2_discovery::dht::Dht;
use m2_engine::PresencePlan;
use m2_engine::Query;
use m2_engine::Refusal;
use m2_engine::clock::{Clock, SetsSeen};
use m2_limits::backoff::Backoff;
use rand_core::{Rng, UnwrapErr};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The most records published concurrently.
const AT_ONCE: usize = 8;
/// Timeout of one publication.
const WITHIN: Duration = Duration::from_secs(30);
/// The interval at which a record is published, and its random part, in milliseconds.
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

/// The task that publishes records.
pub(super) struct Publisher {
    dht: Arc<Dht>,
    engine: EngineHandle,
    reach: Arc<Reachability>,
    clock: Arc<Clock>,
    due: Due<[u8; 32]>,
    said: HashMap<[u8; 32], Content>,
    /// The sequence number of the newest record under each key.
    numbers: HashMap<[u8; 32], u64>,
    sets: SetsSeen,
}

impl Publisher {
    pub(super) fn new(tasks: &LookupTasks, dht: Arc<Dht>) -> Self {
        Self {
            dht,
            engine: tasks.engine.clone(),
            reach: tasks.reach.clone(),
            clock: tasks.clock.clone(),
            due: Due::new(BACKOFF),
            said: HashMap::new(),
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
            let round = async {
                if let Err(refusal) = self.publish().await {
                    tracing::debug!(reason = %refusal.reason, "the records to publish cannot be read");
                }
                tokio::time::sleep(LEAST_PAUSE).await;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = round => {}
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

    fn wait(&self) -> Duration {
        let now = self.clock.steady_ms();
        let next = self.due.next_ms().map(|next| next.saturating_sub(now));
        let next = Duration::from_millis(next.unwrap_or(u64::MAX));
        next.min(LONGEST_WAIT)
    }

    /// Publishes the records that changed or are due.
    async fn publish(&mut self) -> Result<(), Refusal> {
        if self.sets.changed(&self.clock) {
            // The time in the records is wrong, and their day may be too.
            self.due = Due::new(BACKOFF);
            self.said.clear();
        }
        let now_ms = self.clock.now_ms();
        let today = day(now_ms / 1_000);
        let mut days = vec![today];
        if now_ms % DAY_MS >= DAY_MS - BEFORE_MIDNIGHT_MS {
            days.push(today.saturating_add(1));
        }
        let addresses = self.reach.candidates().await;
        let mut wanted = Vec::new();
        for day in days {
            let publications = self.engine.read(|reply| Query::Publications(day, reply));
            for publication in publications.await? {
                let content = content(publication.direct, &addresses, publication.lines.clone());
                wanted.push((key(&publication, day), content));
            }
        }
        let seeds: Vec<[u8; 32]> = wanted.iter().map(|(key, _)| seed(key)).collect();
        self.due.keep(|seed| seeds.contains(seed));
        self.said.retain(|seed, _| seeds.contains(seed));
        self.numbers.retain(|seed, _| seeds.contains(seed));
        let steady_ms = self.clock.steady_ms();
        wanted.retain(|(key, content)| self.is_to_be_said(key, content, steady_ms));
        self.send_all(wanted, now_ms / 1_000).await;
        Ok(())
    }

    /// Returns whether a record is due or has new content. An empty record is published only to
    /// replace an earlier one.
    fn is_to_be_said(&self, key: &DayKey, content: &Content, steady_ms: u64) -> bool {
        let seed = seed(key);
        match self.said.get(&seed) {
            Some(said) => said != content || self.due.is_due(&seed, steady_ms),
            None => *content != Content::default() && self.due.is_due(&seed, steady_ms),
        }
    }

    async fn send_all(&mut self, wanted: Vec<(DayKey, Content)>, now_s: u64) {
        let dht = self.dht.clone();
        let steady_ms = self.clock.steady_ms();
        let wanted = wanted.into_iter().map(|(key, content)| {
            // The number must also grow after the clock was set back, as nodes keep the highest.
            let number = self.numbers.entry(seed(&key)).or_default();
            *number = now_s.max(number.saturating_add(1));
            (key, content, *number)
        });
        let wanted: Vec<_> = wanted.collect();
        let sent = wanted.into_iter().map(|(key, content, number)| {
            let dht = dht.clone();
            async move {
                let done = send(&dht, &key, &content, (now_s, number)).await;
                (seed(&key), content, done)
            }
        });
        let mut sent = futures::stream::iter(sent).buffer_unordered(AT_ONCE);
        while let Some((seed, content, done)) = sent.next().await {
            let jitter = UnwrapErr(getrandom::SysRng).next_u32();
            if done {
                let spread = u64::from(jitter) % SPREAD_MS;
                self.due.done(seed, steady_ms + EVERY_MS + spread);
                self.said.insert(seed, content);
            } else {
                self.due.failed(seed, steady_ms, jitter);
            }
        }
    }
}

/// Returns the content of a record, with addresses only for a reader that may know them.
fn content(direct: bool, addresses: &[NamedAddress], lines: Vec<PresenceLine>) -> Content {
    let shown = if direct { addresses } else { &[] };
    (shown.iter().copied().take(MAX_ADDRESSES).collect(), lines)
}

fn key(publication: &PresencePlan, day: u32) -> DayKey {
    DayKey::derive(&publication.secret, day)
}

fn seed(key: &DayKey) -> [u8; 32] {
    *key.dht_seed().expose()
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
    let stored = dht.publish(key.dht_seed(), number, &sealed, WITHIN).await;
    stored.is_ok()
}
