//! A named front-end that acknowledges events continuously, and is interrupted when its daemon is
//! killed.

use super::load::passes;
use crate::scenario::{Api, eventually, number};
use anyhow::{Context as _, bail, ensure};
use m2_proto::api::v1::Event;
use m2_proto::reason::Reason;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::sleep;

const NAME: &str = "chaos-reader";

/// Number of events between two acknowledgements.
const ACKNOWLEDGE_EVERY: usize = 7;

/// Number of events after which the front-end disconnects and subscribes again.
const HANG_UP_AFTER: usize = 500;

const PAUSE: Duration = Duration::from_millis(10);

/// The events that a front-end has received so far, and the task that reads them.
#[derive(Debug)]
pub(super) struct Reader {
    seen: Arc<Mutex<BTreeSet<u64>>>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Reader {
    pub(super) fn start(socket: &Path) -> Self {
        let seen = Arc::default();
        let task = tokio::spawn(read(socket.to_owned(), Arc::clone(&seen)));
        Self { seen, task }
    }

    pub(super) fn runs(&self) -> bool {
        !self.task.is_finished()
    }

    /// Waits until the front-end has received the whole log, and checks that it received nothing
    /// else.
    pub(super) async fn saw_all(mut self, log: &[Event]) -> anyhow::Result<()> {
        let all: BTreeSet<u64> = log.iter().map(number).collect::<Result<_, _>>()?;
        ensure!(all.len() == log.len(), "the log holds an event twice");
        let waited = eventually("the named front-end to see every event", async || {
            Ok((self.task.is_finished() || lock(&self.seen).is_superset(&all)).then_some(()))
        })
        .await;
        if self.task.is_finished() {
            (&mut self.task).await??;
        }
        self.task.abort();
        waited?;
        let seen = lock(&self.seen);
        let strange = seen.difference(&all).count();
        ensure!(
            strange == 0,
            "{strange} events were received that are not in the log"
        );
        Ok(())
    }
}

fn lock(seen: &Mutex<BTreeSet<u64>>) -> MutexGuard<'_, BTreeSet<u64>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads events until an error. Errors: events are out of order or missing, or a call is refused.
async fn read(socket: PathBuf, seen: Arc<Mutex<BTreeSet<u64>>>) -> anyhow::Result<()> {
    // The last event for which an acknowledgement was attempted: no event after it may be missing.
    let mut tried = 0;
    loop {
        let Ok(api) = Api::at(&socket).await else {
            sleep(PAUSE).await;
            continue;
        };
        tried = read_once(&api, &seen, tried).await?;
        sleep(PAUSE).await;
    }
}

async fn read_once(api: &Api, seen: &Mutex<BTreeSet<u64>>, mut tried: u64) -> anyhow::Result<u64> {
    // The front-end has no cursor in the log until its first acknowledgement.
    let begun = match tried {
        0 => api.events_from_start(NAME).await,
        _ => api.events(NAME).await,
    };
    let mut events = match begun {
        Ok(events) => events,
        // The daemon has not noticed yet that the previous stream is gone.
        Err(status) if Reason::of(&status) == Some(Reason::ClientInUse) => return Ok(tried),
        Err(status) => {
            passes(&status)?;
            return Ok(tried);
        }
    };
    let mut last: Option<u64> = None;
    for count in 1..=HANG_UP_AFTER {
        let event = match events.take().await {
            Ok(Some(event)) => event,
            Ok(None) => break,
            Err(status) => {
                passes(&status)?;
                break;
            }
        };
        let this = number(&event).context("a cursor")?;
        match last {
            None => ensure!(
                this <= tried + 1,
                "events between {tried} and {this} are missing"
            ),
            Some(last) => ensure!(this == last + 1, "event {this} came after {last}"),
        }
        last = Some(this);
        lock(seen).insert(this);
        if count % ACKNOWLEDGE_EVERY == 0 {
            tried = tried.max(this);
            match api.acknowledge(NAME, &event.cursor).await {
                Ok(()) => {}
                Err(status) => match passes(&status) {
                    Ok(()) => break,
                    Err(error) => bail!("an acknowledgement: {error}"),
                },
            }
        }
    }
    Ok(tried)
}
