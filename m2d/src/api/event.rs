//! `EventService`.

mod heartbeat;
mod letters;
mod stream;
mod subscription;
mod worker;

use super::convert;
use super::notices::Notices;
use super::permits;
use super::session::{ApiState, system_ms};
use crate::access::Caller;
use heartbeat::Heartbeat;
use letters::Nack;
use m2_engine::{Refusal, SharedRequest, SharedTerms, StreamRequest};
use m2_proto::api::v1 as pb;
use m2_proto::api::v1::event_service_server::EventService;
use m2_proto::limits::CURSOR_HEADER;
use m2_proto::reason::Reason;
use m2_store::ClientRow;
use std::sync::Arc;
use stream::{Answers, Stream};
use subscription::Subscription;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::AsciiMetadataValue;
use tonic::{Request, Response, Status};
use worker::WorkerStream;

/// The number of events queued for a slow front-end. Further events stay in the store.
const QUEUE: usize = 64;

/// The implementation of the service.
pub(super) struct EventApi(pub Arc<ApiState>);

#[tonic::async_trait]
impl EventService for EventApi {
    type SubscribeStream = ReceiverStream<Result<pb::SubscribeResponse, Status>>;

    async fn subscribe(
        &self,
        request: Request<pb::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let ready = self.0.ready()?;
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        if !request.client.is_empty() {
            convert::check_name("client", &request.client)?;
        }
        permits::client_name(ready, &caller, &request.client).await?;
        let subscription = Subscription::parse(request, ready, &caller).await?;
        let (answers, stream) = mpsc::channel(QUEUE);
        let after = match subscription.shared {
            Some(terms) => self.join(subscription, terms, answers).await?,
            None => self.open(subscription, answers).await?,
        };
        let cursor = convert::cursor(ready.incarnation, after);
        let mut response = Response::new(ReceiverStream::new(stream));
        if let Ok(cursor) = AsciiMetadataValue::try_from(cursor) {
            response.metadata_mut().insert(CURSOR_HEADER, cursor);
        }
        Ok(response)
    }

    async fn acknowledge_events(
        &self,
        request: Request<pb::AcknowledgeEventsRequest>,
    ) -> Result<Response<pb::AcknowledgeEventsResponse>, Status> {
        let ready = self.0.ready()?;
        let token = Caller::of(&request)?.token().to_owned();
        let pb::AcknowledgeEventsRequest { client, cursor } = request.into_inner();
        convert::check_name("client", &client)?;
        let (incarnation, seq) = convert::parse_cursor(&cursor)?;
        ready
            .engine
            .call(|reply| StreamRequest::Acknowledge {
                client,
                token,
                incarnation,
                seq,
                reply,
            })
            .await?;
        Ok(Response::new(pb::AcknowledgeEventsResponse {}))
    }

    async fn list_clients(
        &self,
        _request: Request<pb::ListClientsRequest>,
    ) -> Result<Response<pb::ListClientsResponse>, Status> {
        let ready = self.0.ready()?;
        let rows = ready.readers.read(|reader| reader.clients()).await?;
        let clients = rows.into_iter();
        let clients = clients.map(|row| self.client(row, ready.incarnation));
        Ok(Response::new(pb::ListClientsResponse {
            clients: clients.collect(),
        }))
    }

    async fn remove_client(
        &self,
        request: Request<pb::RemoveClientRequest>,
    ) -> Result<Response<pb::RemoveClientResponse>, Status> {
        let ready = self.0.ready()?;
        let client = request.into_inner().client;
        convert::check_name("client", &client)?;
        // The lease keeps streams from starting under this name during the removal.
        let _lease = self.0.lease(&client)?;
        ready
            .engine
            .call(|reply| StreamRequest::Remove(client.clone(), reply))
            .await?;
        self.0.reports.remove(&client);
        Ok(Response::new(pb::RemoveClientResponse {}))
    }

    async fn nack_event(
        &self,
        request: Request<pb::NackEventRequest>,
    ) -> Result<Response<pb::NackEventResponse>, Status> {
        let ready = self.0.ready()?;
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        convert::check_name("client", &request.client)?;
        permits::client_name(ready, &caller, &request.client).await?;
        let nack = Nack::parse(&request)?;
        ready
            .engine
            .call(|reply| SharedRequest::Refuse {
                client: request.client,
                incarnation: nack.incarnation,
                seq: nack.seq,
                delivery: request.delivery,
                delay_ms: nack.delay_ms,
                why: nack.why,
                reply,
            })
            .await?;
        Ok(Response::new(pb::NackEventResponse {}))
    }

