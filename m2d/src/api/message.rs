//! `MessageService`.

use super::convert;
use super::malformed;
use super::pages::PAGE_BYTES;
use super::session::{ApiState, Ready};
use futures::future::{self, BoxFuture, FutureExt};
use futures::stream::{BoxStream, StreamExt};
use m2_delivery::{MAX_REACTION, Notice};
use m2_engine::Refusal;
use m2_engine::{Failure, MessageRequest, NewMessage, Query};
use m2_proto::api::v1 as pb;
use m2_proto::api::v1::message_service_server::MessageService;
use m2_proto::reason::Reason;
use m2_store::{MessageRowId, MessageState, PageSize, ShownMessage};
use std::sync::Arc;
use tokio::net::unix::UCred;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::UdsConnectInfo;
use tonic::{Request, Response, Status, Streaming};

/// The maximum number of requests of one stream in progress.
const PIPELINE: usize = 1_024;
const YEAR_MS: u64 = 365 * 86_400_000;
const MAX_KEY: usize = 128;
const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 1_000;
const MAX_READ: usize = 256;

/// The implementation of the service.
pub(super) struct MessageApi(pub Arc<ApiState>);

#[tonic::async_trait]
impl MessageService for MessageApi {
    async fn send_message(
        &self,
        request: Request<pb::SendMessageRequest>,
    ) -> Result<Response<pb::SendMessageResponse>, Status> {
        let ready = self.0.ready()?;
        let caller = caller(&request);
        let sent = send(ready, request.into_inner(), caller).await?;
        Ok(Response::new(sent))
    }

    type SendMessagesStream = ReceiverStream<Result<pb::SendMessagesResponse, Status>>;

