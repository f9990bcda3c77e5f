//! Own relays, the relay service, and the network status.

use futures::stream::{self, BoxStream, StreamExt};
use m2_proto::api::v1 as api;
use m2_proto::api::v1::line_service_server::LineService;
use m2_proto::api::v1::network_service_server::NetworkService;
use m2_proto::api::v1::relay_service_server::RelayService;
use m2_proto::reason::Reason;
use tonic::{Request, Response, Status};

use super::{RELAY_ID, Services};

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl LineService for Services {
    async fn add_line(
        &self,
        request: Request<api::AddLineRequest>,
    ) -> Answer<api::AddLineResponse> {
        let request = request.into_inner();
        if !request.invitation.starts_with("m2://") {
            return Err(Reason::InvitationInvalid.into());
        }
        Ok(Response::new(api::AddLineResponse {
            line: Some(line(request.entry)),
        }))
    }

    async fn list_lines(
        &self,
        _: Request<api::ListLinesRequest>,
    ) -> Answer<api::ListLinesResponse> {
        Ok(Response::new(api::ListLinesResponse {
            lines: vec![line(false), line(true)],
        }))
    }

    async fn remove_line(
        &self,
        request: Request<api::RemoveLineRequest>,
    ) -> Answer<api::RemoveLineResponse> {
        if !RELAY_ID.starts_with(&request.into_inner().relay) {
            return Err(Reason::LineUnknown.into());
        }
        Ok(Response::new(api::RemoveLineResponse {}))
    }
}

#[tonic::async_trait]
impl RelayService for Services {
    async fn get_relay_status(
        &self,
        _: Request<api::GetRelayStatusRequest>,
    ) -> Answer<api::GetRelayStatusResponse> {
        Ok(Response::new(api::GetRelayStatusResponse {
            serving: self.0.lock().unwrap().serving,
            sessions: 2,
            max_sessions: 4_096,
            bytes: 70_000,
            refused: [("EXTEND".to_owned(), 3)].into(),
            ..Default::default()
        }))
    }
}

#[tonic::async_trait]
impl NetworkService for Services {
    async fn doctor(&self, _: Request<api::DoctorRequest>) -> Answer<api::DoctorResponse> {
        let section = |title: &str, sentence: &str| api::DoctorSection {
            title: title.to_owned(),
            sentences: vec![sentence.to_owned()],
        };
        Ok(Response::new(api::DoctorResponse {
            ip: api::IpMode::LineOnly.into(),
            fail_closed: api::FailClosed::Broken.into(),
            sections: vec![
                section("Your contacts see", "Your relays."),
                section("Fail-closed test", "BROKEN\u{1b}[2J."),
            ],
            advice: vec!["Stop the daemon.".to_owned()],
        }))
    }

    async fn get_network_status(
        &self,
        _: Request<api::GetNetworkStatusRequest>,
    ) -> Answer<api::GetNetworkStatusResponse> {
        Ok(Response::new(api::GetNetworkStatusResponse {
            ip: api::IpMode::Direct.into(),
            reachability: api::Reachability::Nat.into(),
            addresses: vec![api::KnownAddress {
                address: "192.0.2.1:9999".to_owned(),
                source: api::AddressSource::Relay.into(),
            }],
            lookup: vec![api::LookupState {
                source: api::WaySource::Dht.into(),
                enabled: true,
                works: true,
                about: "20 nodes\u{1b}[2J.".to_owned(),
            }],
            contacts: vec![api::ContactPath {
                peer_id: RELAY_ID.to_owned(),
                name: "bob".to_owned(),
                path: api::Path::Line.into(),
                round_trip: Some(milliseconds(12)),
                lines: 2,
                ..Default::default()
            }],
        }))
    }

    type ProbeContactStream = BoxStream<'static, Result<api::ProbeContactResponse, Status>>;

    async fn probe_contact(
        &self,
        request: Request<api::ProbeContactRequest>,
    ) -> Answer<Self::ProbeContactStream> {
        let reached = request.into_inner().contact != "nobody";
        let tried = |source: api::WaySource, reached: bool| api::ProbeContactResponse {
            source: source.into(),
            target: "192.0.2.1:9999".to_owned(),
            reached,
            reason: if reached { "" } else { "NO_ANSWER" }.to_owned(),
            took: Some(milliseconds(1_250)),
        };
        let all = [
            tried(api::WaySource::Known, false),
            tried(api::WaySource::Line, reached),
        ];
        Ok(Response::new(stream::iter(all.map(Ok)).boxed()))
    }
}

fn milliseconds(ms: i32) -> pbjson_types::Duration {
    pbjson_types::Duration {
        seconds: i64::from(ms / 1_000),
        nanos: ms % 1_000 * 1_000_000,
    }
}

fn line(entry: bool) -> api::Line {
    api::Line {
        relay_id: RELAY_ID.to_owned(),
        entry,
        online: !entry,
        open: 7,
        ..Default::default()
    }
}
