//! Detects the end of a task or thread that should run as long as its owner.

use tokio::sync::watch;

/// Notifies its owner when one of its guards is dropped, including by a panic.
#[derive(Debug, Default)]
pub(crate) struct Canary(watch::Sender<bool>);

/// Held by a task or thread that must not end.
#[derive(Debug)]
pub(crate) struct Guard(watch::Sender<bool>);

impl Canary {
    /// Returns a guard for one task or thread.
    pub(crate) fn guard(&self) -> Guard {
        Guard(self.0.clone())
    }

    /// Waits until a guard is dropped.
    pub(crate) async fn silent(&self) {
        // The sender lives in `self`, so waiting can't fail.
        let _ = self.0.subscribe().wait_for(|silent| *silent).await;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_in_the_owner_of_a_guard_is_detected() {
        let canary = Canary::default();
        let _first = canary.guard();
        let second = canary.guard();
        let thread = std::thread::spawn(move || {
            let _second = second;
            panic!("on purpose");
        });
        canary.silent().await;
        assert!(thread.join().is_err());
    }
}
