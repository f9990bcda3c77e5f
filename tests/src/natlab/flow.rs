//! Runs two real daemons and a relay in a network, and measures how they connect and what happens
//! to their messages.

use super::chart::Row;
use super::net::{Net, RELAY};
use super::stream::Stream;
use super::topology::{Change, Topology};
use crate::harness::{Daemon, Output, Setup};
use crate::scenario::Api;
use anyhow::{Context as _, bail};
use m2_proto::api::v1::{AddLineRequest, ContactState, ListLinesRequest, Path};
use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Timeout of each step; generous, for 20 % packet loss and loaded machines. The table shows the
/// actual times.
const PATIENCE: Duration = Duration::from_secs(120);

/// The interval between two polls.
const POLL: Duration = Duration::from_millis(25);

/// The time for which a host sleeps: longer than the scheduling delays of the daemon's threads.
const SLEEP: Duration = Duration::from_secs(15);

/// The port on which every daemon listens; each host has its own port space.
const PORT: u16 = 4_433;

/// The `[lookup]` settings of the daemons. The lab has no DHT.
const LOOKUP: &str = "dht = false";

/// The duration of a run, and whether it keeps logs.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The time for which the peers exchange messages once they are connected, and again after a
    /// change.
    pub talk: Duration,
    /// True to keep the daemons' logs even if the topology passed.
    pub keep_logs: bool,
}

impl Pace {
    /// The short form, for every test run.
    pub const SHORT: Self = Self {
        talk: Duration::from_secs(3),
        keep_logs: false,
    };
    /// The long form, for the table in the documentation.
    pub const LONG: Self = Self {
        talk: Duration::from_secs(15),
        keep_logs: false,
    };
}

/// Runs two contacts in a network. Deviations from the expected result are recorded in the row; in
/// that case the daemons' logs are kept.
pub async fn play(net: &Net, pace: Pace) -> Row {
    let mut row = Row::of(net.topology());
    let mut cast = match Cast::start(net).await {
        Ok(cast) => cast,
        Err(error) => {
            row.miss(format!("{error:#}"));
            return row;
        }
    };
    if let Err(error) = cast.play(net, pace, &mut row).await {
        row.miss(format!("{error:#}"));
    }
    row.judge();
    if !row.misses.is_empty() {
        cast.tell_views(&mut row).await;
    }
    if !row.misses.is_empty() || pace.keep_logs {
        cast.keep_logs(&mut row).await;
    }
    row
}

/// The daemons of one run.
struct Cast {
    topology: Topology,
    relay: Daemon,
    parties: [Daemon; 2],
}

impl Cast {
    async fn start(net: &Net) -> anyhow::Result<Self> {
        let listen = match net.topology().speaks_ipv6() {
            true => format!("[\"0.0.0.0:{PORT}\", \"[::]:{PORT}\"]"),
            false => format!("[\"0.0.0.0:{PORT}\"]"),
        };
        let on = |identity: &str, host: &str| {
            let setup = Setup::new().identity(identity).within(net.lab().host(host));
            let filter = "[log]\nfilter = \"info,m2d=debug,m2_engine=debug,m2_net=debug\"\n";
            setup
                .network(&format!("listen = {listen}"))
                .network("session_keys = 4")
                .lookup(LOOKUP)
                .tables(filter)
        };
        let serving = "[relay]\nserve = true\nextend_to_private = true\n";
        let relay = on("carol", "relay").tables(serving);
        let relay = relay.announce(SocketAddr::from((RELAY, PORT)));
        let party = |name| on(name, name).privacy("ip = \"direct\"");
        let (relay, alice, bob) = tokio::try_join!(
            Daemon::start(relay),
            Daemon::start(party("alice")),
            Daemon::start(party("bob"))
        )?;
        Ok(Self {
            topology: *net.topology(),
            relay,
            parties: [alice, bob],
        })
    }

