//! Notifications between the engine and the mailbox tasks.

use m2_crypto::PeerId;
use m2_engine::WantedBox;
use m2_store::BoxRowId;
use std::sync::Arc;
use tokio::sync::{Notify, watch};

/// A receiver of this daemon's boxes.
pub(super) type BoxesWatch = watch::Receiver<Option<Arc<[WantedBox]>>>;

/// One notification for each kind of work. A notification that no task is waiting for is not lost.
#[derive(Debug)]
pub struct Wake {
    /// This daemon's boxes with their grants; `None` until the engine has said which there are.
    boxes: watch::Sender<Option<Arc<[WantedBox]>>>,
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
            boxes: watch::Sender::new(None),
            collect: watch::Sender::new(()),
            letters: Notify::new(),
            depositing: watch::Sender::new(Vec::new()),
        }
    }
}

impl Wake {
    /// Sets which boxes there are. Tasks are woken if they must act on the change.
    pub fn set_boxes(&self, boxes: Vec<WantedBox>) {
        self.boxes.send_if_modified(|now| {
            let before = now.replace(boxes.into());
            let after = now.as_deref().unwrap_or_default();
            before.is_none_or(|before| {
                let mut pairs = after.iter().zip(before.iter());
                after.len() != before.len() || pairs.any(|(after, it)| after.differs_from(it))
            })
        });
    }

    /// Returns a receiver of the boxes.
    pub(super) fn boxes(&self) -> BoxesWatch {
        self.boxes.subscribe()
    }

    /// Returns a box, unless it was deleted.
    pub(super) fn wanted_box(&self, row: BoxRowId) -> Option<WantedBox> {
        let boxes = self.boxes.borrow();
        let mut boxes = boxes.iter().flat_map(|boxes| boxes.iter());
        boxes.find(|wanted| wanted.row.row == row).cloned()
    }

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
