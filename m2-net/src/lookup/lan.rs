//! The local network: announcements by mDNS and DNS-SD (docs/spec/lookup.md, spec §8).
//!
//! One thread of `mdns-sd` does the talking. It wakes up every five seconds to look at the
//! interfaces, and for what comes in. It keeps whatever it hears that could be for us, without a
//! limit of its own; so it is looked after, and when somebody fills it, it is thrown away with
//! all that it holds and there is silence for a minute.

mod memory;
mod responder;
mod watcher;

use super::Task;
use m2_crypto::address::NamedAddress;
use m2_crypto::presence::Announcement;
use std::fmt;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use watcher::{Command, Watcher};

/// Addresses of one host, at most.
pub const MAX_ADDRESSES: usize = 4;
/// What was seen and waits to be read. When there is more, the oldest is forgotten.
const QUEUE: usize = 64;
/// Commands that may wait. Who has one more waits too.
const COMMANDS: usize = 4;

/// How the local network is spoken to.
#[derive(Debug, Clone, Copy)]
pub struct LanConfig {
    /// Speak on the loopback interface and on nothing else: for tests, and for hosts alone.
    pub loopback: bool,
    /// The UDP port of mDNS.
    pub port: u16,
}

impl Default for LanConfig {
    fn default() -> Self {
        Self {
            loopback: false,
            port: mdns_sd::MDNS_PORT,
        }
    }
}

/// What some host in the local network said.
#[derive(Clone, PartialEq, Eq)]
pub struct Seen {
    /// Where it takes calls: 1 to [`MAX_ADDRESSES`], all in networks that this host is in, and
    /// no IPv6 address that is of one link alone.
    pub addresses: Vec<NamedAddress>,
    /// What says to whom, for those who share a secret with it.
    pub announcement: Announcement,
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seen(..)")
    }
}

/// Why the local network can't be spoken to.
#[derive(Debug, Error)]
pub enum LanError {
    /// mDNS does not work here.
    #[error("could not speak mDNS in the local network")]
    Mdns(#[from] mdns_sd::Error),
    /// It ended.
    #[error("look-up in the local network ended")]
    Ended,
}

/// Speaks and listens in the local network until it is dropped; then it takes back what it said.
#[derive(Debug)]
pub struct Lan {
    commands: mpsc::Sender<Command>,
    _task: Task,
}

impl Lan {
    /// Begins to listen. Others' announcements arrive in the channel, each again when it changed;
    /// our own do not. Nothing is announced yet, but asking tells that an M2 is here. Call it
    /// within a tokio runtime.
    ///
    /// Errors: [`LanError::Mdns`].
    pub fn start(config: LanConfig) -> Result<(Self, mpsc::Receiver<Seen>), LanError> {
        let (commands, orders) = mpsc::channel(COMMANDS);
        let (found, seen) = mpsc::channel(QUEUE);
        let watcher = Watcher::start(config, found)?;
        let _task = Task::spawn(watcher.run(orders));
        Ok((Self { commands, _task }, seen))
    }

    /// Announces that calls are taken at `port` of this host, under names that were never used
    /// before, and takes back what was announced before.
    ///
    /// Errors: any of [`LanError`].
    pub async fn announce(&self, port: u16, announcement: &Announcement) -> Result<(), LanError> {
        let announcement = Box::new(announcement.clone());
        self.order(|done| Command::Announce(port, announcement, done))
            .await
    }

    /// Takes back what was announced, and goes on listening.
    ///
    /// Errors: any of [`LanError`].
    pub async fn withdraw(&self) -> Result<(), LanError> {
        self.order(Command::Withdraw).await
    }

    async fn order(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), LanError>>) -> Command,
    ) -> Result<(), LanError> {
        let (done, outcome) = oneshot::channel();
        let sent = self.commands.send(command(done)).await;
        sent.map_err(|_| LanError::Ended)?;
        outcome.await.unwrap_or(Err(LanError::Ended))
    }
}
