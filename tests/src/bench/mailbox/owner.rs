//! A box owner's session with its provider.

use super::provider::Provider;
use anyhow::bail;
use m2_crypto::Identity;
use m2_net::endpoint::Endpoint;
use m2_net::session::Session;
use m2_net::wire::Message;
use m2_net::wire::mailbox::{Answer, Letter, LetterId, Mailbox, Request};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Number of letters confirmed as taken per frame.
const TAKEN: usize = 64;

/// A session of a box owner.
pub(super) struct Owner(Session);

impl Owner {
    pub(super) async fn dial(
        provider: &Provider,
        endpoint: &Endpoint,
        identity: &Arc<Identity>,
    ) -> anyhow::Result<Self> {
        Ok(Self(provider.dial_owner(endpoint, identity).await?))
    }

    /// Opens the box and returns the time until its first letter arrives.
    pub(super) async fn first_letter(&mut self) -> anyhow::Result<Duration> {
        let start = Instant::now();
        self.say(Request::Open).await?;
        self.letter().await?;
        Ok(start.elapsed())
    }

    /// Opens the box, takes `count` letters and returns the time until all are deleted.
    pub(super) async fn collect(&mut self, count: usize) -> anyhow::Result<Duration> {
        let start = Instant::now();
        self.say(Request::Open).await?;
        let mut taken = Vec::new();
        for number in 1..=count {
            taken.push(self.letter().await?.id);
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
        self.say(Request::Open).await?;
        // The provider pushes the first page at once; for an empty box it sends nothing.
        let next = tokio::time::timeout(Duration::from_secs(2), self.letter());
        Ok(next.await.is_err())
    }

    async fn take(&self, ids: Vec<LetterId>) -> anyhow::Result<()> {
        self.say(Request::Taken(ids)).await
    }

    /// Waits until all requests have been processed. Requests are processed in order, so the answer
    /// to a final request shows that.
    async fn until_all_is_done(&mut self) -> anyhow::Result<()> {
        self.say(Request::ListTokens).await?;
        loop {
            if let Mailbox::Answer(Answer::Tokens { last: true, .. }) = self.hear().await? {
                return Ok(());
            }
        }
    }

    async fn letter(&mut self) -> anyhow::Result<Letter> {
        loop {
            match self.hear().await? {
                Mailbox::Letter(letter) => return Ok(letter),
                Mailbox::Answer(Answer::State(state)) if state.open => {}
                _ => bail!("the provider refuses the box"),
            }
        }
    }

    async fn say(&self, request: Request) -> anyhow::Result<()> {
        let frame = Mailbox::Request(request);
        let message = Message::Mailbox(Box::new(frame));
        Ok(self.0.send_frame(message).await?)
    }

    async fn hear(&mut self) -> anyhow::Result<Mailbox> {
        match self.0.recv_frame().await? {
            Message::Mailbox(frame) => Ok(*frame),
            _ => bail!("an unexpected frame"),
        }
    }
}
