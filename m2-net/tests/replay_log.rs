//! A connection attempt that can't be written to the replay log is not answered
//! (docs/spec/obfuscation.md#calls-that-were-accepted-are-remembered).
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
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A log whose disk can be full.
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
async fn no_attempt_is_answered_while_the_log_can_not_be_written() {
    let full = Arc::new(AtomicBool::new(true));
    let mut called = config(bob());
    called.replay_log = Some(Box::new(Log(Arc::clone(&full))));
    let called = Endpoint::bind(called).unwrap();
    let caller = endpoint(alice());
    keys_ready(&caller).await;
    keys_ready(&called).await;

    // A single packet, so that no other is in flight when the log can be written again.
    let call = first_packet(&caller).await;
    assert_eq!(bytes_back(address(&called), [call.clone()]).await, 0);
    let start = Instant::now();
    while called.stats().counters["REPLAY_LOG_FAILED"] < 1 {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "no attempt arrived"
        );
        sleep(Duration::from_millis(20)).await;
    }

    full.store(false, Ordering::Relaxed);
    assert!(is_answered(address(&called), &call).await);
    connect(&caller, &called, address(&called)).await;
}

/// Returns the first packet of a dial of Bob that never reached him.
async fn first_packet(caller: &Endpoint) -> Vec<u8> {
    let nobody = Tap::new(SocketAddr::from(([127, 0, 0, 1], 9))).await;
    let dial = caller.dial_within(
        nobody.address,
        id(&bob()),
        Credential::Identity(alice()),
        Duration::from_millis(400),
    );
    assert_eq!(dial.await.unwrap_err(), DialError::NoAnswer);
    nobody.calls().swap_remove(0)
}