    async fn send_messages(
        &self,
        request: Request<Streaming<pb::SendMessagesRequest>>,
    ) -> Result<Response<Self::SendMessagesStream>, Status> {
        self.0.ready()?;
        let caller = caller(&request);
        let (responses, stream) = mpsc::channel(PIPELINE);
        let state = self.0.clone();
        tokio::spawn(send_all(state, request.into_inner(), caller, responses));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn get_message(
        &self,
        request: Request<pb::GetMessageRequest>,
    ) -> Result<Response<pb::GetMessageResponse>, Status> {
        let ready = self.0.ready()?;
        let shown = find(ready, &request.into_inner().message_id).await?;
        Ok(Response::new(pb::GetMessageResponse {
            message: Some(convert::message(shown)),
        }))
    }

    type WatchMessageStream = BoxStream<'static, Result<pb::WatchMessageResponse, Status>>;

    async fn watch_message(
        &self,
        request: Request<pb::WatchMessageRequest>,
    ) -> Result<Response<Self::WatchMessageStream>, Status> {
        let ready = self.0.ready()?;
        let text = request.into_inner().message_id;
        find(ready, &text).await?;
        let (responses, stream) = mpsc::channel(16);
        tokio::spawn(watch(self.0.clone(), text, responses));
        Ok(Response::new(ReceiverStream::new(stream).boxed()))
    }

    async fn list_messages(
        &self,
        request: Request<pb::ListMessagesRequest>,
    ) -> Result<Response<pb::ListMessagesResponse>, Status> {
        let ready = self.0.ready()?;
        let pb::ListMessagesRequest {
            contact,
            limit,
            before,
        } = request.into_inner();
        let size = page_size(limit)?;
        let before = parse_before(&before)?;
        let view = ready
            .engine
            .read(|reply| Query::Contact(contact, reply))
            .await?;
        let row = view.row.row;
        let hold = ready.readers.pages.begin().await?;
        let page = ready
            .readers
            .read(move |reader| reader.history(row, before, size))
            .await?;
        let (messages, next) = convert::page(page);
        Ok(hold.answer(pb::ListMessagesResponse { messages, next }))
    }

    async fn search_messages(
        &self,
        request: Request<pb::SearchMessagesRequest>,
    ) -> Result<Response<pb::SearchMessagesResponse>, Status> {
        let ready = self.0.ready()?;
        let pb::SearchMessagesRequest {
            text,
            limit,
            before,
        } = request.into_inner();
        let size = page_size(limit)?;
        let before = parse_before(&before)?;
        if text.len() > 1_024 {
            return Err(Refusal::argument(
                "text",
                "1024 bytes",
                "The search text is longer than 1,024 bytes. Search for fewer words.",
            )
            .into());
        }
        bring_index_up_to_date(ready).await?;
        let hold = ready.readers.pages.begin().await?;
        let page = ready
            .readers
            .read(move |reader| reader.search(&text, before, size))
            .await?;
        let (messages, next) = convert::page(page);
        Ok(hold.answer(pb::SearchMessagesResponse { messages, next }))
    }

    async fn edit_message(
        &self,
        request: Request<pb::EditMessageRequest>,
    ) -> Result<Response<pb::EditMessageResponse>, Status> {
        let ready = self.0.ready()?;
        let pb::EditMessageRequest { message_id, text } = request.into_inner();
        let id = convert::message_id(&message_id)?;
        let content = convert::content("", text.into_bytes())?;
        ready
            .engine
            .call(|reply| MessageRequest::Edit(id, content, reply))
            .await?;
        Ok(Response::new(pb::EditMessageResponse {}))
    }

    async fn retract_message(
        &self,
        request: Request<pb::RetractMessageRequest>,
    ) -> Result<Response<pb::RetractMessageResponse>, Status> {
        let ready = self.0.ready()?;
        let id = convert::message_id(&request.into_inner().message_id)?;
        ready
            .engine
            .call(|reply| MessageRequest::Retract(id, reply))
            .await?;
        Ok(Response::new(pb::RetractMessageResponse {}))
    }

    async fn mark_read(
        &self,
        request: Request<pb::MarkReadRequest>,
    ) -> Result<Response<pb::MarkReadResponse>, Status> {
        let ready = self.0.ready()?;
        let texts = request.into_inner().message_ids;
        if texts.is_empty() || texts.len() > MAX_READ {
            return Err(Refusal::argument(
                "message_ids",
                "1..256",
                "One call marks 1 to 256 messages. Split them over several calls.",
            )
            .into());
        }
        let ids: Vec<[u8; 16]> = texts
            .iter()
            .map(|text| convert::message_id(text))
            .collect::<Result<_, _>>()?;
        ready
            .engine
            .call(|reply| MessageRequest::MarkRead(ids, reply))
            .await?;
        Ok(Response::new(pb::MarkReadResponse {}))
    }

    async fn react(
        &self,
        request: Request<pb::ReactRequest>,
    ) -> Result<Response<pb::ReactResponse>, Status> {
        let ready = self.0.ready()?;
        let pb::ReactRequest { message_id, text } = request.into_inner();
        let id = convert::message_id(&message_id)?;
        if text.len() > MAX_REACTION {
            return Err(Refusal::argument(
                "text",
                "64 bytes",
                "A reaction has at most 64 bytes. Use an emoji or a shorter text.",
            )
            .into());
        }
        ready
            .engine
            .call(|reply| MessageRequest::React(id, text, reply))
            .await?;
        Ok(Response::new(pb::ReactResponse {}))
    }

    async fn set_typing(
        &self,
        request: Request<pb::SetTypingRequest>,
    ) -> Result<Response<pb::SetTypingResponse>, Status> {
        let ready = self.0.ready()?;
        let pb::SetTypingRequest { contact, active } = request.into_inner();
        let notice = Notice::Typing { active };
        let sent = ready
            .engine
            .call(|reply| MessageRequest::Notify(contact, notice, reply))
            .await?;
        Ok(Response::new(pb::SetTypingResponse { sent }))
    }
}

/// Returns the caller for idempotency keys: the user id of the process at the other end of the
/// socket.
fn caller<T>(request: &Request<T>) -> String {
    let info = request.extensions().get::<UdsConnectInfo>();
    info.and_then(|info| info.peer_cred.as_ref())
        .map_or_else(String::new, |cred: &UCred| format!("uid:{}", cred.uid()))
}

async fn send(
    ready: &Ready,
    request: pb::SendMessageRequest,
    caller: String,
) -> Result<pb::SendMessageResponse, Refusal> {
    begin(ready, request, caller).await?.await
}

/// Passes a message to the engine. Returns a future of the response.
async fn begin(
    ready: &Ready,
    request: pb::SendMessageRequest,
    caller: String,
) -> Result<BoxFuture<'static, Result<pb::SendMessageResponse, Refusal>>, Refusal> {
    let new = new_message(request, caller)?;
    let sent = ready
        .engine
        .begin(|reply| MessageRequest::Send(new, reply))
        .await?;
    let answer = async move {
        let sent = sent.get().await?;
        Ok(pb::SendMessageResponse {
            message_id: convert::hex(&sent.id),
            state: convert::message_state(sent.state).into(),
        })
    };
    Ok(answer.boxed())
}