    async fn play(&mut self, net: &Net, pace: Pace, row: &mut Row) -> anyhow::Result<()> {
        self.befriend().await?;
        let [alice, bob] = self.parties.each_ref().map(Daemon::socket);
        let mut streams = [
            Stream::start(alice.clone(), "bob", bob.clone()),
            Stream::start(bob, "alice", alice),
        ];
        flowing(&streams, "messages").await?;
        self.restart(net).await?;
        let up = Instant::now();
        let watch = Watch::start(self.apis().await?);
        until("both report a session", || watch.connected().is_some()).await?;
        let connected = watch.connected().unwrap_or(up);
        row.connected = Some(connected.saturating_duration_since(up));
        flowing(&streams, "messages after a restart").await?;
        let mut quiet_from = Instant::now();
        self.settle(&watch, pace, row).await?;
        if !matches!(self.topology.change, Change::None | Change::NewAddresses) {
            quiet_from = self.change(net).await?;
            flowing(&streams, "messages after the change").await?;
            self.settle(&watch, pace, row).await?;
        }
        for stream in &mut streams {
            stream.stop().await?;
        }
        row.path = watch.path();
        row.direct = watch
            .direct()
            .map(|direct| direct.saturating_duration_since(up));
        let arrived = until("every message has arrived", || {
            streams.iter().all(|stream| stream.tally().lost == 0)
        });
        // The row counts messages that have not arrived.
        let _ = arrived.await;
        let silences = streams
            .iter()
            .map(|stream| stream.longest_silence(quiet_from));
        row.silence = silences.max().unwrap_or_default();
        row.count(streams.iter().map(Stream::tally));
        Ok(())
    }

    /// Waits for the expected path, then lets the peers exchange messages for a while.
    async fn settle(&self, watch: &Watch, pace: Pace, row: &mut Row) -> anyhow::Result<()> {
        let wanted = self.topology.path;
        let what = format!("the path is {wanted:?}");
        let settled = until(&what, || {
            row.path = watch.path();
            row.path == wanted
        });
        settled.await?;
        sleep(pace.talk).await;
        Ok(())
    }

    /// Applies the topology's change. Returns the time from which the two daemons should reconnect.
    async fn change(&self, net: &Net) -> anyhow::Result<Instant> {
        let began = Instant::now();
        let [_, bob] = &self.parties;
        let sleeps = self.topology.change == Change::Sleep;
        if sleeps {
            bob.pause().await?;
        }
        net.change()?;
        if !sleeps {
            return Ok(began);
        }
        sleep(SLEEP).await;
        bob.go_on().await?;
        Ok(Instant::now())
    }

    /// Makes the two contacts: alice opens a line at the relay, and bob accepts an invitation that
    /// names it.
    async fn befriend(&self) -> anyhow::Result<()> {
        let relay = Api::of(&self.relay).await?.invite(true, "").await?;
        let [alice, bob] = self.apis().await?;
        let request = AddLineRequest {
            invitation: relay,
            entry: false,
        };
        alice.client().lines().add_line(request).await?;
        let uri = alice.invite(false, "bob").await?;
        // Alice opens the line only once a peer could dial it, that is after the invitation.
        until_ok("a line", async || {
            let lines = alice
                .client()
                .lines()
                .list_lines(ListLinesRequest {})
                .await?;
            let lines = lines.into_inner().lines;
            Ok(lines.iter().any(|line| line.online))
        })
        .await?;
        bob.add(&uri, "alice").await?;
        for (api, other) in [(&alice, "bob"), (&bob, "alice")] {
            until_ok("both are contacts", async || {
                Ok(match api.contact(other).await {
                    Ok(contact) => contact.state() == ContactState::Contact,
                    Err(_) => false,
                })
            })
            .await?;
        }
        Ok(())
    }

    async fn restart(&mut self, net: &Net) -> anyhow::Result<()> {
        let [alice, bob] = &mut self.parties;
        tokio::try_join!(alice.stop(), bob.stop())?;
        if self.topology.change == Change::NewAddresses {
            net.change()?;
        }
        tokio::try_join!(alice.restart(), bob.restart())?;
        Ok(())
    }

