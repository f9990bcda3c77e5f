//! Starts the engine on its own thread.

use super::Failure;
use crate::access::Access;
use crate::dialling::DialerHandle;
use crate::driver::{self, Bus, Driver, EngineHandle};
use crate::network::Links;
use crate::outlets::{Outlets, Wakes};
use crate::punching::HolePuncherHandle;
use crate::tasks::Tasks;
use m2_engine::{Engine, Input, Parts};
use m2_net::callers::Callers;
use m2_net::suites::{HigherSuite, LeastSuites};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The running engine, and what it shares with tasks.
pub(super) struct StartedEngine {
    pub handle: EngineHandle,
    pub thread: JoinHandle<()>,
    pub bus: Arc<Bus>,
    pub links: Arc<Links>,
    pub wakes: Wakes,
    /// The incarnation of the event log.
    pub incarnation: u64,
}

/// Starts an engine of these parts, with the places for its orders to other tasks.
pub(super) fn start(
    parts: Parts,
    (dialer, hole_puncher): (DialerHandle, HolePuncherHandle),
    (callers, suites, access): (Arc<Callers>, Arc<LeastSuites>, Arc<Access>),
    tasks: &Tasks,
) -> Result<StartedEngine, Failure> {
    let clock = parts.clock.clone();
    let engine = Engine::new(parts)?;
    let incarnation = engine.log_incarnation();
    let (bus, links, wakes) = (Arc::<Bus>::default(), Arc::default(), Wakes::default());
    bus.set_newest_event(engine.newest_event()?);
    let outlets = Outlets {
        own_id: engine.own_id(),
        links: Arc::clone(&links),
        bus: bus.clone(),
        dialer,
        hole_puncher,
        callers,
        suites,
        access,
        wakes: wakes.clone(),
        events: Vec::new(),
    };
    let driver = Driver::new(engine, clock, outlets);
    let (handle, thread) = start_thread(driver, tasks).map_err(Failure::Runtime)?;
    Ok(StartedEngine {
        handle,
        thread,
        bus,
        links,
        wakes,
        incarnation,
    })
}

/// Stores the suites of completed sessions with relays and providers.
pub(super) async fn store_suites(
    engine: EngineHandle,
    mut higher: mpsc::Receiver<HigherSuite>,
    stop: CancellationToken,
) {
    while let Some(Some((peer, suite))) = stop.run_until_cancelled(higher.recv()).await {
        if engine.cast(Input::HigherSuite(peer, suite)).await.is_err() {
            return;
        }
    }
}

fn start_thread(
    driver: Driver<Outlets>,
    tasks: &Tasks,
) -> io::Result<(EngineHandle, JoinHandle<()>)> {
    let (handle, jobs) = driver::queue();
    let watch = tasks.watch("engine");
    let thread = std::thread::Builder::new()
        .name("m2d-engine".to_owned())
        .spawn(move || {
            let _watch = watch;
            if let Err(error) = driver.run(jobs) {
                tracing::error!(%error, "the engine can't run");
            }
        })?;
    Ok((handle, thread))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::tests::driver;
    use m2_engine::Query;
    use std::sync::atomic::Ordering;

    /// Uses a real engine on its real thread: the end of the thread must stop the daemon.
    #[tokio::test]
    async fn an_engine_that_panics_stops_the_daemon() {
        let stop = CancellationToken::new();
        let tasks = Tasks::new(stop.clone());
        let (_dir, driver, panics) = driver();
        let (handle, thread) = start_thread(driver, &tasks).unwrap();
        panics.store(true, Ordering::Relaxed);
        assert!(handle.read(Query::Summary).await.is_err());
        stop.cancelled().await;
        assert!(thread.join().is_err());
        assert_eq!(tasks.broken(), Some("engine"));
        assert_eq!(Failure::Ended("engine").exit_code(), 7);
    }

    #[tokio::test]
    async fn an_engine_that_stops_on_request_is_not_a_failure() {
        let stop = CancellationToken::new();
        let tasks = Tasks::new(stop.clone());
        let (_dir, driver, _) = driver();
        let (handle, thread) = start_thread(driver, &tasks).unwrap();
        stop.cancel();
        handle.stop();
        thread.join().unwrap();
        assert_eq!(tasks.broken(), None);
    }
}
