//! Tells waiting owners that a letter came. In memory only.

use m2_crypto::PeerId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// A box's arrivals, from the moment of the subscription on.
#[derive(Debug)]
pub struct Arrivals {
    receiver: watch::Receiver<()>,
    /// Keeps the sender alive: an owner may wait before the store is asked for anything.
    _sender: Arc<watch::Sender<()>>,
}

/// Who waits for letters of which box.
#[derive(Debug, Default)]
pub(super) struct Bell {
    boxes: Mutex<HashMap<PeerId, Arc<watch::Sender<()>>>>,
}

impl Arrivals {
    /// Returns once a letter has come since the last time this returned.
    pub async fn changed(&mut self) {
        // The sender lives as long as we do: there is no error.
        let _ = self.receiver.changed().await;
    }
}

impl Bell {
    pub(super) fn subscribe(&self, owner: PeerId) -> Arrivals {
        let mut boxes = self.boxes.lock().unwrap_or_else(PoisonError::into_inner);
        // So many are registered as owners are connected: those who left go here.
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

    /// After a gap in what was heard from other front ends: whoever waits looks again.
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
