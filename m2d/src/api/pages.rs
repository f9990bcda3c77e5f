//! Pages of lists. Each page is bounded, and so is the number of pages in memory: a page counts
//! until the front-end has read it or has disconnected.

use http_body::{Body as HttpBody, Frame, SizeHint};
use m2_engine::Refusal;
use m2_proto::reason::Reason;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::body::Body;
use tonic::codegen::http::Response as HttpResponse;
use tonic::{Response, Status};

/// The bytes of content in one page. A page holds at least one message, which is smaller.
pub(super) const PAGE_BYTES: u64 = 1 << 20;
/// The maximum number of pages that are being read from the store or wait for front-ends.
const PAGES: usize = 16;
/// How long a request waits for a free page.
const PATIENCE: Duration = Duration::from_secs(10);

/// A counter of pages.
#[derive(Debug, Clone)]
pub struct Pages(Arc<Semaphore>);

/// The permit to hold one page.
#[derive(Debug, Clone)]
pub(super) struct Page(
    #[expect(dead_code, reason = "held until dropped")] Arc<OwnedSemaphorePermit>,
);

impl Default for Pages {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PAGES)))
    }
}

impl Pages {
    /// Waits until another page may be held.
    ///
    /// Errors: LIMIT_REACHED if front-ends do not read the pages of other requests.
    pub(super) async fn begin(&self) -> Result<Page, Refusal> {
        let permit = tokio::time::timeout(PATIENCE, self.0.clone().acquire_owned()).await;
        match permit {
            Ok(Ok(permit)) => Ok(Page(Arc::new(permit))),
            Ok(Err(_)) => Err(Refusal::new(Reason::Stopping)),
            Err(_) => Err(Refusal::because(
                Reason::LimitReached,
                "16 lists are waiting to be read: read or cancel those calls, and try again.",
            )),
        }
    }
}

impl Page {
    /// Returns a response that holds the page until it is read.
    pub(super) fn answer<T>(self, message: T) -> Response<T> {
        let mut response = Response::new(message);
        response.extensions_mut().insert(self);
        response
    }
}

/// Moves a page from the head of a response, which is dropped once it is sent, to the body.
pub fn hold_pages(mut response: HttpResponse<Body>) -> HttpResponse<Body> {
    match response.extensions_mut().remove::<Page>() {
        Some(page) => response.map(|body| Body::new(Held { body, _page: page })),
        None => response,
    }
}

/// A body with its page. It is dropped when the transport has taken all of it, which happens as the
/// front-end reads, or when the call ends.
struct Held {
    body: Body,
    _page: Page,
}

impl HttpBody for Held {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body that the front-end does not read.
    struct Unread;

    impl HttpBody for Unread {
        type Data = bytes::Bytes;
        type Error = Status;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
            Poll::Pending
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pages_are_counted_until_their_bodies_are_dropped() {
        let pages = Pages::default();
        let mut bodies = Vec::new();
        for _ in 0..PAGES {
            let response = pages.begin().await.unwrap().answer(());
            let mut sent = HttpResponse::new(Body::new(Unread));
            *sent.extensions_mut() = response.into_parts().2;
            let (_, body) = hold_pages(sent).into_parts();
            bodies.push(body);
        }
        // The clock is simulated: nothing else happens for ten seconds.
        let refused = pages.begin().await.unwrap_err();
        assert_eq!(refused.reason, Reason::LimitReached);
        bodies.pop();
        pages.begin().await.unwrap();
    }

    #[tokio::test]
    async fn an_abandoned_call_releases_its_page() {
        let pages = Pages::default();
        let held: Vec<Page> = futures::future::join_all((0..PAGES).map(|_| pages.begin()))
            .await
            .into_iter()
            .collect::<Result<_, _>>()
            .unwrap();
        drop(held);
        assert_eq!(pages.0.available_permits(), PAGES);
    }
}
