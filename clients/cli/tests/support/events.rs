//! The event log: the events of the test that are not acknowledged yet, followed by silence.

use std::pin::Pin;

use m2_proto::api::v1 as api;
use m2_proto::api::v1::event_service_server::EventService;
use m2_proto::reason::Reason;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

use super::Services;

#[tonic::async_trait]
impl EventService for Services {
    type SubscribeStream =
        Pin<Box<dyn Stream<Item = Result<api::SubscribeResponse, Status>> + Send>>;

    async fn subscribe(
        &self,
        request: Request<api::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let request = request.into_inner();
        match (request.client.as_str(), request.after.as_str()) {
            ("taken", _) => return Err(Reason::ClientInUse.into()),
            (_, "old") => return Err(Reason::CursorInvalid.into()),
            _ => {}
        }
        let mut state = self.0.lock().unwrap();
        state.subscribed = Some(request);
        let seen = state.acknowledged.last().cloned();
        let from = state
            .events
            .iter()
            .position(|event| Some(&event.cursor) == seen.as_ref())
            .map_or(0, |at| at + 1);
        let left: Vec<_> = state.events[from..]
            .iter()
            .cloned()
            .map(|event| {
                Ok(api::SubscribeResponse {
                    event: Some(event),
                    ..Default::default()
                })
            })
            .collect();
        let events = tokio_stream::iter(left).chain(tokio_stream::pending());
        Ok(Response::new(Box::pin(events)))
    }

    async fn acknowledge_events(
        &self,
        request: Request<api::AcknowledgeEventsRequest>,
    ) -> Result<Response<api::AcknowledgeEventsResponse>, Status> {
        let cursor = request.into_inner().cursor;
        self.0.lock().unwrap().acknowledged.push(cursor);
        Ok(Response::new(api::AcknowledgeEventsResponse {}))
    }

    async fn list_clients(
        &self,
        _: Request<api::ListClientsRequest>,
    ) -> Result<Response<api::ListClientsResponse>, Status> {
        let client = api::EventClient {
            name: "bot".to_owned(),
            cursor: "7".to_owned(),
            lag: 12,
            last_seen: Some(m2_proto::wkt::Timestamp::from_unix_millis(
                1_700_000_000_000,
            )),
            connected: true,
            acknowledged: true,
            ..Default::default()
        };
        Ok(Response::new(api::ListClientsResponse {
            clients: vec![client],
        }))
    }

    async fn remove_client(
        &self,
        request: Request<api::RemoveClientRequest>,
    ) -> Result<Response<api::RemoveClientResponse>, Status> {
        match request.into_inner().client.as_str() {
            "taken" => Err(Reason::ClientInUse.into()),
            "bot" => Ok(Response::new(api::RemoveClientResponse {})),
            _ => Err(Reason::ClientUnknown.into()),
        }
    }

    async fn nack_event(
        &self,
        _: Request<api::NackEventRequest>,
    ) -> Result<Response<api::NackEventResponse>, Status> {
        Err(Status::unimplemented("not in the fake"))
    }

    async fn list_dead_letters(
        &self,
        _: Request<api::ListDeadLettersRequest>,
    ) -> Result<Response<api::ListDeadLettersResponse>, Status> {
        Err(Status::unimplemented("not in the fake"))
    }

    async fn settle_dead_letters(
        &self,
        _: Request<api::SettleDeadLettersRequest>,
    ) -> Result<Response<api::SettleDeadLettersResponse>, Status> {
        Err(Status::unimplemented("not in the fake"))
    }
}
