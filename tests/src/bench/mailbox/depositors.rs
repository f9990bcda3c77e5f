//! Depositors, each with an open anonymous session.

use super::super::samples::Samples;
use super::provider::Provider;
use super::tokens::Tokens;
use super::{AHEAD, SESSIONS};
use anyhow::{bail, ensure};
use m2_crypto::PeerId;
use m2_crypto::deposit::DepositNonce;
use m2_net::endpoint::Endpoint;
use m2_net::session::Session;
use m2_net::wire::Message;
use m2_net::wire::mailbox::{Deposit, Mailbox, Outcome};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The deposits to make: one letter in each box for every token index of a range.
#[derive(Clone)]
pub(super) struct Load {
    pub(super) tokens: Tokens,
    pub(super) owners: Arc<[PeerId]>,
    pub(super) indices: Range<u64>,
}

/// The result of a load: the number of deposits, the total time, and the time until each was
/// confirmed.
pub(super) struct Deposits {
    pub(super) count: u64,
    pub(super) took: Duration,
    pub(super) waits: Samples,
}

/// An anonymous session that deposits letters, and the deposits that are not yet confirmed.
pub(super) struct Depositor {
    session: Session,
    sent: VecDeque<(DepositNonce, Instant)>,
}

impl Load {
    pub(super) fn count(&self) -> u64 {
        self.owners.len() as u64 * (self.indices.end - self.indices.start)
    }

    /// Makes all deposits over several concurrent sessions, each with the maximum number of
    /// unanswered deposits.
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

    /// Returns deposit number `number`. The boxes take turns, so that successive deposits are not
    /// neighbours in the store.
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

    /// Sends a deposit without waiting for the answer.
    pub(super) async fn send(&mut self, deposit: Deposit) -> anyhow::Result<()> {
        self.sent
            .push_back((*deposit.token.nonce(), Instant::now()));
        let frame = Message::Mailbox(Box::new(Mailbox::Deposit(deposit)));
        Ok(self.session.send_frame(frame).await?)
    }

    /// Waits for the confirmation that the oldest unanswered deposit is stored, and returns the
    /// time since it was sent.
    pub(super) async fn stored(&mut self) -> anyhow::Result<Duration> {
        let Message::Mailbox(frame) = self.session.recv_frame().await? else {
            bail!("a strange answer");
        };
        let Mailbox::Deposited { nonce, outcome } = *frame else {
            bail!("a strange answer");
        };
        let Some((sent, at)) = self.sent.pop_front() else {
            bail!("an answer without a deposit");
        };
        ensure!(nonce == sent && outcome == Outcome::Stored, "{outcome:?}");
        Ok(at.elapsed())
    }

    /// Makes every deposit of the load whose number modulo `SESSIONS` is `place`. Returns the
    /// time until each was confirmed.
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
