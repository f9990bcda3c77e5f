//! The exporter of a session, for its connection and its handle.

use m2_crypto::handshake::Exporter;
use std::sync::{Arc, Mutex, PoisonError};

/// An exporter that the session's handle can erase while the connection is open.
#[derive(Debug, Clone)]
pub(crate) struct SharedExporter(Arc<Mutex<Option<Exporter>>>);

/// The exporter was erased, or more than 8,160 bytes were requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NothingExported;

impl SharedExporter {
    pub(super) fn new(exporter: Exporter) -> Self {
        Self(Arc::new(Mutex::new(Some(exporter))))
    }

    /// Fills `out` with bytes derived from the session, `label`, `context` and the length of `out`.
    pub(crate) fn export(
        &self,
        out: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), NothingExported> {
        let exporter = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let exporter = exporter.as_ref().ok_or(NothingExported)?;
        let exported = exporter.export(out, label, context);
        exported.map_err(|_| NothingExported)
    }

    /// Erases the exporter, for the connection too.
    pub(crate) fn erase(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
