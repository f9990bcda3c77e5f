//! `MessageService`.

mod arguments;

use super::convert;
use super::malformed;
use super::permits;
use super::session::{ApiState, Ready};
use crate::access::Caller;
use arguments::{Bounds, new_message, page_size, parse_before, reaction, read_ids, search_text};
use futures::future::{self, BoxFuture, FutureExt};
use futures::stream::{BoxStream, StreamExt};
use m2_delivery::Notice;
use m2_engine::Refusal;
use m2_engine::{Failure, MessageRequest, Query};
use m2_proto::api::v1 as pb;
use m2_proto::api::v1::message_service_server::MessageService;
use m2_proto::reason::Reason;
use m2_store::{ContactRowId, MessageState, ShownMessage};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// The maximum number of requests of one stream in progress.
const PIPELINE: usize = 1_024;

/// The implementation of the service.
pub(super) struct MessageApi(pub Arc<ApiState>);

#[tonic::async_trait]
impl MessageService for MessageApi {
    async fn send_message(
        &self,
        request: Request<pb::SendMessageRequest>,
    ) -> Result<Response<pb::SendMessageResponse>, Status> {
        let ready = self.0.ready()?;
        let caller = Caller::of(&request)?;
        let sent = send(ready, request.into_inner(), &caller).await?;
        Ok(Response::new(sent))
    }

    type SendMessagesStream = ReceiverStream<Result<pb::SendMessagesResponse, Status>>;

    async fn send_messages(
        &self,
        request: Request<Streaming<pb::SendMessagesRequest>>,
    ) -> Result<Response<Self::SendMessagesStream>, Status> {
        self.0.ready()?;
        let caller = Caller::of(&request)?;
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
        let caller = Caller::of(&request)?;
        let text = request.into_inner().message_id;
        permits::message(ready, &caller, convert::message_id(&text)?).await?;
        let shown = find(ready, &text).await?;
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
        let caller = Caller::of(&request)?;
        let text = request.into_inner().message_id;
        permits::message(ready, &caller, convert::message_id(&text)?).await?;
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
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let size = page_size(request.limit)?;
        let bounds = Bounds::parse(&request)?;
        let contact = permits::contact(ready, &caller, request.contact).await?;
        let row = contact_row(ready, contact).await?;
        let hold = ready.readers.pages.begin().await?;
        let page = ready
            .readers
            .read(move |reader| reader.history(row, bounds.span(reader)?, size))
            .await?;
        let (messages, next) = convert::page(page);
        Ok(hold.answer(pb::ListMessagesResponse { messages, next }))
    }

    async fn search_messages(
        &self,
        request: Request<pb::SearchMessagesRequest>,
    ) -> Result<Response<pb::SearchMessagesResponse>, Status> {
        let ready = self.0.ready()?;
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let size = page_size(request.limit)?;
        let before = parse_before(&request.before)?;
        let text = search_text(request.text)?;
        let contact = match request.contact.is_empty() {
            true => permits::all_contacts(&caller).map(|()| None)?,
            false => {
                let contact = permits::contact(ready, &caller, request.contact).await?;
                Some(contact_row(ready, contact).await?)
            }
        };
        bring_index_up_to_date(ready).await?;
        let hold = ready.readers.pages.begin().await?;
        let page = ready
            .readers
            .read(move |reader| reader.search(&text, contact, before, size))
            .await?;
        let (messages, next) = convert::page(page);
        Ok(hold.answer(pb::SearchMessagesResponse { messages, next }))
    }

    async fn edit_message(
        &self,
        request: Request<pb::EditMessageRequest>,
    ) -> Result<Response<pb::EditMessageResponse>, Status> {
        let ready = self.0.ready()?;
        let caller = Caller::of(&request)?;
        let pb::EditMessageRequest { message_id, text } = request.into_inner();
        let id = convert::message_id(&message_id)?;
        permits::message(ready, &caller, id).await?;
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
        let caller = Caller::of(&request)?;
        let id = convert::message_id(&request.into_inner().message_id)?;
        permits::message(ready, &caller, id).await?;
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
        let caller = Caller::of(&request)?;
        let ids = read_ids(&request.into_inner().message_ids)?;
        for id in &ids {
            permits::message(ready, &caller, *id).await?;
        }
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
        let caller = Caller::of(&request)?;
        let pb::ReactRequest { message_id, text } = request.into_inner();
        let id = convert::message_id(&message_id)?;
        permits::message(ready, &caller, id).await?;
        let text = reaction(text)?;
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
        let caller = Caller::of(&request)?;
        let pb::SetTypingRequest { contact, active } = request.into_inner();
        let contact = permits::contact(ready, &caller, contact).await?;
        let notice = Notice::Typing { active };
        let sent = ready
            .engine
            .call(|reply| MessageRequest::Notify(contact, notice, reply))
            .await?;
        Ok(Response::new(pb::SetTypingResponse { sent }))
    }
}

async fn send(
    ready: &Ready,
    request: pb::SendMessageRequest,
    caller: &Caller,
) -> Result<pb::SendMessageResponse, Refusal> {
    begin(ready, request, caller).await?.await
}

/// Passes a message to the engine. Returns a future of the response.
async fn begin(
    ready: &Ready,
    mut request: pb::SendMessageRequest,
    caller: &Caller,
) -> Result<BoxFuture<'static, Result<pb::SendMessageResponse, Refusal>>, Refusal> {
    request.contact = permits::contact(ready, caller, request.contact).await?;
    let new = new_message(request, caller.key_owner())?;
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

/// Sends the messages of a stream, many concurrently, and answers in order. Each message is passed
/// to the engine before the next is read, so that they are sent in the order of the stream.
async fn send_all(
    state: Arc<ApiState>,
    requests: Streaming<pb::SendMessagesRequest>,
    caller: Caller,
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
    caller: Caller,
) -> Result<BoxFuture<'static, pb::SendMessagesResponse>, Status> {
    let ready = state.ready()?;
    let request = request.map_err(|status| malformed::refusal(status.code()).unwrap_or(status))?;
    let begun = match request.message {
        Some(message) => begin(ready, message, &caller).await,
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

async fn contact_row(ready: &Ready, contact: String) -> Result<ContactRowId, Refusal> {
    let view = ready.engine.read(|reply| Query::Contact(contact, reply));
    Ok(view.await?.row.row)
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