    async fn apis(&self) -> anyhow::Result<[Api; 2]> {
        let [alice, bob] = &self.parties;
        Ok([Api::of(alice).await?, Api::of(bob).await?])
    }

    /// Adds to the row how each daemon reports the other as a contact.
    async fn tell_views(&self, row: &mut Row) {
        for (daemon, other) in self.parties.iter().zip(["bob", "alice"]) {
            let shown = daemon.m2(&["--json", "contact", "show", other]).await;
            let shown = shown.and_then(Output::success);
            row.miss(match shown {
                Ok(shown) => format!("{other} is seen as {}", shown.trim()),
                Err(error) => format!("{other} is not seen: {error:#}"),
            });
        }
    }

    /// Writes the daemons' logs and their current status to a directory that is kept, and prints
    /// its path.
    async fn keep_logs(&self, row: &mut Row) {
        let directory = std::env::temp_dir().join(format!("m2-natlab-{}", std::process::id()));
        let [alice, bob] = &self.parties;
        for (name, daemon) in [("relay", &self.relay), ("alice", alice), ("bob", bob)] {
            let file = directory.join(format!("{}-{name}.log", self.topology.name));
            let status = daemon.m2(&["--json", "status"]).await;
            let status = status.and_then(Output::success).unwrap_or_default();
            let text = format!("{}{status}", daemon.log());
            let written = fs::create_dir_all(&directory).and_then(|()| fs::write(file, text));
            if let Err(error) = written {
                row.miss(format!("the log could not be written: {error}"));
            }
        }
        eprintln!("{}: logs in {}", self.topology.name, directory.display());
    }
}

/// Continuously polls how alice and bob are connected.
struct Watch {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    path: Path,
    connected: Option<Instant>,
    direct: Option<Instant>,
}

impl Watch {
    fn start(apis: [Api; 2]) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let shared = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            loop {
                let path = path(&apis).await;
                lock(&shared).see(path);
                sleep(POLL).await;
            }
        });
        Self { seen, task }
    }

    /// Returns the current path if both daemons report the same one, otherwise none.
    fn path(&self) -> Path {
        self.look(|seen| seen.path)
    }

    fn connected(&self) -> Option<Instant> {
        self.look(|seen| seen.connected)
    }

    fn direct(&self) -> Option<Instant> {
        self.look(|seen| seen.direct)
    }

    fn look<T>(&self, ask: impl FnOnce(&Seen) -> T) -> T {
        ask(&lock(&self.seen))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Seen {
    fn see(&mut self, path: Path) {
        self.path = path;
        if path != Path::None {
            self.connected.get_or_insert_with(Instant::now);
        }
        if path == Path::Direct {
            self.direct.get_or_insert_with(Instant::now);
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    // The value is never left inconsistent under this lock, so a poisoned lock is harmless.
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn path([alice, bob]: &[Api; 2]) -> Path {
    match tokio::join!(alice.contact("bob"), bob.contact("alice")) {
        (Ok(one), Ok(other)) if one.path() == other.path() => one.path(),
        _ => Path::None,
    }
}

/// Waits until messages sent after this call have arrived in both directions.
async fn flowing(streams: &[Stream; 2], what: &str) -> anyhow::Result<()> {
    let from = streams.each_ref().map(Stream::sent);
    until(what, || {
        let mut ways = streams.iter().zip(from);
        ways.all(|(stream, number)| stream.has_reached(number))
    })
    .await
}

async fn until(what: &str, mut done: impl FnMut() -> bool) -> anyhow::Result<()> {
    until_ok(what, async || Ok(done())).await
}

async fn until_ok(
    what: &str,
    mut done: impl AsyncFnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let end = Instant::now() + PATIENCE;
    while !done().await.with_context(|| what.to_owned())? {
        if Instant::now() > end {
            bail!("timed out waiting for: {what}");
        }
        sleep(POLL).await;
    }
    Ok(())
}
