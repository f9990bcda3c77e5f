//! Webhooks: each posts the events of its client name to a receiver, one after the other.
//!
//! The daemon keeps the position of each webhook, which moves only after the receiver has accepted the event. A webhook
//! has a task, a connection to the daemon and a connection to its receiver of its own, so that one that fails delays no
//! other, and holds no more than the events that fit into the window of its stream.

mod board;
mod delivery;
mod failure;
mod runner;
mod schedule;
mod sender;
mod settings;
mod signature;

pub(crate) use board::Board;
pub(crate) use settings::{Webhook, WebhookError, WebhookTable};

use crate::daemon::Daemon;
use runner::Runner;
use sender::{Sender, Tls};
use std::io;
use std::sync::Arc;
use tokio::task::JoinSet;

/// The running webhooks.
#[derive(Debug)]
pub(crate) struct Running(JoinSet<()>);

/// Starts a task for each webhook. Returns their states and the tasks.
///
/// Errors: the system has no certificates by which receivers could be verified.
pub(crate) fn spawn(webhooks: Vec<Webhook>, daemon: &Arc<Daemon>) -> io::Result<(Board, Running)> {
    let mut board = Board::default();
    let mut tasks = JoinSet::new();
    let mut tls = Tls::default();
    for webhook in webhooks {
        let entry = board.add(&webhook.name);
        let sender = Sender::new(&webhook, &mut tls)?;
        let runner = Runner::new(webhook, daemon.clone(), sender, entry);
        tasks.spawn(runner.run());
    }
    Ok((board, Running(tasks)))
}

impl Running {
    /// Waits until a task ends, which no task does by itself. Returns the error with which the gateway stops, so that a
    /// service manager starts it again.
    pub(crate) async fn ended(mut self) -> io::Error {
        match self.0.join_next().await {
            Some(_) => io::Error::other("the task of a webhook has failed: report it"),
            None => std::future::pending().await,
        }
    }
}