fn new_message(request: pb::SendMessageRequest, caller: String) -> Result<NewMessage, Refusal> {
    use pb::send_message_request::Content;
    if request.idempotency_key.len() > MAX_KEY {
        return Err(Refusal::argument(
            "idempotency_key",
            "128 bytes",
            "An idempotency key has at most 128 bytes. Use a shorter one.",
        ));
    }
    let ttl_ms = match &request.ttl {
        None => 0,
        Some(ttl) => convert::duration_ms(ttl, 1_000, YEAR_MS, "ttl", "1 s to 365 days")?,
    };
    let content = match request.content {
        Some(Content::Text(text)) if request.media_type.is_empty() => {
            convert::content("", text.into_bytes())?
        }
        Some(Content::Text(_)) => {
            return Err(Refusal::argument(
                "media_type",
                "only with data",
                "A text has no media type. Send the content as data to give it one.",
            ));
        }
        Some(Content::Data(data)) if request.media_type.is_empty() => {
            convert::content("application/octet-stream", data)?
        }
        Some(Content::Data(data)) => convert::data(&request.media_type, data)?,
        None => {
            return Err(Refusal::argument(
                "content",
                "text or data",
                "The message has neither text nor data. Give one of them.",
            ));
        }
    };
    let reply_to = convert::optional_id(&request.reply_to)?;
    let thread = convert::optional_id(&request.thread)?;
    Ok(NewMessage {
        contact: request.contact,
        content: content.about(reply_to, thread),
        ttl_s: u32::try_from(ttl_ms.div_ceil(1_000)).unwrap_or(u32::MAX),
        caller,
        key: request.idempotency_key,
    })
}

/// Sends the messages of a stream, many concurrently, and answers in order. Each message is passed
/// to the engine before the next is read, so that they are sent in the order of the stream.
async fn send_all(
    state: Arc<ApiState>,
    requests: Streaming<pb::SendMessagesRequest>,
    caller: String,
    responses: mpsc::Sender<Result<pb::SendMessagesResponse, Status>>,
) {
    let mut results = requests
        .then(|request| begin_one(state.clone(), request, caller.clone()))
        .map(|begun| async move { Ok(begun?.await) })
        .buffered(PIPELINE)
        .boxed();
    while let Some(result) = results.next().await {
        let broken = result.is_err();
        if responses.send(result).await.is_err() || broken {
            return;
        }
    }
}

/// Passes one message of a stream to the engine. Errors: those that end the stream.
async fn begin_one(
    state: Arc<ApiState>,
    request: Result<pb::SendMessagesRequest, Status>,
    caller: String,
) -> Result<BoxFuture<'static, pb::SendMessagesResponse>, Status> {
    let ready = state.ready()?;
    let request = request.map_err(|status| malformed::refusal(status.code()).unwrap_or(status))?;
    let begun = match request.message {
        Some(message) => begin(ready, message, caller).await,
        None => Err(Refusal::argument(
            "message",
            "required",
            "The request holds no message. Give one in each request of the stream.",
        )),
    };
    Ok(match begun {
        Ok(answer) => answer.map(send_result).boxed(),
        Err(refusal) => future::ready(send_result(Err(refusal))).boxed(),
    })
}

fn send_result(result: Result<pb::SendMessageResponse, Refusal>) -> pb::SendMessagesResponse {
    use pb::send_messages_response::Result as Outcome;
    let outcome = match result {
        Ok(sent) => Outcome::Sent(sent),
        Err(refusal) => Outcome::Error(pb::SendError {
            reason: refusal.reason.as_str().to_owned(),
            message: refusal.message,
        }),
    };
    pb::SendMessagesResponse {
        result: Some(outcome),
    }
}

