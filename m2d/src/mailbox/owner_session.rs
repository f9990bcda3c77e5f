//! An owner's session with its provider: requests, answers, and letters in between.

use m2_net::frame::{FrameReceiver, FrameSender};
use m2_net::session::{CloseCode, Session, SessionError, SessionHandle};
use m2_net::wire::Message;
use m2_net::wire::mailbox::{BoxState, Letter, Mailbox, Request};
use std::collections::VecDeque;
use std::time::Duration;
use thiserror::Error;
use tokio::time::timeout;

/// The timeout of the provider's answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// The most bytes of letters that may arrive before an answer: what a provider may push, and once more. More
/// are a violation.
const MAX_WAITING: usize = 2 << 20;

/// The reason for which a session with a provider ended.
#[derive(Debug, Error)]
pub(super) enum ProviderError {
    /// The session failed.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The answer timed out.
    #[error("the provider does not answer")]
    NoAnswer,
    /// The provider sent a frame that no correct provider sends.
    #[error("the provider broke the protocol")]
    Misbehaved,
}

/// The session, and the letters that are not processed yet.
pub(super) struct OwnerSession {
    handle: SessionHandle,
    sender: FrameSender,
    receiver: FrameReceiver,
    letters: VecDeque<Letter>,
}

impl OwnerSession {
    pub(super) fn new(session: Session) -> Self {
        let (handle, sender, receiver) = session.split();
        Self {
            handle,
            sender,
            receiver,
            letters: VecDeque::new(),
        }
    }

    pub(super) const fn handle(&self) -> &SessionHandle {
        &self.handle
    }

    /// Sends a request that has no answer.
    pub(super) async fn tell(&self, request: Request) -> Result<(), ProviderError> {
        let frame = Message::Mailbox(Box::new(Mailbox::Request(request)));
        Ok(self.sender.send(frame).await?)
    }

    /// Sends a request and waits for the answer. Letters that arrive in between are queued.
    pub(super) async fn ask(&mut self, request: Request) -> Result<BoxState, ProviderError> {
        self.tell(request).await?;
        self.answer().await
    }

    async fn answer(&mut self) -> Result<BoxState, ProviderError> {
        let next = async {
            loop {
                match self.receive().await? {
                    Mailbox::State(state) => return Ok(state),
                    Mailbox::Letter(letter) if self.waiting() < MAX_WAITING => {
                        self.letters.push_back(letter);
                    }
                    _ => return Err(ProviderError::Misbehaved),
                }
            }
        };
        timeout(ANSWER_WITHIN, next)
            .await
            .map_err(|_| ProviderError::NoAnswer)?
    }

    fn waiting(&self) -> usize {
        self.letters.iter().map(|letter| letter.sealed.len()).sum()
    }

    /// Returns the next letter. Cancel-safe.
    pub(super) async fn letter(&mut self) -> Result<Letter, ProviderError> {
        if let Some(letter) = self.letters.pop_front() {
            return Ok(letter);
        }
        match self.receive().await? {
            Mailbox::Letter(letter) => Ok(letter),
            _ => Err(ProviderError::Misbehaved),
        }
    }

    async fn receive(&mut self) -> Result<Mailbox, ProviderError> {
        match self.receiver.recv().await? {
            Message::Mailbox(mailbox) => Ok(*mailbox),
            _ => Err(ProviderError::Misbehaved),
        }
    }

    pub(super) fn close(&self) {
        self.handle.close(CloseCode::Done);
    }
}

/// Dropping the session at any point closes it.
impl Drop for OwnerSession {
    fn drop(&mut self) {
        self.close();
    }
}
