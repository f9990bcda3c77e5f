//! Feeds the bridge, and does what it says.

use crate::bridge::{Bridge, Effect, Input};
use crate::broker::{Connection, FromBroker};
use crate::daemon::{self, Follower, FromDaemon};
use crate::journal_file;
use crate::settings::Settings;
use crate::tell::Teller;
use m2_limits::backoff::Backoff;
use m2_proto::client::Client;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

/// How often the bridge looks for what is due.
const TICK: Duration = Duration::from_millis(250);
/// How long a connection to the broker must have lasted so that the pauses begin again.
const LASTING: Duration = Duration::from_secs(30);
/// The pauses before another connection to the broker.
const PAUSES: Backoff = Backoff {
    first: Duration::from_millis(250),
    longest: Duration::from_secs(30),
};

/// Why the bridge ended.
#[derive(Debug, Error)]
pub(crate) enum Ended {
    /// The token does not permit what the bridge needs.
    #[error(
        "{0} The bridge needs a token with the scopes `events` and, to send, `send`: make one with `m2 token create mqtt --scope events,send`"
    )]
    Token(String),
    /// The journal of an earlier run can't be read.
    #[error(
        "can't read the journal {path}: {source}. Remove the file if it is damaged; a command may then be sent twice"
    )]
    Journal { path: String, source: io::Error },
    /// The system does not let the bridge run.
    #[error("can't start: {0}")]
    System(#[from] io::Error),
}

/// Runs the bridge until SIGTERM or SIGINT. Errors: [`Ended`].
pub(crate) async fn run(settings: Settings) -> Result<(), Ended> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut driver = Driver::new(settings)?;
    let ended = tokio::select! {
        ended = driver.follow() => Err(ended),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    if let Some(connection) = driver.connection.take() {
        connection.close().await;
    }
    ended
}

struct Driver {
    settings: Arc<Settings>,
    bridge: Bridge,
    start: Instant,
    teller: Teller,
    from_daemon: mpsc::Receiver<FromDaemon>,
    client: watch::Receiver<Option<Client>>,
    /// Calls of the daemon and writes of the journal. The bridge bounds their number.
    calls: JoinSet<Input>,
    connection: Option<Connection>,
    connect_at: Instant,
    /// When the broker accepted the connection.
    connected: Option<Instant>,
    failures: u32,
}

/// Something that has happened.
enum Happened {
    Daemon(Option<FromDaemon>),
    Broker(FromBroker),
    Called(Input),
    Connect,
    Tick,
}

impl Driver {
    fn new(settings: Settings) -> Result<Self, Ended> {
        let journal = journal_file::read(&settings.journal).map_err(|source| Ended::Journal {
            path: settings.journal.display().to_string(),
            source,
        })?;
        let settings = Arc::new(settings);
        // When the queue is full, the events stay at the daemon.
        let (to, from_daemon) = mpsc::channel(1);
        let (follower, client) = Follower::new(settings.clone(), to);
        tokio::spawn(follower.run());
        Ok(Self {
            bridge: Bridge::new(settings.topics.clone(), journal),
            settings,
            start: Instant::now(),
            teller: Teller::default(),
            from_daemon,
            client,
            calls: JoinSet::new(),
            connection: None,
            connect_at: Instant::now(),
            connected: None,
            failures: 0,
        })
    }

    async fn follow(&mut self) -> Ended {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let happened = tokio::select! {
                from = self.from_daemon.recv(), if self.bridge.has_room() => Happened::Daemon(from),
                from = next(&mut self.connection) => Happened::Broker(from),
                Some(input) = self.calls.join_next() => match input {
                    Ok(input) => Happened::Called(input),
                    Err(error) => return Ended::System(io::Error::other(error)),
                },
                () = sleep_until(self.connect_at.into()), if self.connection.is_none() => Happened::Connect,
                _ = tick.tick() => Happened::Tick,
            };
            if let Some(ended) = self.happened(happened) {
                return ended;
            }
        }
    }

    fn happened(&mut self, happened: Happened) -> Option<Ended> {
        match happened {
            Happened::Daemon(Some(FromDaemon::Input(input))) | Happened::Called(input) => {
                self.handle(input)
            }
            Happened::Daemon(Some(FromDaemon::TokenRefused(text))) => {
                return Some(Ended::Token(text));
            }
            Happened::Daemon(None) => return Some(Ended::System(io::Error::other("a task ended"))),
            Happened::Broker(FromBroker::Input(input)) => self.hear_broker(input),
            Happened::Broker(FromBroker::Down { too_large, reason }) => {
                self.disconnect();
                if self.failures <= 2 {
                    tracing::warn!("{reason}");
                } else {
                    tracing::debug!("{reason}");
                }
                self.handle(Input::BrokerDown { too_large });
            }
            Happened::Connect => return self.connect(),
            Happened::Tick => self.handle(Input::Tick),
        }
        None
    }

    fn connect(&mut self) -> Option<Ended> {
        match Connection::open(&self.settings.broker, &self.settings.topics) {
            Ok(connection) => self.connection = Some(connection),
            Err(error) => return Some(Ended::System(io::Error::other(error))),
        }
        None
    }

    fn hear_broker(&mut self, input: Input) {
        if matches!(input, Input::BrokerUp { .. }) {
            tracing::info!("connected to the broker");
            self.connected = Some(Instant::now());
        }
        self.handle(input);
    }

    fn disconnect(&mut self) {
        self.connection = None;
        let connected = self.connected.take();
        if connected.is_some_and(|since| since.elapsed() >= LASTING) {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        self.connect_at = Instant::now() + PAUSES.pause(self.failures, u32::MAX);
    }

    fn handle(&mut self, input: Input) {
        let now_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        for effect in self.bridge.handle(input, now_ms) {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Publish {
                token,
                topic,
                payload,
                retain,
            } => {
                if let Some(connection) = &mut self.connection {
                    connection.publish(token, topic, payload, retain);
                }
            }
            Effect::Confirm { packet, refused } => {
                let connection = self.connection.as_ref();
                if connection.is_some_and(|it| !it.confirm(packet, refused)) {
                    self.disconnect();
                    let too_large = false;
                    self.calls
                        .spawn(async move { Input::BrokerDown { too_large } });
                }
            }
            Effect::Acknowledge(cursor) => {
                let (client, name) = (self.client.borrow().clone(), self.settings.client.clone());
                let stored = daemon::acknowledge(client, name, cursor);
                self.calls
                    .spawn(async { Input::Acknowledged(stored.await) });
            }
            Effect::Send {
                command,
                peer_id,
                text,
                key,
            } => {
                let sent = daemon::send(self.client.borrow().clone(), peer_id, text, key);
                self.calls.spawn(async move {
                    let result = sent.await;
                    Input::Sent { command, result }
                });
            }
            Effect::Record(records) => {
                let path = self.settings.journal.clone();
                self.calls.spawn_blocking(move || {
                    Input::Recorded(journal_file::write(&path, &records).is_ok())
                });
            }
            Effect::Disconnect => self.disconnect(),
            Effect::Tell(notice) => self.teller.tell(notice, Instant::now()),
        }
    }
}

/// Returns what the broker says next; never without a connection. Cancel-safe.
async fn next(connection: &mut Option<Connection>) -> FromBroker {
    match connection {
        Some(connection) => connection.next().await,
        None => std::future::pending().await,
    }
}
