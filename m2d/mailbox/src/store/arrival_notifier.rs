//! Notifies waiting owners of arriving letters. In memory only.

use m2_crypto::PeerId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The arrivals in a box since the subscription.
#[derive(Debug)]
pub struct Arrivals {
    receiver: watch::Receiver<()>,
    /// Keeps the sender alive even if the store drops it.
    _sender: Arc<watch::Sender<()>>,
}

/// The owners that wait for letters, by box.
#[derive(Debug, Default)]
pub(super) struct ArrivalNotifier {
    boxes: Mutex<HashMap<PeerId, Arc<watch::Sender<()>>>>,
}

impl Arrivals {
    /// Waits until a letter has arrived since the last time this returned.
    pub async fn changed(&mut self) {
        // The sender lives as long as this value, so there is no error.
        let _ = self.receiver.changed().await;
    }
}

impl ArrivalNotifier {
    pub(super) fn subscribe(&self, owner: PeerId) -> Arrivals {
        let mut boxes = self.boxes.lock().unwrap_or_else(PoisonError::into_inner);
        // The number of entries is about that of connected owners: entries of disconnected owners
        // are removed here.
        if boxes.len() >= 2 * live(&boxes) + 16 {
            boxes.retain(|_, sender| sender.receiver_count() > 0);
        }
        let sender = boxes.entry(owner).or_default();
        Arrivals {
            receiver: sender.subscribe(),
            _sender: Arc::clone(sender),
        }
    }

    pub(super) fn ring(&self, owner: &PeerId) {
        let boxes = self.boxes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = boxes.get(owner) {
            sender.send_replace(());
        }
    }

    /// Wakes all owners after a gap in the notifications of other front ends, so that they check
    /// their boxes again.
    #[cfg(feature = "jetstream")]
    pub(super) fn ring_all(&self) {
        let boxes = self.boxes.lock().unwrap_or_else(PoisonError::into_inner);
        boxes.values().for_each(|sender| sender.send_replace(()));
    }
}

fn live(boxes: &HashMap<PeerId, Arc<watch::Sender<()>>>) -> usize {
    let waited_for = |sender: &&Arc<watch::Sender<()>>| sender.receiver_count() > 0;
    boxes.values().filter(waited_for).count()
}
