//! The stream of events.

use m2_proto::api::v1::{SubscribeRequest, SubscribeResponse};
use m2_proto::client::Client;
use m2_proto::limits::CURSOR_HEADER;
use m2_proto::reason::{self, Reason};
use tonic::{Status, Streaming};

use crate::context::call;
use crate::failure::Failure;

/// Starts a stream. If `after` is `None`, sets it to the cursor after which the stream starts, so that
/// a stream that breaks before its first event continues there.
pub(crate) async fn open(
    client: &Client,
    request: SubscribeRequest,
    after: &mut Option<String>,
) -> Result<Streaming<SubscribeResponse>, Failure> {
    let mut service = client.events();
    let mut begin = None;
    let stream = call(async {
        let response = service.subscribe(request).await?;
        let cursor = response.metadata().get(CURSOR_HEADER);
        begin = cursor.and_then(|cursor| Some(cursor.to_str().ok()?.to_owned()));
        Ok(response)
    });
    let stream = stream.await?;
    *after = after.take().or(begin);
    Ok(stream)
}

/// Returns an answer, or a failure if the stream ended. An error without a reason from the daemon comes from
/// the connection.
pub(crate) fn read(
    answer: Result<Option<SubscribeResponse>, Status>,
) -> Result<SubscribeResponse, Failure> {
    match answer {
        Ok(Some(answer)) => Ok(answer),
        Err(status) if !is_end(&status) => Err(status.into()),
        Ok(None) | Err(_) => Err(Failure::NoDaemon(
            "The daemon stopped. Run this command again once it is back; --reconnect waits for it."
                .to_owned(),
        )),
    }
}

fn is_end(status: &Status) -> bool {
    reason::text_of(status).is_none_or(|reason| reason == Reason::Stopping.as_str())
}
