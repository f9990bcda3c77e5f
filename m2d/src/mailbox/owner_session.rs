//! A session of an owner with its provider: questions, answers, and letters in between.

use m2_net::frame::{FrameReceiver, FrameSender};
use m2_net::session::{CloseCode, Session, SessionError, SessionHandle};
use m2_net::wire::Message;
use m2_net::wire::mailbox::{Answer, Letter, Mailbox, Request};
use std::collections::VecDeque;
use std::time::Duration;
use thiserror::Error;
use tokio::time::timeout;

/// How long a provider may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// Letters that may come while an answer is waited for. A provider that sends more is none.
const MAX_WAITING: usize = 4_096;

/// Why a session with a provider ended.
#[derive(Debug, Error)]
pub(super) enum ProviderError {
    /// The session broke.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// No answer came in time.
    #[error("the provider does not answer")]
    NoAnswer,
    /// The provider says what no provider says.
    #[error("the provider broke the protocol")]
    Misbehaved,
}

/// The session, and the letters that nobody has taken out yet.
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

    /// Says something that has no answer.
    pub(super) async fn tell(&self, request: Request) -> Result<(), ProviderError> {
        let frame = Message::Mailbox(Box::new(Mailbox::Request(request)));
        Ok(self.sender.send(frame).await?)
    }

    /// Asks and waits for the answer. Letters that come meanwhile are kept.
    pub(super) async fn ask(&mut self, request: Request) -> Result<Answer, ProviderError> {
        self.tell(request).await?;
        self.answer().await
    }

    /// The next answer; for a question that has several.
    pub(super) async fn answer(&mut self) -> Result<Answer, ProviderError> {
        let next = async {
            loop {
                match self.receive().await? {
                    Mailbox::Answer(answer) => return Ok(answer),
                    Mailbox::Letter(letter) if self.letters.len() < MAX_WAITING => {
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

    /// The next letter. It may be dropped and called again.
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

/// Whoever drops it in the middle of something is done with it.
impl Drop for OwnerSession {
    fn drop(&mut self) {
        self.close();
    }
}
