//! Looks up contacts in the DHT for which messages wait and no known path works
//! (`docs/spec/lookup.md#in-the-dht`).

use super::LookupTasks;
use super::due::Due;
use crate::driver::EngineHandle;
use crate::log::Pseudonym;
use futures::StreamExt;
use m2_crypto::PeerId;
use m2_crypto::presence::{DayKey, PresenceKey, Record, day};
use m2_discovery::dht::{Dht, DhtError};
use m2_engine::clock::{Clock, SetsSeen};
use m2_engine::{Discovery, FoundBy, LookupTarget};
use m2_engine::{Input, Query};
use m2_limits::backoff::Backoff;
use rand_core::{Rng, UnwrapErr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The most concurrent look-ups.
const AT_ONCE: usize = 4;
/// Timeout of one look-up.
const WITHIN: Duration = Duration::from_secs(20);
/// Changes within this time share one round.
const GATHER: Duration = Duration::from_millis(100);
/// The longest random delay of a look-up, in milliseconds: simultaneous queries would reveal that
/// they belong together.
const SPREAD_MS: u64 = 300;
/// The longest time until the next check.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// Time around midnight UTC in which clocks may disagree on the day, in seconds.
const NEAR_S: u64 = 3_600;
const DAY_S: u64 = 86_400;
const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(3),
    longest: Duration::from_secs(3_600),
};

/// The task that looks contacts up.
pub(super) struct Seeker {
    dht: Arc<Dht>,
    engine: EngineHandle,
    clock: Arc<Clock>,
    due: Due<PeerId>,
    sets: SetsSeen,
}

impl Seeker {
    pub(super) fn new(tasks: &LookupTasks, dht: Arc<Dht>) -> Self {
        Self {
            dht,
            engine: tasks.engine.clone(),
            clock: tasks.clock.clone(),
            due: Due::new(BACKOFF),
            sets: SetsSeen::default(),
        }
    }

    /// Runs until the daemon stops.
    pub(super) async fn run(mut self, mut wake: watch::Receiver<()>, stop: CancellationToken) {
        loop {
            wake.mark_unchanged();
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.look() => {}
            }
            let now = self.clock.steady_ms();
            let next = self.due.next_ms().map(|next| next.saturating_sub(now));
            let wait = Duration::from_millis(next.unwrap_or(u64::MAX)).min(LONGEST_WAIT);
            tokio::select! {
                () = stop.cancelled() => return,
                // The sender lives as long as the daemon.
                _ = wake.changed() => tokio::time::sleep(GATHER).await,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Looks up all peers that are due.
    async fn look(&mut self) {
        let Ok(sought) = self.engine.read(Query::Sought).await else {
            return;
        };
        let mut in_need: Vec<LookupTarget> = sought.into_iter().filter(|one| one.in_need).collect();
        self.due
            .keep(|peer| in_need.iter().any(|one| one.peer == *peer));
        if self.sets.changed(&self.clock) {
            // Under a wrong day no record could be found or opened.
            self.due = Due::new(BACKOFF);
        }
        let steady_ms = self.clock.steady_ms();
        in_need.retain(|one| self.due.is_due(&one.peer, steady_ms));
        let (dht, now_s) = (self.dht.clone(), self.clock.now_ms() / 1_000);
        let looks = in_need.into_iter().map(|one| {
            let dht = dht.clone();
            async move {
                let delay = u64::from(UnwrapErr(getrandom::SysRng).next_u32()) % SPREAD_MS;
                tokio::time::sleep(Duration::from_millis(delay)).await;
                (one.peer, find(&dht, &one.key, now_s).await)
            }
        });
        let mut looks = futures::stream::iter(looks).buffer_unordered(AT_ONCE);
        while let Some((peer, record)) = looks.next().await {
            // The record may be old, so the look-up is repeated unless a session is established by
            // then.
            let jitter = UnwrapErr(getrandom::SysRng).next_u32();
            self.due.failed(peer, steady_ms, jitter);
            let found = record.as_ref().map(Option::is_some);
            tracing::debug!(peer = %Pseudonym::of(&peer), ?found, "looked up in the DHT");
            if let Ok(Some(record)) = record {
                tell(&self.engine, peer, record).await;
            }
        }
    }
}

/// Returns the newest record of a peer: of today, and near midnight also of the adjacent day.
///
/// Errors: any of [`DhtError`] except `NotStored`.
pub(crate) async fn find(
    dht: &Dht,
    key: &PresenceKey,
    now_s: u64,
) -> Result<Option<Record>, DhtError> {
    for day in [Some(day(now_s)), adjacent_day(now_s)]
        .into_iter()
        .flatten()
    {
        let key = Arc::new(DayKey::derive(key, day));
        let opener = key.clone();
        let read = move |_: u64, sealed: &[u8; _]| Record::open(&opener, sealed).ok();
        let found = dht.latest(&key, WITHIN, read).await?;
        if let Some((_, record)) = found {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

/// Returns yesterday or tomorrow, if midnight is near: the clocks of two peers may differ.
fn adjacent_day(now_s: u64) -> Option<u32> {
    let today = day(now_s);
    match now_s % DAY_S {
        early if early < NEAR_S => Some(today.saturating_sub(1)),
        late if late >= DAY_S - NEAR_S => Some(today.saturating_add(1)),
        _ => None,
    }
}

/// Passes a record to the engine.
pub(crate) async fn tell(engine: &EngineHandle, peer: PeerId, record: Record) {
    let finding = Discovery {
        peer,
        by: FoundBy::Dht(record.made_s),
        addresses: record.addresses,
        lines: record.lines,
    };
    let told = engine.cast(Input::Found(finding));
    if told.await.is_err() {
        tracing::debug!("the engine is gone");
    }
}
