//! Places for answers, and answers that wait for the commit.

use crate::refusal::Refusal;
use tokio::sync::oneshot;

/// The place for the answer to an input.
#[derive(Debug)]
pub struct Reply<T>(oneshot::Sender<Result<T, Refusal>>);

/// An answer that is delivered once its batch is on disk.
pub struct Held(
    Box<dyn FnOnce(Result<(), Refusal>) + Send>,
    Result<(), Refusal>,
);

impl<T: Send + 'static> Reply<T> {
    /// Returns a place for an answer, and its receiving end.
    pub fn channel() -> (Self, oneshot::Receiver<Result<T, Refusal>>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }

    pub(crate) fn send(self, answer: Result<T, Refusal>) {
        // The caller may not wait any more.
        let _ = self.0.send(answer);
    }

    /// Combines the result of a request with that of its batch. A refused request keeps its own
    /// reason, whether or not the batch was committed.
    pub(crate) fn hold(self, result: Result<T, Refusal>) -> Held {
        let deliver = move |committed: Result<(), Refusal>| match result {
            Err(refusal) if refusal.fault.is_none() => self.send(Err(refusal)),
            result => self.send(committed.and(result)),
        };
        Held(Box::new(deliver), Ok(()))
    }
}

impl Held {
    /// Delivers the answer.
    pub fn deliver(self) {
        (self.0)(self.1);
    }

    /// Returns the answer for a batch that was rolled back.
    pub(crate) fn refused(self, refusal: Refusal) -> Self {
        Self(self.0, Err(refusal))
    }
}
