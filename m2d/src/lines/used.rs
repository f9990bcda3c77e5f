//! A session with a relay that ends with who uses it.

use m2_net::line::Carrier;

/// Closes a carrier when it is dropped: also when a task is aborted in the middle.
pub(super) struct Used(Option<Carrier>);

impl Used {
    pub(super) const fn new(carrier: Carrier) -> Self {
        Self(Some(carrier))
    }

    /// Leaves the carrier to somebody else.
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
