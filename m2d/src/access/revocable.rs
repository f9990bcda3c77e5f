//! Ends a response when the token of its call expires or is revoked.

use super::registry::Grant;
use bytes::Bytes;
use futures::future::BoxFuture;
use http_body::{Body as HttpBody, Frame, SizeHint};
use m2_proto::reason::Reason;
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Response};

/// Returns a response that fails with TOKEN_INVALID once the token of its call has ended.
pub(super) fn until_ended(response: Response<Body>, grant: Grant) -> Response<Body> {
    response.map(|body| {
        Body::new(Revocable {
            body: Some(body),
            ended: Box::pin(async move { grant.ended().await }),
        })
    })
}

struct Revocable {
    /// The body of the service; dropped when the token has ended, which ends the call there.
    body: Option<Body>,
    ended: BoxFuture<'static, ()>,
}

impl HttpBody for Revocable {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        if this.ended.as_mut().poll(cx).is_pending() {
            return Pin::new(body).poll_frame(cx);
        }
        this.body = None;
        let mut trailers = HeaderMap::new();
        let told = Reason::TokenInvalid.status().add_header(&mut trailers);
        Poll::Ready(Some(told.map(|()| Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}
