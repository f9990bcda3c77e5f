//! The parts of look-up that use the network (`docs/spec/lookup.md`).
//!
//! The parts are independent. Each starts when it is created and ends when its handle is dropped;
//! none decides which contacts are looked up or which records are published. In line-only mode none
//! of them may be created: each sends to hosts other than relays.

pub mod dht;
pub mod gateway;
pub mod interfaces;
pub mod lan;
pub mod networks;
pub mod ports;

use tokio::task::JoinHandle;

/// A task that is aborted when its handle is dropped.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Task {
    fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
