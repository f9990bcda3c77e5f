//! A box owner's session with its provider.

use super::provider::Provider;
use super::tokens::Tokens;
use anyhow::bail;
use m2_crypto::Identity;
use m2_crypto::deposit::{BoxKey, DepositNonce};
use m2_net::endpoint::Endpoint;
use m2_net::session::Session;
use m2_net::wire::Message;
use m2_net::wire::mailbox::{Letter, Mailbox, Request};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Number of letters confirmed as taken per frame.
const TAKEN: usize = 64;

/// A session of a box owner, and the key of its box.
pub(super) struct Owner {
    session: Session,
    key: BoxKey,
}

impl Owner {
    pub(super) async fn dial(
        provider: &Provider,
        endpoint: &Endpoint,
        identity: &Arc<Identity>,
        tokens: &Tokens,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            session: provider.dial_owner(endpoint, identity).await?,
            key: tokens.key(),
        })
    }

    /// Opens the box and returns the time until its first letter arrives.
    pub(super) async fn first_letter(&mut self) -> anyhow::Result<Duration> {
        let start = Instant::now();
        self.open().await?;
        self.letter().await?;
        Ok(start.elapsed())
    }

    /// Opens the box, takes `count` letters and returns the time until all are deleted.
    pub(super) async fn collect(&mut self, count: usize) -> anyhow::Result<Duration> {
        let start = Instant::now();
        self.open().await?;
        let mut taken = Vec::new();
        for number in 1..=count {
            taken.push(self.letter().await?.nonce);
            if taken.len() == TAKEN || number == count {
                self.take(std::mem::take(&mut taken)).await?;
            }
        }
        self.until_all_is_done().await?;
        Ok(start.elapsed())
    }

    /// Opens the box, which must not have been opened in this session before, and returns whether
    /// it is empty.
    pub(super) async fn is_empty(&mut self) -> anyhow::Result<bool> {
        self.open().await?;
        // The provider pushes the first page at once; for an empty box it sends nothing.
        let next = tokio::time::timeout(Duration::from_secs(2), self.letter());
        Ok(next.await.is_err())
    }

    async fn open(&self) -> anyhow::Result<()> {
        self.say(Request::Open(self.key.clone())).await
    }

    async fn take(&self, nonces: Vec<DepositNonce>) -> anyhow::Result<()> {
        self.say(Request::Taken(nonces)).await
    }

    /// Waits until all requests have been processed. Requests are processed in order, so the answer
    /// to a final request shows that.
    async fn until_all_is_done(&mut self) -> anyhow::Result<()> {
        self.open().await?;
        loop {
            if let Mailbox::State(_) = self.hear().await? {
                return Ok(());
            }
        }
    }

    async fn letter(&mut self) -> anyhow::Result<Letter> {
        loop {
            match self.hear().await? {
                Mailbox::Letter(letter) => return Ok(letter),
                Mailbox::State(state) if state.open => {}
                _ => bail!("the provider refuses the box"),
            }
        }
    }

    async fn say(&self, request: Request) -> anyhow::Result<()> {
        let frame = Mailbox::Request(request);
        let message = Message::Mailbox(Box::new(frame));
        Ok(self.session.send_frame(message).await?)
    }

    async fn hear(&mut self) -> anyhow::Result<Mailbox> {
        match self.session.recv_frame().await? {
            Message::Mailbox(frame) => Ok(*frame),
            _ => bail!("an unexpected frame"),
        }
    }
}