    async fn list_dead_letters(
        &self,
        request: Request<pb::ListDeadLettersRequest>,
    ) -> Result<Response<pb::ListDeadLettersResponse>, Status> {
        let ready = self.0.ready()?;
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        convert::check_name("client", &request.client)?;
        permits::client_name(ready, &caller, &request.client).await?;
        let size = letters::page_size(request.limit)?;
        let after = letters::page_start(&request.after, ready.incarnation)?;
        let client = request.client;
        let page = ready.readers.pages.begin().await?;
        let rows = ready
            .readers
            .read(move |reader| match reader.has_client(&client)? {
                true => reader.dead_letters(&client, after, size).map(Some),
                false => Ok(None),
            })
            .await?;
        let rows = rows.ok_or_else(|| Refusal::new(Reason::ClientUnknown))?;
        let letters = rows.into_iter();
        let letters = letters.map(|row| letters::letter(row, ready.incarnation));
        let letters: Vec<pb::DeadLetter> = letters.collect();
        // The last page is empty, so that its size does not matter.
        let next = letters.last().map(|last| last.cursor.clone());
        Ok(page.answer(pb::ListDeadLettersResponse {
            letters,
            next: next.unwrap_or_default(),
        }))
    }

    async fn settle_dead_letters(
        &self,
        request: Request<pb::SettleDeadLettersRequest>,
    ) -> Result<Response<pb::SettleDeadLettersResponse>, Status> {
        let ready = self.0.ready()?;
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        convert::check_name("client", &request.client)?;
        permits::client_name(ready, &caller, &request.client).await?;
        let (letters, action) = letters::settled(&request)?;
        let count = ready
            .engine
            .call(|reply| SharedRequest::Settle {
                client: request.client,
                letters,
                action,
                reply,
            })
            .await?;
        Ok(Response::new(pb::SettleDeadLettersResponse { count }))
    }

    async fn report_client(
        &self,
        request: Request<pb::ReportClientRequest>,
    ) -> Result<Response<pb::ReportClientResponse>, Status> {
        let ready = self.0.ready()?;
        let caller = Caller::of(&request)?;
        let pb::ReportClientRequest { client, failure } = request.into_inner();
        convert::check_name("client", &client)?;
        permits::client_name(ready, &caller, &client).await?;
        let name = client.clone();
        if !ready
            .readers
            .read(move |reader| reader.has_client(&name))
            .await?
        {
            return Err(Refusal::new(Reason::ClientUnknown).into());
        }
        self.0.reports.set(&client, failure, system_ms())?;
        Ok(Response::new(pb::ReportClientResponse {}))
    }
}

impl EventApi {
    fn client(&self, row: ClientRow, incarnation: u64) -> pb::EventClient {
        let streams = self.0.streams_of(&row.name);
        let report = self.0.reports.of(&row.name);
        pb::EventClient {
            cursor: convert::cursor(incarnation, row.cursor),
            lag: row.lag,
            last_seen: Some(convert::timestamp(row.seen_ms)),
            connected: streams > 0,
            acknowledged: row.acknowledged,
            workers: if row.shared { streams } else { 0 },
            shared: row.shared,
            leased: row.leased,
            dead_letters: row.dead,
            failing_since: report.as_ref().map(|it| convert::timestamp(it.since_ms)),
            failure: report.map(|it| it.failure).unwrap_or_default(),
            name: row.name,
        }
    }

    /// Starts a stream of one front-end. Returns the number of the event after which it starts.
    async fn open(&self, subscription: Subscription, answers: Answers) -> Result<i64, Status> {
        let ready = self.0.ready()?;
        let lease = match subscription.client.as_str() {
            "" => None,
            client => Some(self.0.lease(client)?),
        };
        let wanted = subscription.notices;
        let notices = Notices::new(wanted.any().then(|| ready.bus.notices()), wanted);
        let (client, start) = (subscription.client.clone(), subscription.start);
        let token = subscription.token.clone();
        let after = ready
            .engine
            .call(|reply| StreamRequest::Open {
                client,
                token,
                start,
                reply,
            })
            .await?;
        let events = Stream::new(subscription, after, notices, answers);
        tokio::spawn(events.follow(self.0.clone(), lease));
        Ok(after)
    }

    /// Starts the stream of a worker. Returns the number of the event up to which all are done or open.
    async fn join(
        &self,
        subscription: Subscription,
        terms: SharedTerms,
        answers: Answers,
    ) -> Result<i64, Status> {
        let ready = self.0.ready()?;
        let lease = self.0.lease_shared(&subscription.client)?;
        let id = worker::new_id();
        let heartbeat = Heartbeat::new(subscription.heartbeat);
        let joined = ready
            .engine
            .call(|reply| SharedRequest::Join {
                id,
                client: subscription.client,
                token: subscription.token,
                start: subscription.start,
                filter: subscription.filter,
                terms,
                reply,
            })
            .await;
        match joined {
            Ok(after) => {
                let events = WorkerStream::new(id, heartbeat, answers);
                tokio::spawn(events.follow(self.0.clone(), lease));
                Ok(after)
            }
            Err(refusal) => {
                // The engine may know the worker although the batch failed.
                let _ = worker::leave(ready, id, Vec::new()).await;
                Err(refusal.into())
            }
        }
    }
}
