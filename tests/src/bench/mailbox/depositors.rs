//! Those who deposit, over sessions that are open.

use super::super::samples::Samples;
use super::provider::Provider;
use super::tokens::Tokens;
use super::{AHEAD, SESSIONS};
use anyhow::{bail, ensure};
use m2_crypto::PeerId;
use m2_net::endpoint::Endpoint;
use m2_net::session::Session;
use m2_net::wire::Message;
use m2_net::wire::mailbox::{Deposit, LetterId, Mailbox, Outcome};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What is deposited: with every token index of a range, into every box.
#[derive(Clone)]
pub(super) struct Load {
    pub(super) tokens: Tokens,
    pub(super) owners: Arc<[PeerId]>,
    pub(super) indices: Range<u64>,
}

/// How it went.
pub(super) struct Deposits {
    pub(super) count: u64,
    pub(super) took: Duration,
    pub(super) waits: Samples,
}

/// Somebody who is nobody.
pub(super) struct Depositor {
    session: Session,
    sent: VecDeque<(LetterId, Instant)>,
}

impl Load {
    pub(super) fn count(&self) -> u64 {
        self.owners.len() as u64 * (self.indices.end - self.indices.start)
    }

    /// Deposits all of it over several sessions at once, each with as many under way as it may.
    pub(super) async fn deposit(
        &self,
        provider: &Provider,
        endpoint: &Endpoint,
    ) -> anyhow::Result<Deposits> {
        let mut depositors = Vec::new();
        for _ in 0..SESSIONS {
            depositors.push(Depositor::dial(provider, endpoint).await?);
        }
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for (place, depositor) in depositors.into_iter().enumerate() {
            tasks.spawn(depositor.run(self.clone(), place as u64));
        }
        let mut waits = Samples::default();
        while let Some(ended) = tasks.join_next().await {
            waits.extend(ended??);
        }
        Ok(Deposits {
            count: self.count(),
            took: start.elapsed(),
            waits,
        })
    }

    /// Box by box within an index, so that neighbours in time are none in the store.
    fn number(&self, number: u64) -> Option<Deposit> {
        let boxes = self.owners.len() as u64;
        let owner = self.owners.get((number % boxes) as usize)?;
        let index = self.indices.start + number / boxes;
        Some(self.tokens.deposit(*owner, index))
    }
}

impl Deposits {
    pub(super) fn per_second(&self) -> f64 {
        self.count as f64 / self.took.as_secs_f64()
    }
}

impl Depositor {
    pub(super) async fn dial(provider: &Provider, endpoint: &Endpoint) -> anyhow::Result<Self> {
        Ok(Self {
            session: provider.dial_nobody(endpoint).await?,
            sent: VecDeque::new(),
        })
    }

    /// Says a deposit.
    pub(super) async fn send(&mut self, deposit: Deposit) -> anyhow::Result<()> {
        self.sent.push_back((deposit.letter.id, Instant::now()));
        let frame = Message::Mailbox(Box::new(Mailbox::Deposit(deposit)));
        Ok(self.session.send_frame(frame).await?)
    }

    /// Hears that the oldest one is stored, and how long that took.
    pub(super) async fn stored(&mut self) -> anyhow::Result<Duration> {
        let Message::Mailbox(frame) = self.session.recv_frame().await? else {
            bail!("a strange answer");
        };
        let Mailbox::Deposited { id, outcome } = *frame else {
            bail!("a strange answer");
        };
        let Some((sent, at)) = self.sent.pop_front() else {
            bail!("an answer too many");
        };
        ensure!(id == sent && outcome == Outcome::Stored, "{outcome:?}");
        Ok(at.elapsed())
    }

    /// Every so-manieth deposit of a load.
    async fn run(mut self, load: Load, place: u64) -> anyhow::Result<Samples> {
        let mut numbers = (place..load.count()).step_by(SESSIONS);
        let mut waits = Samples::default();
        loop {
            while self.sent.len() < AHEAD
                && let Some(deposit) = numbers.next().and_then(|number| load.number(number))
            {
                self.send(deposit).await?;
            }
            if self.sent.is_empty() {
                return Ok(waits);
            }
            waits.add(self.stored().await?);
        }
    }
}
