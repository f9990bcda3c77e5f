//! `NetworkService`.

mod status;

use super::convert;
use super::session::{ApiState, Ready};
use crate::dialling::{ProbeFailure, Probed, WaySource};
use crate::doctor::{self, FailClosed, Lookup, Settings};
use m2_engine::Query;

use crate::reach::{NatStatus, Reachability};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use m2_proto::api::v1 as pb;
use m2_proto::api::v1::network_service_server::NetworkService;
use std::sync::Arc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

/// Tests whether a datagram to a host that is not one of the daemon's relays can leave.
pub type FailClosedTest = Arc<dyn Fn() -> BoxFuture<'static, FailClosed> + Send + Sync>;

/// The implementation of the service.
pub(super) struct NetworkApi(pub Arc<ApiState>);

#[tonic::async_trait]
impl NetworkService for NetworkApi {
    async fn doctor(
        &self,
        _request: Request<pb::DoctorRequest>,
    ) -> Result<Response<pb::DoctorResponse>, Status> {
        let settings = settings(self.0.ready()?).await?;
        let report = doctor::examine(&settings);
        let sections = report
            .sections
            .into_iter()
            .map(|section| pb::DoctorSection {
                title: section.title.to_owned(),
                sentences: section.sentences,
            });
        Ok(Response::new(pb::DoctorResponse {
            ip: convert::ip_mode(Some(settings.ip)).into(),
            fail_closed: fail_closed(settings.fail_closed).into(),
            sections: sections.collect(),
            advice: report.advice,
        }))
    }

    async fn get_network_status(
        &self,
        _request: Request<pb::GetNetworkStatusRequest>,
    ) -> Result<Response<pb::GetNetworkStatusResponse>, Status> {
        let status = status::status(self.0.ready()?).await?;
        Ok(Response::new(status))
    }

    type ProbeContactStream = BoxStream<'static, Result<pb::ProbeContactResponse, Status>>;

    async fn probe_contact(
        &self,
        request: Request<pb::ProbeContactRequest>,
    ) -> Result<Response<Self::ProbeContactStream>, Status> {
        let prober = &self.0.ready()?.prober;
        let tried = prober.probe(request.into_inner().contact).await?;
        let answers = ReceiverStream::new(tried).map(|tried| Ok(show(tried)));
        Ok(Response::new(answers.boxed()))
    }
}

fn show(tried: Probed) -> pb::ProbeContactResponse {
    let source = match tried.source {
        WaySource::Known => pb::WaySource::Known,
        WaySource::Lan => pb::WaySource::Lan,
        WaySource::Line => pb::WaySource::Line,
        WaySource::Dht => pb::WaySource::Dht,
    };
    let reason = tried.result.err().map(ProbeFailure::reason);
    pb::ProbeContactResponse {
        source: source.into(),
        target: tried.target,
        reached: tried.result.is_ok(),
        reason: reason.unwrap_or_default().to_owned(),
        took: Some(status::duration(tried.took)),
    }
}

async fn settings(ready: &Ready) -> Result<Settings, Status> {
    let facts = ready.engine.read(Query::PrivacyFacts).await?;
    let config = &ready.config;
    Ok(Settings {
        ip: config.privacy.ip,
        entries: facts.entries,
        relays: facts.relays,
        open: config.line.open,
        padding: config.privacy.pads(),
        cover: config.privacy.cover,
        boxes: facts.boxes,
        writes_letters: facts.writes_letters,
        prefer_line: facts.prefer_line,
        line_only: facts.line_only,
        lookup: lookup(ready),
        reachable: !config.privacy.announce.is_empty() || leads_here(&ready.reach),
        fail_closed: (ready.fail_closed)().await,
    })
}

fn lookup(ready: &Ready) -> Lookup {
    Lookup {
        lan: ready.lookup.lan.is_some(),
        dht: ready.lookup.dht.is_some(),
        gateway: ready.lookup.ports.is_some(),
    }
}

/// Returns whether the daemon is known to be reachable from outside. A daemon that is bound to
/// loopback does not need to be.
fn leads_here(reach: &Reachability) -> bool {
    reach.is_bound_to_loopback() || matches!(reach.standing(), NatStatus::Open | NatStatus::Mapped)
}

const fn fail_closed(found: FailClosed) -> pb::FailClosed {
    match found {
        FailClosed::NotInForce => pb::FailClosed::NotInForce,
        FailClosed::Holds => pb::FailClosed::Holds,
        FailClosed::Broken => pb::FailClosed::Broken,
    }
}
