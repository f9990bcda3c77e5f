//! The idle cost of a daemon that looks for its contacts, all of which are offline.

use super::figure::Figure;
use super::options::Options;
use super::process::{context_switches, cpu_ticks, switches_between};
use crate::harness::{Daemon, Setup};
use anyhow::Context as _;
use m2_core::{ContactState, KnownAddress};
use m2_crypto::{Identity, PeerId, Secret, provider};
use m2_store::{ContactRow, LookupSecrets, StoreFile};
use mainline::Testnet;
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::sleep;

/// Number of nodes in the test DHT.
const NODES: usize = 50;
/// The time after the start until the daemon counts as idle: by then it has dialled each contact
/// and published a presence record for it.
const SETTLE: Duration = Duration::from_secs(90);
/// Additional settling time per contact: first dials are limited to two per second.
const SETTLE_EACH: Duration = Duration::from_millis(500);
/// Clock ticks per second of CPU time.
const TICKS: f64 = 100.0;

/// Measures CPU time and wake-ups of a daemon whose contacts are offline, with the DHT enabled.
pub(super) async fn idle(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let network = Testnet::builder(NODES).build().context("no test network")?;
    let bootstrap: Vec<_> = network.bootstrap.iter().take(4).collect();
    let setup = Setup::new().identity("alice");
    let setup = setup.lookup(&format!("dht_bootstrap = {bootstrap:?}"));
    let mut daemon = Daemon::start(setup).await?;
    daemon.stop().await?;
    add_contacts(&daemon, options.contacts)?;
    daemon.restart().await?;
    let pid = daemon.pid().context("alice is not running")?;
    sleep(SETTLE + SETTLE_EACH * u32::from(options.contacts)).await;
    let start_ticks = cpu_ticks(pid)?;
    let switches = context_switches(pid)?;
    sleep(Duration::from_secs(options.idle_seconds)).await;
    let seconds = options.idle_seconds as f64;
    let percent = cpu_ticks(pid)?.saturating_sub(start_ticks) as f64 / TICKS / seconds * 100.0;
    let wakeups = switches_between(&switches, &context_switches(pid)?) as f64 / seconds;
    let detail = json!({
        "contacts": options.contacts,
        "seconds": options.idle_seconds,
        "wakeups_a_second": wakeups,
        "cpu_seconds_before": start_ticks as f64 / TICKS,
        "rss_mib": daemon.rss_kib()? as f64 / 1_024.0,
    });
    let figure = Figure::new("idle_contacts_cpu", percent, "% of a core");
    Ok(vec![figure.at_most(0.5).detail(detail)])
}

/// Adds contacts with a known address at which no peer listens any more.
fn add_contacts(daemon: &Daemon, count: u16) -> anyhow::Result<()> {
    let pem = include_str!("../../vectors/identities/alice.pem");
    let identity = Identity::from_pem(pem, None, provider::default())?;
    let store = StoreFile::new(&daemon.data(), identity.store_key()).open()?;
    store.begin()?;
    for number in 0..count {
        let mut id = [7; 32];
        id[..2].copy_from_slice(&number.to_be_bytes());
        let peer = PeerId::from_bytes(id);
        let mut contact = ContactRow::new(peer, ContactState::Contact, 1);
        contact.name = format!("contact-{number}");
        let row = store.insert_contact(&contact)?;
        let secrets = LookupSecrets {
            ours: Secret::new(id),
            theirs: Secret::new(id.map(|byte| !byte)),
        };
        store.set_lookup_secrets(row, &secrets)?;
        let nowhere = SocketAddr::from(([127, 0, 1, 1], 20_000 + number));
        store.put_address(row, KnownAddress::Proved(nowhere), 1)?;
    }
    store.commit()?;
    Ok(())
}
