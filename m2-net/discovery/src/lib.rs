#![doc = include_str!("../README.md")]

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
