//! Supervision of the tasks and threads that must run until the daemon stops.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio_util::sync::CancellationToken;

/// Supervises tasks and threads. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tasks(Arc<State>);

#[derive(Debug)]
struct State {
    stop: CancellationToken,
    /// The first essential task that ended.
    broken: OnceLock<&'static str>,
    /// The number of times that each other task ended.
    ended: Mutex<BTreeMap<&'static str, u64>>,
}

/// A guard that reports the end of its task or thread when it is dropped, also by a panic.
#[derive(Debug)]
#[must_use = "dropping it reports an end"]
pub struct Watch {
    tasks: Tasks,
    name: &'static str,
    is_essential: bool,
}

impl Tasks {
    /// Supervises until `stop` is cancelled. The end of an essential task cancels it.
    pub fn new(stop: CancellationToken) -> Self {
        Self(Arc::new(State {
            stop,
            broken: OnceLock::new(),
            ended: Mutex::default(),
        }))
    }

    /// Spawns a task that the daemon can't run without: its end stops the process.
    pub fn essential(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.run(self.watch(name), task);
    }

    /// Spawns a task that the daemon can run without: its end is logged and shown as a warning.
    pub fn helper(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let watch = Watch {
            tasks: self.clone(),
            name,
            is_essential: false,
        };
        self.run(watch, task);
    }

    /// Supervises a thread that the daemon can't run without, for as long as the returned guard
    /// lives.
    pub fn watch(&self, name: &'static str) -> Watch {
        Watch {
            tasks: self.clone(),
            name,
            is_essential: true,
        }
    }

    /// Returns the name of the essential task that ended, if one did.
    pub fn broken(&self) -> Option<&'static str> {
        self.0.broken.get().copied()
    }

    /// Returns the warnings about tasks that ended, for the user.
    pub fn warnings(&self) -> Vec<String> {
        let ended = self.0.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let tell = |name| {
            format!("A part of the daemon has ended: {name}. Restart the daemon and report it.")
        };
        ended.keys().map(tell).collect()
    }

    fn run(&self, watch: Watch, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(async move {
            let _watch = watch;
            task.await;
        });
    }

    fn ended(&self, name: &'static str, is_essential: bool) {
        if self.0.stop.is_cancelled() {
            return;
        }
        if is_essential {
            tracing::error!(part = name, "an essential part ended: the daemon ends");
            let _ = self.0.broken.set(name);
            self.0.stop.cancel();
            return;
        }
        tracing::error!(part = name, "a part of the daemon ended");
        let mut ended = self.0.ended.lock().unwrap_or_else(PoisonError::into_inner);
        *ended.entry(name).or_default() += 1;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.tasks.ended(self.name, self.is_essential);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_essential_task_that_ends_or_panics_stops_the_daemon() {
        for panics in [false, true] {
            let stop = CancellationToken::new();
            let tasks = Tasks::new(stop.clone());
            tasks.essential("heart", async move {
                assert!(!panics, "on purpose");
            });
            stop.cancelled().await;
            assert_eq!(tasks.broken(), Some("heart"));
        }
    }

    #[test]
    fn a_thread_that_panics_stops_the_daemon() {
        let stop = CancellationToken::new();
        let tasks = Tasks::new(stop.clone());
        let watch = tasks.watch("engine");
        let thread = std::thread::spawn(move || {
            let _watch = watch;
            panic!("on purpose");
        });
        assert!(thread.join().is_err());
        assert!(stop.is_cancelled());
        assert_eq!(tasks.broken(), Some("engine"));
    }

    #[tokio::test]
    async fn a_helper_that_ends_is_reported_and_the_daemon_continues() {
        let stop = CancellationToken::new();
        let tasks = Tasks::new(stop.clone());
        let (ended, end) = tokio::sync::oneshot::channel::<()>();
        tasks.helper("look-up", async move {
            let _ended = ended;
            panic!("on purpose");
        });
        assert!(end.await.is_err());
        while tasks.warnings().is_empty() {
            tokio::task::yield_now().await;
        }
        assert!(tasks.warnings()[0].contains("look-up"));
        assert!(!stop.is_cancelled() && tasks.broken().is_none());
    }

    #[test]
    fn an_end_after_the_stop_is_not_reported() {
        let stop = CancellationToken::new();
        let tasks = Tasks::new(stop.clone());
        let watch = tasks.watch("engine");
        stop.cancel();
        drop(watch);
        assert_eq!(tasks.broken(), None);
    }
}
