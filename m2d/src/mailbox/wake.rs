//! Notifications between the engine and the mailbox tasks.

use m2_crypto::PeerId;
use tokio::sync::{Notify, watch};

/// One notification for each kind of work. A notification that no task is waiting for is not lost.
#[derive(Debug)]
pub struct Wake {
    /// This daemon's boxes, or the contacts that may deposit into them, have changed. The value has
    /// no meaning.
    pub boxes: watch::Sender<()>,
    /// The user asked to collect from all boxes now. The value has no meaning.
    pub collect: watch::Sender<()>,
    /// Letters are waiting to be deposited.
    pub letters: Notify,
    depositing: watch::Sender<Vec<PeerId>>,
}

/// A guard that suspends collecting from a provider: a deposit during an owner's session would let
/// the provider link the two.
#[derive(Debug)]
pub(super) struct Quiet<'a> {
    wake: &'a Wake,
    provider: PeerId,
}

impl Default for Wake {
    fn default() -> Self {
        Self {
            boxes: watch::Sender::new(()),
            collect: watch::Sender::new(()),
            letters: Notify::new(),
            depositing: watch::Sender::new(Vec::new()),
        }
    }
}

impl Wake {
    /// Suspends collecting from a provider until the returned guard is dropped.
    pub(super) fn quiet(&self, provider: PeerId) -> Quiet<'_> {
        self.depositing.send_modify(|all| all.push(provider));
        Quiet {
            wake: self,
            provider,
        }
    }

    /// Waits until collecting from a provider is suspended. Returns immediately if it already is.
    pub(super) async fn quiet_wanted(&self, provider: &PeerId) {
        let mut depositing = self.depositing.subscribe();
        // The sender lives as long as `self`, so there is no error.
        let _ = depositing.wait_for(|all| all.contains(provider)).await;
    }

    /// Waits until collecting from a provider is not suspended. Returns whether it was suspended.
    pub(super) async fn quiet_over(&self, provider: &PeerId) -> bool {
        let mut depositing = self.depositing.subscribe();
        let waited = depositing.borrow().contains(provider);
        let _ = depositing.wait_for(|all| !all.contains(provider)).await;
        waited
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        self.wake.depositing.send_modify(|all| {
            if let Some(place) = all.iter().position(|other| *other == self.provider) {
                all.swap_remove(place);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn collecting_stays_suspended_until_the_last_guard_is_dropped() {
        let wake = Wake::default();
        let (one, other) = (PeerId::from_bytes([1; 32]), PeerId::from_bytes([2; 32]));
        assert!(!wake.quiet_over(&one).await);
        let first = wake.quiet(one);
        let second = wake.quiet(one);
        wake.quiet_wanted(&one).await;
        drop(first);
        let moment = Duration::from_millis(20);
        assert!(timeout(moment, wake.quiet_over(&one)).await.is_err());
        assert!(timeout(moment, wake.quiet_wanted(&other)).await.is_err());
        drop(second);
        assert!(!wake.quiet_over(&one).await);
    }
}
