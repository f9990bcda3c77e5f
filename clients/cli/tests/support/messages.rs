//! Messages: those to bob are delivered, those to `stuck` stay queued, those to `gone` are given
//! up. In a stream of messages, the text `refuse` is refused, and `end` ends the stream.

use std::pin::Pin;
use std::sync::Arc;

use m2_proto::api::v1 as api;
use m2_proto::api::v1::MessageState;
use m2_proto::api::v1::message_service_server::MessageService;
use m2_proto::api::v1::send_message_request::Content;
use m2_proto::reason::Reason;
use m2_proto::wkt::Timestamp;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use super::contacts::known;
use super::{BOB_ID, Services};

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl MessageService for Services {
    type SendMessagesStream = Answers<api::SendMessagesResponse>;
    type WatchMessageStream = Answers<api::WatchMessageResponse>;

    async fn send_message(
        &self,
        request: Request<api::SendMessageRequest>,
    ) -> Answer<api::SendMessageResponse> {
        let request = request.into_inner();
        known(&request.contact)?;
        let message_id = request.contact.clone();
        self.0.lock().unwrap().sent = Some(request);
        Ok(Response::new(api::SendMessageResponse {
            message_id,
            state: MessageState::Queued.into(),
        }))
    }

    async fn send_messages(
        &self,
        request: Request<Streaming<api::SendMessagesRequest>>,
    ) -> Answer<Self::SendMessagesStream> {
        let state = Arc::clone(&self.0);
        let answers = request.into_inner().map(move |request| {
            let message = request?.message.unwrap_or_default();
            if message.content == Some(Content::Text("end".to_owned())) {
                return Err(Reason::Stopping.into());
            }
            let answer = streamed(&message);
            state.lock().unwrap().streamed.push(message);
            Ok(answer)
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn get_message(
        &self,
        request: Request<api::GetMessageRequest>,
    ) -> Answer<api::GetMessageResponse> {
        let id = request.into_inner().message_id;
        let mut message = message(&id, "what?");
        match id.as_str() {
            "none" => return Err(Reason::MessageUnknown.into()),
            "mine" => message.direction = api::Direction::Sent.into(),
            _ => message.thread = "thread".to_owned(),
        }
        Ok(Response::new(api::GetMessageResponse {
            message: Some(message),
        }))
    }

    async fn watch_message(
        &self,
        request: Request<api::WatchMessageRequest>,
    ) -> Answer<Self::WatchMessageStream> {
        use MessageState::{Delivered, Failed, Queued, Read, Sent};
        let id = request.into_inner().message_id;
        let (states, ends) = match id.as_str() {
            "bob" => (vec![Queued, Sent, Delivered], false),
            "reader" => (vec![Delivered, Read], true),
            "stuck" => (vec![Queued], false),
            "gone" => (vec![Queued, Failed], true),
            _ => return Err(Reason::MessageUnknown.into()),
        };
        let answers = states.into_iter().map(move |state| {
            let failure = if state == Failed {
                "CONTACT_REMOVED"
            } else {
                ""
            };
            Ok(api::WatchMessageResponse {
                message_id: id.clone(),
                state: state.into(),
                failure: failure.to_owned(),
            })
        });
        let answers = tokio_stream::iter(answers.collect::<Vec<_>>());
        if ends {
            return Ok(Response::new(Box::pin(answers)));
        }
        Ok(Response::new(Box::pin(
            answers.chain(tokio_stream::pending()),
        )))
    }

    async fn list_messages(
        &self,
        request: Request<api::ListMessagesRequest>,
    ) -> Answer<api::ListMessagesResponse> {
        let request = request.into_inner();
        known(&request.contact)?;
        self.0.lock().unwrap().listed = Some(request);
        Ok(Response::new(api::ListMessagesResponse {
            messages: vec![
                message("2", "second\n12:00  bob  fake"),
                message("1", "first\u{9b}31m"),
            ],
            ..Default::default()
        }))
    }

    async fn search_messages(
        &self,
        request: Request<api::SearchMessagesRequest>,
    ) -> Answer<api::SearchMessagesResponse> {
        Ok(Response::new(api::SearchMessagesResponse {
            messages: vec![message("1", &request.into_inner().text)],
            ..Default::default()
        }))
    }

    async fn edit_message(
        &self,
        request: Request<api::EditMessageRequest>,
    ) -> Answer<api::EditMessageResponse> {
        match request.into_inner().message_id.as_str() {
            "theirs" => Err(Reason::NotAuthor.into()),
            _ => Ok(Response::new(api::EditMessageResponse {})),
        }
    }

    async fn retract_message(
        &self,
        request: Request<api::RetractMessageRequest>,
    ) -> Answer<api::RetractMessageResponse> {
        match request.into_inner().message_id.as_str() {
            "theirs" => Err(Reason::NotAuthor.into()),
            _ => Ok(Response::new(api::RetractMessageResponse {})),
        }
    }

    async fn react(&self, request: Request<api::ReactRequest>) -> Answer<api::ReactResponse> {
        match request.into_inner().message_id.as_str() {
            "none" => Err(Reason::MessageUnknown.into()),
            _ => Ok(Response::new(api::ReactResponse {})),
        }
    }

    async fn set_typing(
        &self,
        request: Request<api::SetTypingRequest>,
    ) -> Answer<api::SetTypingResponse> {
        let api::SetTypingRequest { contact, active } = request.into_inner();
        let sent = contact == "bob" && active;
        Ok(Response::new(api::SetTypingResponse { sent }))
    }

    async fn mark_read(&self, _: Request<api::MarkReadRequest>) -> Answer<api::MarkReadResponse> {
        Ok(Response::new(api::MarkReadResponse {}))
    }
}

/// Answers a message of a stream. Its id is its idempotency key.
fn streamed(message: &api::SendMessageRequest) -> api::SendMessagesResponse {
    use api::send_messages_response::Result as Outcome;
    let outcome = if message.content == Some(Content::Text("refuse".to_owned())) {
        Outcome::Error(api::SendError {
            reason: Reason::OutboxFull.as_str().to_owned(),
            message: Reason::OutboxFull.sentence().to_owned(),
        })
    } else {
        Outcome::Sent(api::SendMessageResponse {
            message_id: message.idempotency_key.clone(),
            state: MessageState::Queued.into(),
        })
    };
    api::SendMessagesResponse {
        result: Some(outcome),
    }
}

fn message(id: &str, text: &str) -> api::Message {
    api::Message {
        message_id: id.to_owned(),
        peer_id: BOB_ID.to_owned(),
        direction: api::Direction::Received.into(),
        state: MessageState::Delivered.into(),
        sent: Some(Timestamp::from_unix_millis(1_700_000_000_000)),
        text: text.to_owned(),
        cursor: format!("c{id}"),
        ..Default::default()
    }
}