/// Indexes all messages, because the index is updated asynchronously. If the store can't be
/// written, the search covers the messages that are already indexed.
async fn bring_index_up_to_date(ready: &Ready) -> Result<(), Refusal> {
    loop {
        match ready.engine.call(MessageRequest::Index).await {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(refusal) if refusal.fault.is_some() => return Ok(()),
            Err(refusal) => return Err(refusal),
        }
    }
}

async fn find(ready: &Ready, text: &str) -> Result<ShownMessage, Refusal> {
    let id = convert::message_id(text)?;
    let found = ready
        .readers
        .read(move |reader| reader.message(&id))
        .await?;
    found.ok_or_else(|| Refusal::new(Reason::MessageUnknown))
}

/// Sends the current state and every later one to a watcher, until a final one.
async fn watch(state: Arc<ApiState>, text: String, responses: Responses) {
    let Ok(ready) = state.ready() else { return };
    let ended = tokio::select! {
        ended = send_states(ready, &text, &responses) => ended,
        () = state.stop.cancelled() => Err(Refusal::new(Reason::Stopping)),
        () = responses.closed() => return,
    };
    if let Err(refusal) = ended {
        let _ = responses.send(Err(refusal.into())).await;
    }
}

type Responses = mpsc::Sender<Result<pb::WatchMessageResponse, Status>>;

/// A state, and the number of the failure, or 0.
type State = (MessageState, i64);

async fn send_states(ready: &Ready, text: &str, responses: &Responses) -> Result<(), Refusal> {
    let mut newest = ready.bus.newest_event();
    let mut last: Option<State> = None;
    loop {
        // The message is read after subscribing, and again after lagging: no change is missed.
        let mut seen = *newest.borrow_and_update();
        let shown = find(ready, text).await?;
        let mut states = vec![(shown.state, shown.failure)];
        loop {
            for state in std::mem::take(&mut states) {
                if last == Some(state) {
                    continue;
                }
                last = Some(state);
                let response = state_response(text, state);
                if responses.send(Ok(response)).await.is_err() || state.0.is_final() {
                    return Ok(());
                }
            }
            if newest.changed().await.is_err() {
                return Err(Refusal::new(Reason::Stopping));
            }
            let Some((details, upto)) = ready.bus.states_after(seen, &shown.id) else {
                break;
            };
            seen = upto;
            states = later_than(last, details);
        }
    }
}

/// Returns the states of these events, without those up to the one that was sent last: the message
/// may have been read when some of them were stored already.
fn later_than(last: Option<State>, details: Vec<i64>) -> Vec<State> {
    let states = details.into_iter().filter_map(MessageState::of_event);
    let states: Vec<State> = states.collect();
    let sent = states.iter().rposition(|state| Some(*state) == last);
    states
        .into_iter()
        .skip(sent.map_or(0, |place| place + 1))
        .collect()
}

fn state_response(text: &str, (state, failure): State) -> pb::WatchMessageResponse {
    pb::WatchMessageResponse {
        message_id: text.to_lowercase(),
        state: convert::message_state(state).into(),
        failure: Failure::text(failure).to_owned(),
    }
}

fn page_size(limit: u32) -> Result<PageSize, Refusal> {
    let rows = match limit {
        0 => DEFAULT_LIMIT,
        1..=MAX_LIMIT => limit,
        _ => {
            return Err(Refusal::argument(
                "limit",
                "1..1000",
                "The limit must be from 1 to 1,000.",
            ));
        }
    };
    Ok(PageSize {
        rows,
        bytes: PAGE_BYTES,
    })
}

/// Parses the row before which a page begins.
fn parse_before(cursor: &str) -> Result<MessageRowId, Refusal> {
    if cursor.is_empty() {
        return Ok(MessageRowId::new(i64::MAX));
    }
    let parsed = cursor.parse().map(MessageRowId::new);
    parsed.map_err(|_| Refusal::new(Reason::CursorInvalid))
}
