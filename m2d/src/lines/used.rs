//! A session with a relay that is closed when its user is dropped.

use m2_net::line::Carrier;

/// Closes a carrier when it is dropped, including when its task is aborted.
pub(super) struct Used(Option<Carrier>);

impl Used {
    pub(super) const fn new(carrier: Carrier) -> Self {
        Self(Some(carrier))
    }

    /// Keeps the carrier open, as another task closes it.
    pub(super) fn release(mut self) {
        self.0 = None;
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        if let Some(carrier) = &self.0 {
            carrier.close();
        }
    }
}
