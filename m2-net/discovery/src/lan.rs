//! The local network: announcements by mDNS and DNS-SD (docs/spec/lookup.md#announcements).
//!
//! One thread of `mdns-sd` does the network IO. It wakes up every five seconds to check the
//! interfaces, and for incoming packets. It stores every record that it receives and that may be
//! relevant, without a limit of its own. So a watcher monitors it: when another host floods it, the
//! watcher drops it with everything it holds, and stays silent for a minute.

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

/// The largest number of addresses of one host.
pub const MAX_ADDRESSES: usize = 4;
/// Announcements that wait to be read. When there are more, the oldest is dropped.
const QUEUE: usize = 64;
/// The capacity of the command queue. A sender waits while it is full.
const COMMANDS: usize = 4;

/// The configuration of look-up in the local network.
#[derive(Debug, Clone, Copy)]
pub struct LanConfig {
    /// Uses only the loopback interface: for tests, and for hosts without a network.
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

/// An announcement received from a host in the local network.
#[derive(Clone, PartialEq, Eq)]
pub struct Seen {
    /// The addresses on which the host accepts sessions: 1 to [`MAX_ADDRESSES`], all in networks
    /// that this host is in, without IPv6 link-local addresses.
    pub addresses: Vec<NamedAddress>,
    /// The announcement, readable by peers that share a secret with its sender.
    pub announcement: Announcement,
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seen(..)")
    }
}

/// Why look-up in the local network failed.
#[derive(Debug, Error)]
pub enum LanError {
    /// mDNS does not work on this host.
    #[error("could not speak mDNS in the local network")]
    Mdns(#[from] mdns_sd::Error),
    /// The look-up task has ended.
    #[error("look-up in the local network ended")]
    Ended,
}

/// Announces and listens in the local network until it is dropped; then it withdraws its
/// announcement.
#[derive(Debug)]
pub struct Lan {
    commands: mpsc::Sender<Command>,
    _task: Task,
}

impl Lan {
    /// Starts to listen. Announcements of other hosts arrive in the channel, again whenever they
    /// change; the daemon's own do not. Nothing is announced yet, but the queries reveal that an M2
    /// runs here. Must be called within a tokio runtime.
    ///
    /// Errors: [`LanError::Mdns`].
    pub fn start(config: LanConfig) -> Result<(Self, mpsc::Receiver<Seen>), LanError> {
        let (commands, orders) = mpsc::channel(COMMANDS);
        let (found, seen) = mpsc::channel(QUEUE);
        let watcher = Watcher::start(config, found)?;
        let _task = Task::spawn(watcher.run(orders));
        Ok((Self { commands, _task }, seen))
    }

    /// Announces that sessions are accepted at `port` of this host, under new random names, and
    /// withdraws the previous announcement.
    ///
    /// Errors: any of [`LanError`].
    pub async fn announce(&self, port: u16, announcement: &Announcement) -> Result<(), LanError> {
        let announcement = Box::new(announcement.clone());
        self.order(|done| Command::Announce(port, announcement, done))
            .await
    }

    /// Withdraws the announcement and continues to listen.
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
