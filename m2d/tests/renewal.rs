//! A session is replaced when it reaches its maximum age, and the peers stay connected throughout.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use m2_core::ContactState;
use m2_crypto::address::NamedAddress;
use m2_crypto::{Circle, Identity, Secret, provider};
use m2_delivery::Content;
use m2_engine::clock::Clock;
use m2_engine::{
    ContactRequest, Engine, InvitationRequest, LineSettings, MessageRequest, NewInvitation,
    NewMessage, Parts, Query, Settings,
};
use m2_limits::counters::Counters;
use m2_net::endpoint::{Endpoint, EndpointConfig};
use m2_store::StoreFile;
use m2d::access::{Access, Users};
use m2d::config::{AccessConfig, IpMode};
use m2d::connect::{AddressBudgets, Direct, EndpointFactory};
use m2d::dialling::{Dialer, DialerHandle};
use m2d::driver::{Driver, EngineHandle, queue};
use m2d::lines::{LineDialer, RelaySockets};
use m2d::network::{self, Links, SessionRunner};
use m2d::outlets::{Outlets, Wakes};
use m2d::reach::Reachability;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// The age at which sessions are renewed in this test.
const AGE: Duration = Duration::from_millis(700);
const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon without API.
struct Node {
    engine: EngineHandle,
    endpoint: Arc<Endpoint>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
    _dir: TempDir,
}

impl Node {
    fn start(pem: &str, renew_after: Duration) -> Self {
        let identity = Arc::new(Identity::from_pem(pem, None, provider::default()).unwrap());
        let dir = tempfile::tempdir().unwrap();
        let (clock, counters) = (Arc::new(Clock::new(0)), Arc::new(Counters::default()));
        let orders = DialerHandle::default();
        let (engine, jobs) = queue();
        let links = Arc::new(Links::default());
        let driver = driver(&identity, &dir, &clock, &counters, &links, &orders);
        let thread = std::thread::spawn(move || driver.run(jobs).unwrap());
        let mut config = EndpointConfig::new(Circle::public(), identity.clone());
        config.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        config.key_pool_size = 4;
        let endpoint = Arc::new(Endpoint::bind(config).unwrap());
        let own_id = identity.peer_id(Circle::public().id());
        let outside = RelaySockets::new(
            &endpoint,
            EndpointFactory {
                circle: Circle::public(),
                identity: identity.clone(),
                clock: clock.clone(),
                pads: false,
                suites: Arc::default(),
            },
            Vec::new(),
            IpMode::Direct,
        );
        let reach = Arc::new(Reachability::new(endpoint.clone(), Vec::new(), true));
        let budgets = AddressBudgets::new(clock.clone(), engine.clone(), &[]);
        let direct = Direct::new(endpoint.clone(), reach.clone(), budgets);
        let lines = LineDialer::new(
            Arc::new(outside),
            endpoint.clone(),
            reach,
            direct.clone(),
            clock.clone(),
        );
        let runner = SessionRunner::new(
            engine.clone(),
            clock,
            identity.clone(),
            own_id,
            links,
            counters,
        );
        let runner = Arc::new(runner.renewing_after(renew_after));
        let stop = CancellationToken::new();
        let accepting = network::accept(endpoint.clone(), runner.clone(), stop.clone());
        tokio::spawn(accepting);
        let dialer = Dialer::new(
            orders,
            direct,
            engine.clone(),
            runner,
            identity,
            Arc::new(lines),
        );
        tokio::spawn(dialer.run(stop.clone()));
        Self {
            engine,
            endpoint,
            stop,
            thread: Some(thread),
            _dir: dir,
        }
    }

    fn sessions(&self, kind: &str) -> u64 {
        self.endpoint.stats().counters[kind]
    }

    async fn is_online(&self) -> bool {
        let contacts = self.engine.read(|reply| Query::Contacts {
            state: Some(ContactState::Contact),
            after: String::new(),
            limit: 10,
            reply,
        });
        let (contacts, _) = contacts.await.unwrap();
        contacts.first().is_some_and(|contact| contact.online)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.cancel();
        // SQLCipher can crash when the process exits while another thread still uses it.
        self.engine.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_renewed_before_the_old_one_is_closed() {
    let alice = include_str!("../../tests/vectors/identities/alice.pem");
    let bob = include_str!("../../tests/vectors/identities/bob.pem");
    let alice = Node::start(alice, Duration::from_secs(3_600));
    let bob = Node::start(bob, AGE);
    become_contacts(&alice, &bob).await;
    let start = Instant::now();
    let mut sent = 0;
    // Bob dialled, so he renews the session. Neither side is ever offline.
    while bob.sessions("SESSION_DIALLED") < 4 {
        assert!(start.elapsed() < PATIENCE);
        assert!(bob.is_online().await && alice.is_online().await);
        say(&bob, "alice").await;
        sent += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(alice.sessions("SESSION_DIALLED"), 0);
    println!("{sent} messages over 4 sessions");
}

/// Returns the driver of an engine on a store in `dir`.
fn driver(
    identity: &Arc<Identity>,
    dir: &TempDir,
    clock: &Arc<Clock>,
    counters: &Arc<Counters>,
    links: &Arc<Links>,
    orders: &DialerHandle,
) -> Driver<Outlets> {
    let store = StoreFile::new(dir.path(), Secret::new([7; 32])).open();
    let parts = Parts {
        store: store.unwrap(),
        clock: clock.clone(),
        identity: identity.clone(),
        circle: Circle::public(),
        settings: Settings {
            lines: LineSettings {
                loopback_only: true,
                ..Default::default()
            },
            ..Default::default()
        },
        counters: counters.clone(),
    };
    let own_id = identity.peer_id(Circle::public().id());
    let outlets = Outlets {
        own_id,
        links: links.clone(),
        bus: Arc::default(),
        dialer: orders.clone(),
        hole_puncher: Default::default(),
        callers: Arc::default(),
        suites: Arc::default(),
        access: Access::new(Users::new(0, &AccessConfig::default()).unwrap()),
        wakes: Wakes::default(),
        events: Vec::new(),
    };
    Driver::new(Engine::new(parts).unwrap(), clock.clone(), outlets)
}

async fn become_contacts(host: &Node, guest: &Node) {
    let addresses = host.endpoint.local_addrs().into_iter();
    let addresses = addresses.map(NamedAddress::new).collect();
    let new = NewInvitation {
        reusable: false,
        valid_ms: 60_000,
        contact_name: "bob".to_owned(),
        addresses,
    };
    let made = host
        .engine
        .call(|reply| InvitationRequest::Create(new, reply));
    let (_, uri) = made.await.unwrap();
    let added = guest.engine.call(|reply| ContactRequest::Add {
        invitation: uri.to_string(),
        name: "alice".to_owned(),
        reply,
    });
    added.await.unwrap();
    let start = Instant::now();
    while !(host.is_online().await && guest.is_online().await) {
        assert!(start.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn say(node: &Node, contact: &str) {
    let message = NewMessage {
        contact: contact.to_owned(),
        content: Content::new("", "on and on").unwrap(),
        ttl_s: 0,
        caller: String::new(),
        key: String::new(),
    };
    let sent = node
        .engine
        .call(|reply| MessageRequest::Send(message, reply));
    sent.await.unwrap();
}
