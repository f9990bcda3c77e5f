//! How the engine and the mailboxes' tasks tell each other what is to be done.

use m2_crypto::PeerId;
use tokio::sync::{Notify, watch};

/// One bell for each kind of work. What rings while nobody listens is not lost.
#[derive(Debug)]
pub struct Wake {
    /// Our boxes, or who may deposit into them, changed. The value means nothing.
    pub boxes: watch::Sender<()>,
    /// The user wants everything collected now. The value means nothing.
    pub collect: watch::Sender<()>,
    /// Letters are to be deposited.
    pub letters: Notify,
    depositing: watch::Sender<Vec<PeerId>>,
}

/// While it lives nothing is collected from a provider: a deposit in the middle of a session of
/// ours would say whose it is (spec §9).
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
    /// Asks for quiet at a provider.
    pub(super) fn quiet(&self, provider: PeerId) -> Quiet<'_> {
        self.depositing.send_modify(|all| all.push(provider));
        Quiet {
            wake: self,
            provider,
        }
    }

    /// Returns once somebody asks for quiet at a provider; at once if it is asked for now.
    pub(super) async fn quiet_wanted(&self, provider: &PeerId) {
        let mut depositing = self.depositing.subscribe();
        // The sender lives as long as we do: there is no error.
        let _ = depositing.wait_for(|all| all.contains(provider)).await;
    }

    /// Returns once nobody asks for quiet at a provider. Says whether somebody did.
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
    async fn quiet_lasts_as_long_as_the_last_who_asked() {
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
