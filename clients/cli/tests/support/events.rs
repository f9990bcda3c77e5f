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
        let delivery = request.shared.then(|| api::Delivery {
            number: 1,
            ..Default::default()
        });
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
                    delivery,
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

    async fn report_client(
        &self,
        _: Request<api::ReportClientRequest>,
    ) -> Result<Response<api::ReportClientResponse>, Status> {
        Err(Status::unimplemented("not in the fake"))
    }

    async fn nack_event(
        &self,
        request: Request<api::NackEventRequest>,
    ) -> Result<Response<api::NackEventResponse>, Status> {
        self.0.lock().unwrap().refused.push(request.into_inner());
        Ok(Response::new(api::NackEventResponse {}))
    }

    async fn list_dead_letters(
        &self,
        request: Request<api::ListDeadLettersRequest>,
    ) -> Result<Response<api::ListDeadLettersResponse>, Status> {
        let state = self.0.lock().unwrap();
        // Pages of one letter.
        let after = request.into_inner().after;
        let at = state.events.iter().position(|event| event.cursor == after);
        let mut rest = state.events.iter().skip(at.map_or(0, |at| at + 1));
        let next = rest.next().cloned();
        let more = next.is_some() && rest.next().is_some();
        let cursor = next.as_ref().map(|event| event.cursor.clone());
        let page = next.map(|event| api::DeadLetter {
            cursor: event.cursor.clone(),
            event: Some(event),
            deliveries: 5,
            reason: "exit status: 1\u{1b}[2J".to_owned(),
            ..Default::default()
        });
        Ok(Response::new(api::ListDeadLettersResponse {
            letters: page.into_iter().collect(),
            next: cursor.filter(|_| more).unwrap_or_default(),
        }))
    }

    async fn settle_dead_letters(
        &self,
        request: Request<api::SettleDeadLettersRequest>,
    ) -> Result<Response<api::SettleDeadLettersResponse>, Status> {
        self.0.lock().unwrap().settled = Some(request.into_inner());
        Ok(Response::new(api::SettleDeadLettersResponse { count: 2 }))
    }
}
