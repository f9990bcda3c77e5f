//! Keeps lines open at this daemon's relays.

use super::listening::{Listening, Wanted};
use super::{OwnRelays, RelaySockets};
use crate::driver::{EngineHandle, LineWake};
use crate::reach::Reachability;
use m2_crypto::line::LineKey;
use m2_engine::OpenLines;
use m2_engine::Query;
use m2_engine::Refusal;
use m2_engine::clock::Clock;
use m2_net::endpoint::Endpoint;
use m2_store::{LineRow, RelayRowId};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// The delay before a failed query to the engine is retried.
const RETRY: Duration = Duration::from_secs(5);

/// The task that keeps lines open at this daemon's relays.
pub struct LineKeeper {
    /// The engine.
    pub engine: EngineHandle,
    /// The sockets from which sessions with relays leave.
    pub relay_sockets: Arc<RelaySockets>,
    /// The endpoint on which callers are accepted.
    pub inside: Arc<Endpoint>,
    /// Learns from relays where this host may be reached.
    pub reach: Arc<Reachability>,
    /// The key from which the line secrets are derived.
    pub key: LineKey,
    /// The daemon's clock.
    pub clock: Arc<Clock>,
}

/// A relay with a listener task.
struct Kept {
    row: LineRow,
    wanted: watch::Sender<Wanted>,
    task: AbortHandle,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl LineKeeper {
    /// Runs until the daemon stops.
    pub async fn run(self, wake: Arc<LineWake>, stop: CancellationToken) {
        let mut changed = wake.subscribe();
        let mut kept: HashMap<RelayRowId, Kept> = HashMap::new();
        loop {
            changed.mark_unchanged();
            let wait = match self.look(&mut kept).await {
                Ok(until_ms) => {
                    Duration::from_millis(until_ms.saturating_sub(self.clock.now_ms()).max(1_000))
                }
                Err(_) => RETRY,
            };
            tokio::select! {
                () = stop.cancelled() => return,
                // The sender lives as long as this task.
                _ = changed.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Reconciles the listener tasks with the desired state. Returns when the days change next.
    async fn look(&self, kept: &mut HashMap<RelayRowId, Kept>) -> Result<u64, Refusal> {
        let (rows, open) = self.engine.read(Query::OpenLines).await?;
        self.relay_sockets.set_own(OwnRelays::new(rows.clone()));
        let has_entry = rows.iter().any(|row| row.entry);
        // A relay whose addresses or role changed is dialled again.
        kept.retain(|_, kept| rows.contains(&kept.row));
        for row in rows.into_iter().filter(|row| !row.entry) {
            let wanted = self.wanted(&row, &open, has_entry);
            match kept.get(&row.row) {
                Some(kept) => {
                    kept.wanted.send_if_modified(|now| {
                        let differs = *now != wanted;
                        *now = wanted;
                        differs
                    });
                }
                None => {
                    kept.insert(row.row, self.start(row, wanted));
                }
            }
        }
        Ok(open.until_ms)
    }

    fn wanted(&self, row: &LineRow, open: &OpenLines, has_entry: bool) -> Wanted {
        let at = open.at.iter().find(|at| at.relay == row.relay);
        let lines = at.into_iter().flat_map(|at| &at.lines);
        let secrets = lines.map(|(caller, day)| self.key.secret(&row.relay, *day, caller));
        Wanted {
            secrets: secrets.collect(),
            has_entry,
        }
    }

    fn start(&self, row: LineRow, wanted: Wanted) -> Kept {
        let (wanted, wishes) = watch::channel(wanted);
        let listening = Listening {
            engine: self.engine.clone(),
            relay_sockets: self.relay_sockets.clone(),
            inside: self.inside.clone(),
            reach: self.reach.clone(),
            row: row.clone(),
        };
        let task = tokio::spawn(listening.run(wishes)).abort_handle();
        Kept { row, wanted, task }
    }
}
