//! Announces this host to contacts in the local network, and recognises theirs
//! (docs/spec/lookup.md).

use super::overheard::{Overheard, Recognised};
use super::{LookupParts, LookupTasks};
use crate::clock::{Clock, SetsSeen};
use crate::engine::{EngineHandle, Finding, FoundBy, Near};
use crate::reach::Reachability;
use m2_crypto::PeerId;
use m2_crypto::presence::{Announcement, PresenceSecret, TAGS, day, hour};
use m2_net::lookup::lan::{Lan, Seen};
use m2_net::token_bucket::{Rate, TokenBucket};
use rand_core::{Rng, UnwrapErr};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Announcements that are read in a second: each costs a MAC for each contact.
const READ_A_SECOND: u64 = 8;
/// Changes are gathered so long.
const GATHER: Duration = Duration::from_millis(500);
/// How long those are announced for whom there is room, when there are more.
const TURN: Duration = Duration::from_secs(300);
const HOUR_MS: u64 = 3_600_000;

/// The task.
pub(super) struct LanTask {
    lan: Arc<Lan>,
    engine: EngineHandle,
    reach: Arc<Reachability>,
    clock: Arc<Clock>,
    parts: LookupParts,
    /// What is announced now: the hour, the port and the secrets.
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
                // The other end lives as long as we do.
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
        // Nobody is left to hear it if it fails.
        let _ = self.lan.withdraw().await;
    }

    /// When to announce anew: each hour; where not all fit in, in turn.
    fn until_next(&self) -> Duration {
        let now = self.clock.now_ms();
        let hour = Duration::from_millis(HOUR_MS - now % HOUR_MS + 1);
        let all = self
            .said
            .as_ref()
            .map_or(0, |(_, _, secrets)| secrets.len());
        if all > TAGS { hour.min(TURN) } else { hour }
    }

    /// Announces for all that may know where this host is, if that changed: as many as there is
    /// room for, other ones each hour.
    async fn announce(&mut self) {
        let now_s = self.clock.now_ms() / 1_000;
        let today = day(now_s);
        let published = self.engine.read(move |engine| engine.publications(today));
        let (Ok(publications), Some(port)) = (published.await, self.reach.port()) else {
            return;
        };
        let shown = publications.into_iter().filter(|one| one.direct);
        let secrets: Vec<PresenceSecret> = shown.map(|one| one.secret).collect();
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

    /// Looks whose announcement it is.
    async fn recognise(&mut self, seen: Seen) {
        if let Some(near) = self.near().await {
            let hour = self.hour();
            let found = self.overheard.hear(Instant::now(), seen, &near, hour);
            self.tell(found).await;
        }
    }

    /// Looks whether an earlier announcement is of a peer that is known by now.
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
        self.engine.read(|engine| engine.near()).await.ok()
    }

    fn hour(&self) -> u32 {
        hour(self.clock.now_ms() / 1_000)
    }

    /// Tells the engine of recognised peers.
    async fn tell(&mut self, found: impl IntoIterator<Item = Recognised>) {
        for (peer, addresses) in found {
            self.recognised.insert(peer);
            let count = self.recognised.len();
            self.parts.recognised.store(count, Ordering::Relaxed);
            let finding = Finding {
                peer,
                by: FoundBy::Lan,
                addresses,
                lines: Vec::new(),
            };
            let told = self.engine.cast(|engine| engine.take_finding(finding));
            if told.await.is_err() {
                tracing::debug!("the engine is gone");
            }
        }
    }
}

/// Leaves as many as there is room for, by chance.
fn choose<T>(all: &mut Vec<T>, rng: &mut impl Rng) {
    while all.len() > TAGS {
        let place = rng.next_u32() as usize % all.len();
        all.swap_remove(place);
    }
}

fn ms_since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
