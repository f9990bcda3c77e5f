//! A call that can't be written down is not answered (spec §2).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::*;
use m2_crypto::Secret;
use m2_crypto::handshake::Credential;
use m2_net::dial_error::DialError;
use m2_net::endpoint::Endpoint;
use m2_net::replay::{ReplayLog, ReplayRecord};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A log on a disk that is full at times.
struct Log(Arc<AtomicBool>);

impl ReplayLog for Log {
    fn load(&mut self) -> io::Result<(Secret<32>, Vec<ReplayRecord>)> {
        Ok((Secret::new([1; 32]), Vec::new()))
    }

    fn append(&mut self, _: &ReplayRecord) -> io::Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn compact(&mut self, _: &mut dyn ExactSizeIterator<Item = ReplayRecord>) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_log_can_t_be_written_nobody_is_answered() {
    let full = Arc::new(AtomicBool::new(true));
    let mut called = config(bob());
    called.replay_log = Some(Box::new(Log(Arc::clone(&full))));
    let called = Endpoint::bind(called).unwrap();
    let mut caller = config(alice());
    caller.limits.handshake = Duration::from_millis(1_500);
    let caller = Endpoint::bind(caller).unwrap();
    keys_ready(&called).await;

    let tap = Tap::new(address(&called)).await;
    let dial = caller.dial(tap.address, id(&bob()), Credential::Identity(alice()));
    assert_eq!(dial.await.unwrap_err(), DialError::NoAnswer);
    assert!(!tap.calls().is_empty());
    assert_eq!(tap.answers(), Vec::<Vec<u8>>::new());
    assert!(called.stats().counters["replay_log_failed"] >= 1);

    // The very packet that found no room may come again once there is some.
    full.store(false, Ordering::Relaxed);
    keys_ready(&called).await;
    assert!(is_answered(address(&called), &tap.calls()[0]).await);
    connect(&caller, &called, address(&called)).await;
}
