//! Listens at one relay: dials it, opens lines, and dials again when the session ends.

use super::used::Used;
use super::{RelaySockets, hops};
use crate::connect::of_line;
use crate::driver::EngineHandle;
use crate::log::Pseudonym;
use crate::reach::Reachability;
use m2_core::PathFailure;
use m2_crypto::line::{JoinToken, LineSecret};
use m2_engine::LineHealth;
use m2_engine::LineInput;
use m2_limits::backoff::Backoff;
use m2_net::endpoint::Endpoint;
use m2_net::line::{Carrier, LineError};
use m2_net::session::RENEW_AFTER;
use m2_store::LineRow;
use rand_core::{Rng, UnwrapErr};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Backoff after a relay was lost or could not be reached.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(500),
    longest: Duration::from_secs(120),
};
/// A relay session that lasted this long resets the backoff.
const STABLE_AFTER: Duration = Duration::from_secs(30);
/// How long a replaced session is kept for the channels that still use it.
const LINGER: Duration = Duration::from_secs(3_600);

/// The desired state of one relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The lines to open, the most important first.
    pub(super) secrets: Vec<LineSecret>,
    /// True if there is an entry, so that a session without one must be replaced.
    pub(super) has_entry: bool,
}

/// The task that listens at one relay.
pub(super) struct Listening {
    pub(super) engine: EngineHandle,
    pub(super) relay_sockets: Arc<RelaySockets>,
    pub(super) inside: Arc<Endpoint>,
    pub(super) reach: Arc<Reachability>,
    pub(super) row: LineRow,
}

/// Why a session with a relay must be replaced.
enum EndReason {
    Ended(LineError),
    /// The session must be renewed because of its age (a day).
    Old,
    /// The session must pass other relays.
    Elsewhere,
    /// The task was dropped.
    Dropped,
}

impl Listening {
    /// Runs until it is aborted or its [`Wanted`] channel is closed.
    pub(super) async fn run(self, mut wishes: watch::Receiver<Wanted>) {
        let mut failures = 0_u32;
        loop {
            // A relay soon closes a session without lines.
            let somebody = wishes.wait_for(|wanted| !wanted.secrets.is_empty());
            if somebody.await.is_err() {
                return;
            }
            let begun = tokio::time::Instant::now();
            let reason = match self.reach(failures).await {
                Ok(carrier) => {
                    let used = Used::new(carrier.clone());
                    match self.listen(&carrier, &mut wishes).await {
                        EndReason::Ended(error) => of_line(error),
                        EndReason::Old => {
                            used.release();
                            tokio::spawn(linger(carrier));
                            failures = 0;
                            continue;
                        }
                        EndReason::Elsewhere => {
                            failures = 0;
                            continue;
                        }
                        EndReason::Dropped => return,
                    }
                }
                Err(reason) => reason,
            };
            self.tell(LineHealth {
                failure: Some(reason),
                ..LineHealth::default()
            })
            .await;
            tracing::debug!(relay = %Pseudonym::of(&self.row.relay), %reason, failures, "no session with the relay");
            failures = if begun.elapsed() > STABLE_AFTER {
                1
            } else {
                failures.saturating_add(1)
            };
            let jitter = UnwrapErr(getrandom::SysRng).next_u32();
            sleep(BACKOFF.pause(failures, jitter)).await;
        }
    }

    /// Dials the relay, by the next route after each failure.
    async fn reach(&self, failures: u32) -> Result<Carrier, PathFailure> {
        let ways = hops::to_own(&*self.relay_sockets.own().await, &self.row);
        let place = usize::try_from(failures).unwrap_or(0) % ways.len().max(1);
        let way = ways.get(place).ok_or(PathFailure::NoOwnRelay)?;
        let relay_sockets = self
            .relay_sockets
            .endpoint()
            .await
            .map_err(|_| PathFailure::NoSocket)?;
        let session = relay_sockets.dial_relay(way).await.map_err(of_line)?;
        let carrier = self.inside.attach(session).map_err(of_line)?;
        tracing::debug!(relay = %Pseudonym::of(&self.row.relay), hops = way.len(), "a session with the relay is up");
        if self.relay_sockets.is_shared() && way.len() == 1 {
            self.reach.ask_at(&carrier);
        }
        Ok(carrier)
    }

    async fn listen(&self, carrier: &Carrier, wishes: &mut watch::Receiver<Wanted>) -> EndReason {
        let had_entry = wishes.borrow().has_entry;
        let mut open: HashSet<JoinToken> = HashSet::new();
        let age = sleep(RENEW_AFTER);
        tokio::pin!(age);
        loop {
            let wanted = wishes.borrow_and_update().clone();
            if wanted.has_entry != had_entry {
                return EndReason::Elsewhere;
            }
            match self.bring(carrier, &mut open, &wanted.secrets).await {
                Ok(count) => self.tell(health(count)).await,
                Err(error) => return EndReason::Ended(error),
            }
            tokio::select! {
                error = carrier.ended() => return EndReason::Ended(error),
                changed = wishes.changed() => if changed.is_err() {
                    return EndReason::Dropped;
                },
                () = &mut age => return EndReason::Old,
            }
        }
    }

    /// Opens and closes lines to match the desired state. Returns how many lines are open.
    async fn bring(
        &self,
        carrier: &Carrier,
        open: &mut HashSet<JoinToken>,
        wanted: &[LineSecret],
    ) -> Result<usize, LineError> {
        let tokens: HashSet<JoinToken> = wanted.iter().map(LineSecret::join_token).collect();
        let gone: Vec<_> = open.difference(&tokens).copied().collect();
        carrier.close_lines(&gone).await?;
        open.retain(|token| tokens.contains(token));
        let new: Vec<_> = wanted
            .iter()
            .filter(|secret| !open.contains(&secret.join_token()))
            .cloned()
            .collect();
        let count = carrier.open(&new).await?;
        open.extend(new.iter().take(count).map(LineSecret::join_token));
        Ok(open.len())
    }

    async fn tell(&self, health: LineHealth) {
        let row = self.row.row;
        let told = self.engine.cast(LineInput::Health(row, health));
        if told.await.is_err() {
            tracing::debug!("the engine is gone");
        }
    }
}

fn health(open: usize) -> LineHealth {
    LineHealth {
        online: true,
        open: u32::try_from(open).unwrap_or(u32::MAX),
        failure: None,
    }
}

/// Keeps a replaced session open for the channels that still use it.
async fn linger(carrier: Carrier) {
    let _ = timeout(LINGER, carrier.unused()).await;
    carrier.close();
}
