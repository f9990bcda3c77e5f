//! Keeps lines open at this daemon's relays.

use super::listening::{Listening, Wanted};
use super::{OwnRelays, RelaySockets};
use crate::driver::EngineHandle;
use crate::log::Pseudonym;
use crate::reach::Reachability;
use m2_crypto::line::LineKey;
use m2_engine::WantedLines;
use m2_net::endpoint::Endpoint;
use m2_store::{LineRow, RelayRowId};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

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
    /// Runs until the daemon stops. `wanted` is `None` until the engine has said what is wanted.
    pub async fn run(
        self,
        mut wanted: watch::Receiver<Option<WantedLines>>,
        stop: CancellationToken,
    ) {
        let mut kept: HashMap<RelayRowId, Kept> = HashMap::new();
        loop {
            let now = wanted.borrow_and_update().clone();
            if let Some(now) = now {
                self.reconcile(&mut kept, now);
            }
            tokio::select! {
                () = stop.cancelled() => return,
                changed = wanted.changed() => if changed.is_err() {
                    // The daemon stops.
                    return;
                }
            }
        }
    }

    /// Reconciles the listener tasks with the desired state.
    fn reconcile(&self, kept: &mut HashMap<RelayRowId, Kept>, wanted: WantedLines) {
        let rows = &wanted.relays;
        self.relay_sockets.set_own(OwnRelays::new(rows.clone()));
        // A relay whose addresses or role changed is dialled again.
        kept.retain(|_, kept| rows.contains(&kept.row));
        for row in rows.iter().filter(|row| !row.entry) {
            let wanted = self.wanted_at(row, &wanted);
            match kept.get(&row.row) {
                Some(kept) => {
                    kept.wanted.send_if_modified(|now| {
                        let differs = *now != wanted;
                        *now = wanted;
                        differs
                    });
                }
                None => {
                    kept.insert(row.row, self.start(row.clone(), wanted));
                }
            }
        }
    }

    fn wanted_at(&self, row: &LineRow, wanted: &WantedLines) -> Wanted {
        let at = wanted.open.iter().find(|at| at.relay == row.relay);
        let lines = at.into_iter().flat_map(|at| &at.lines);
        let secrets = lines.map(|(caller, day)| self.key.secret(&row.relay, *day, caller));
        Wanted {
            secrets: secrets.collect(),
            has_entry: wanted.relays.iter().any(|row| row.entry),
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
        let span = tracing::debug_span!("line", relay = %Pseudonym::of(&row.relay));
        let task = tokio::spawn(listening.run(wishes).instrument(span)).abort_handle();
        Kept { row, wanted, task }
    }
}
