//! Feeds the service manager's watchdog.

use crate::api::ApiState;
use crate::service::{Notice, Step, Watchdog, tell};
use futures::future::BoxFuture;
use m2_engine::{Input, Query};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Feeds the watchdog, which expires after `timeout`, for as long as probes pass.
pub(super) async fn feed(state: Arc<ApiState>, timeout: Duration, stop: CancellationToken) {
    let mut watchdog = Watchdog::new(timeout, Instant::now());
    let mut probe = None;
    loop {
        let until = match watchdog.poll(Instant::now()) {
            Step::Probe => {
                let probed: BoxFuture<'static, ()> = Box::pin(pass(state.clone()));
                probe = Some(probed);
                continue;
            }
            Step::Late => {
                tracing::error!("the engine or its store does not answer: the watchdog is not fed");
                continue;
            }
            Step::Wait(until) => Some(until),
            Step::Idle => None,
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = passed(&mut probe) => {
                probe = None;
                note_passed(&mut watchdog);
            }
            () = sleep_until(until) => {}
        }
    }
}

fn note_passed(watchdog: &mut Watchdog) {
    if watchdog.passed(Instant::now()) {
        tell(&[Notice::Watchdog]);
    } else {
        tracing::warn!("the engine answers again");
    }
}

/// Passes through the engine's queue and a batch of its store. A refusal is an answer, too: a restart
/// frees no disk. While the store can't be written, the engine is only asked, as a batch without a write
/// would be taken for the end of the fault. While the daemon is locked, there is no engine.
async fn pass(state: Arc<ApiState>) {
    let Ok(ready) = state.ready() else {
        return;
    };
    if ready.readers.store().health().fault().is_some() {
        let _ = ready.engine.read(Query::Summary).await;
    } else {
        let _ = ready.engine.call(Input::Probe).await;
    }
}

/// Completes when the running probe has passed; never if none runs.
async fn passed(probe: &mut Option<BoxFuture<'static, ()>>) {
    match probe {
        Some(probe) => probe.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until.into()).await,
        None => std::future::pending().await,
    }
}
