use super::*;
use crate::access::{Access, Users};
use crate::config::AccessConfig;
use crate::dialling::DialerHandle;
use crate::network::Links;
use crate::outlets::{Outlets, Wakes};
use crate::punching::HolePuncherHandle;
use m2_core::clock::Reading;
use m2_crypto::{Circle, Identity, Secret, provider};
use m2_engine::{Parts, Settings, StreamRequest, StreamStart};
use m2_proto::reason::Reason;
use m2_store::StoreFile;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use tempfile::TempDir;

/// Returns Alice's driver with a clock whose readings panic once the flag is set.
pub(crate) fn driver() -> (TempDir, Driver<Outlets>, Arc<AtomicBool>) {
    let dir = tempfile::tempdir().unwrap();
    let store = StoreFile::new(dir.path(), Secret::new([7; 32])).open();
    let pem = include_str!("../../../tests/vectors/identities/alice.pem");
    let identity = Arc::new(Identity::from_pem(pem, None, provider::default()).unwrap());
    let panics = Arc::new(AtomicBool::new(false));
    let breaks = panics.clone();
    let clock = Arc::new(Clock::from_source(0, move || {
        assert!(!breaks.load(Ordering::Relaxed), "on purpose");
        Reading {
            system_ms: 1_800_000_000_000,
            steady_ms: 0,
        }
    }));
    let own_id = identity.peer_id(Circle::public().id());
    let engine = Engine::new(Parts {
        store: store.unwrap(),
        clock: clock.clone(),
        identity,
        circle: Circle::public(),
        settings: Settings::default(),
        counters: Arc::default(),
    });
    let outlets = Outlets {
        own_id,
        links: Arc::new(Links::default()),
        bus: Arc::default(),
        dialer: DialerHandle::default(),
        hole_puncher: HolePuncherHandle::default(),
        callers: Arc::default(),
        suites: Arc::default(),
        access: Access::new(Users::new(0, &AccessConfig::default()).unwrap()),
        wakes: Wakes::default(),
        events: Vec::new(),
    };
    let driver = Driver::new(engine.unwrap(), clock, outlets);
    (dir, driver, panics)
}

fn start() -> (TempDir, EngineHandle, JoinHandle<()>) {
    let (dir, driver, _) = driver();
    let (handle, jobs) = queue();
    let thread = std::thread::spawn(move || driver.run(jobs).unwrap());
    (dir, handle, thread)
}

fn open(client: &str) -> impl FnOnce(m2_engine::Reply<i64>) -> StreamRequest {
    let client = client.to_owned();
    |reply| StreamRequest::Open {
        client,
        token: String::new(),
        start: StreamStart::Kept,
        reply,
    }
}

#[tokio::test]
async fn an_answer_means_that_the_request_is_on_disk() {
    let (dir, handle, thread) = start();
    assert_eq!(handle.call(open("bot")).await.unwrap(), 0);
    let file = StoreFile::new(dir.path(), Secret::new([7; 32]));
    let clients = file.open_reader().unwrap().clients().unwrap();
    assert_eq!(clients[0].name, "bot");
    handle.stop();
    thread.join().unwrap();
    let stopped = handle.call(open("other")).await.unwrap_err();
    assert_eq!(stopped.reason, Reason::Stopping);
}

#[tokio::test]
async fn while_the_store_cannot_be_written_queries_are_answered_and_requests_say_why() {
    let (dir, handle, thread) = start();
    // Another writer keeps the store locked for longer than the engine waits.
    let file = StoreFile::new(dir.path(), Secret::new([7; 32]));
    let other = file.open().unwrap();
    other.begin().unwrap();
    let refused = handle.call(open("bot")).await.unwrap_err();
    assert!(refused.fault.is_some(), "{refused:?}");
    assert!(handle.read(Query::Summary).await.is_ok());
    other.roll_back();
    drop(other);
    assert_eq!(handle.call(open("bot")).await.unwrap(), 0);
    handle.stop();
    thread.join().unwrap();
}

#[tokio::test]
async fn requests_that_are_queued_before_the_stop_are_answered() {
    let (_dir, handle, thread) = start();
    let begun = handle.begin(open("bot")).await.unwrap();
    handle.stop();
    assert_eq!(begun.get().await.unwrap(), 0);
    thread.join().unwrap();
}
