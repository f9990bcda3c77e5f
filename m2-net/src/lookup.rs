//! The pieces of look-up that have sockets (spec §8, `docs/spec/lookup.md`).
//!
//! Each stands alone, starts when it is made and ends when its handle is dropped; none decides
//! who is looked for, or what is published to whom. In line-only mode none of them may be made:
//! each sends to others than relays.

pub mod dht;
pub mod gateway;
pub mod interfaces;
pub mod lan;
pub mod networks;
pub mod ports;

use tokio::task::JoinHandle;

/// A task that ends with its handle.
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
