//! Announces this host to contacts in the local network, and recognises their announcements
//! (`docs/spec/lookup.md#announcements`).

use super::overheard::{Overheard, Recognised};
use super::{LookupParts, LookupTasks};
use crate::driver::EngineHandle;
use crate::reach::Reachability;
use m2_crypto::PeerId;
use m2_crypto::presence::{Announcement, PresenceSecret, TAGS, day, hour};
use m2_discovery::lan::{Lan, Seen};
use m2_engine::clock::{Clock, SetsSeen};
use m2_engine::{Discovery, FoundBy, Near};
use m2_engine::{Input, Query};
use m2_limits::token_bucket::{Rate, TokenBucket};
use rand_core::{Rng, UnwrapErr};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Announcements read per second: each costs a MAC for each contact.
const READ_A_SECOND: u64 = 8;
/// Changes within this time share one announcement.
const GATHER: Duration = Duration::from_millis(500);
/// How long one random choice of contacts is announced when not all fit.
const TURN: Duration = Duration::from_secs(300);
const HOUR_MS: u64 = 3_600_000;

/// The task for the local network.
pub(super) struct LanTask {
    lan: Arc<Lan>,
    engine: EngineHandle,
    reach: Arc<Reachability>,
    clock: Arc<Clock>,
    parts: LookupParts,
    /// The current announcement: the hour, the port and the secrets.
    said: Option<(u32, u16, Vec<PresenceSecret>)>,
    recognised: HashSet<PeerId>,
    overheard: Overheard,
    sets: SetsSeen,
}

impl LanTask {
    pub(super) fn new(tasks: &LookupTasks, lan: Arc<Lan>, parts: &LookupParts) -> Self {
        Self {
            lan,
            engine: tasks.engine.clone(),
            reach: tasks.reach.clone(),
            clock: tasks.clock.clone(),
            parts: parts.clone(),
            said: None,
            recognised: HashSet::new(),
            overheard: Overheard::default(),
            sets: SetsSeen::default(),
        }
    }

    /// Runs until the daemon stops.
    pub(super) async fn run(
        mut self,
        mut wake: watch::Receiver<()>,
        mut seen: mpsc::Receiver<Seen>,
        stop: CancellationToken,
    ) {
        let begun = Instant::now();
        let rate = Rate::per_second(READ_A_SECOND);
        let mut budget = TokenBucket::full(READ_A_SECOND, rate, 0);
        let mut next = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                // The sender lives as long as the daemon.
                _ = wake.changed() => next = next.min(Instant::now() + GATHER),
                () = tokio::time::sleep_until(next) => {
                    self.announce().await;
                    self.recall().await;
                    next = Instant::now() + self.until_next();
                }
                heard = seen.recv() => match heard {
                    Some(heard) if budget.take(1, ms_since(begun)) => {
                        self.recognise(heard).await;
                    }
                    Some(_) => {}
                    None => break,
                },
            }
        }
        // A failure has no consequence at this point.
        let _ = self.lan.withdraw().await;
    }

    /// Returns the time until the next announcement: the full hour, or earlier if not all contacts
    /// fit.
    fn until_next(&self) -> Duration {
        let now = self.clock.now_ms();
        let hour = Duration::from_millis(HOUR_MS - now % HOUR_MS + 1);
        let all = self
            .said
            .as_ref()
            .map_or(0, |(_, _, secrets)| secrets.len());
        if all > TAGS { hour.min(TURN) } else { hour }
    }

    /// Announces this host to all contacts that may know its address, if the announcement changed.
    /// If not all fit, each announcement has another random choice.
    async fn announce(&mut self) {
        let now_s = self.clock.now_ms() / 1_000;
        let today = day(now_s);
        let published = self.engine.read(|reply| Query::Publications(today, reply));
        let (Ok(publications), Some(port)) = (published.await, self.reach.port()) else {
            return;
        };
        let shown = publications.into_iter().filter(|one| one.direct);
        let secrets: Vec<PresenceSecret> = shown.map(|one| one.key.secret().clone()).collect();
        let now = (hour(now_s), port, secrets);
        if self.said.as_ref() == Some(&now) && now.2.len() <= TAGS {
            return;
        }
        let mut rng = UnwrapErr(getrandom::SysRng);
        let mut told: Vec<&PresenceSecret> = now.2.iter().collect();
        choose(&mut told, &mut rng);
        let announcement = Announcement::make(&mut rng, now.0, &told);
        match self.lan.announce(port, &announcement).await {
            Ok(()) => self.said = Some(now),
            Err(error) => tracing::debug!(%error, "nothing was announced"),
        }
    }

    /// Reads a new announcement.
    async fn recognise(&mut self, seen: Seen) {
        if let Some(near) = self.near().await {
            let hour = self.hour();
            let found = self.overheard.hear(Instant::now(), seen, &near, hour);
            self.tell(found).await;
        }
    }

    /// Reads earlier announcements again for peers that became known since.
    async fn recall(&mut self) {
        if self.sets.changed(&self.clock) {
            self.overheard.forget_tried();
        }
        if let Some(near) = self.near().await {
            let hour = self.hour();
            let found = self.overheard.recall(Instant::now(), &near, hour);
            self.tell(found).await;
        }
    }

    async fn near(&self) -> Option<Vec<Near>> {
        self.engine.read(Query::Near).await.ok()
    }

    fn hour(&self) -> u32 {
        hour(self.clock.now_ms() / 1_000)
    }

    /// Passes recognised peers to the engine.
    async fn tell(&mut self, found: impl IntoIterator<Item = Recognised>) {
        for (peer, addresses) in found {
            self.recognised.insert(peer);
            let count = self.recognised.len();
            self.parts.recognised.store(count, Ordering::Relaxed);
            let finding = Discovery {
                peer,
                by: FoundBy::Lan,
                addresses,
                lines: Vec::new(),
            };
            let told = self.engine.cast(Input::Found(finding));
            if told.await.is_err() {
                tracing::debug!("the engine is gone");
            }
        }
    }
}

/// Keeps a random choice of the size that fits.
fn choose<T>(all: &mut Vec<T>, rng: &mut impl Rng) {
    while all.len() > TAGS {
        let place = rng.next_u32() as usize % all.len();
        all.swap_remove(place);
    }
}

fn ms_since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
