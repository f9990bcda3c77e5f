//! `InvitationService`.

use super::convert;
use super::session::{ApiState, Ready};
use crate::config::IpMode;
use crate::reach::{Reachability, Source};
use m2_core::dial::use_of;
use m2_crypto::address::{NamedAddress, Scope};
use m2_engine::{InvitationRequest, NewInvitation, Query, Refusal};
use m2_proto::api::v1::invitation_service_server::InvitationService;
use m2_proto::api::v1::{
    CreateInvitationRequest, CreateInvitationResponse, ListInvitationsRequest,
    ListInvitationsResponse, RevokeInvitationRequest, RevokeInvitationResponse,
};
use m2_proto::reason::Reason;
use pbjson_types::Duration;
use std::net::SocketAddr;
use std::sync::Arc;
use tonic::{Request, Response, Status};

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;
/// The maximum number of addresses in one invitation.
const MAX_ADDRESSES: usize = 8;

/// The implementation of the service.
pub(super) struct InvitationApi(pub Arc<ApiState>);

#[tonic::async_trait]
impl InvitationService for InvitationApi {
    async fn create_invitation(
        &self,
        request: Request<CreateInvitationRequest>,
    ) -> Result<Response<CreateInvitationResponse>, Status> {
        let ready = self.0.ready()?;
        let request = request.into_inner();
        let new = NewInvitation {
            reusable: request.reusable,
            valid_ms: valid_ms(request.valid_for.as_ref())?,
            contact_name: request.contact_name,
            addresses: reachable(ready),
        };
        let created = ready
            .engine
            .call(|reply| InvitationRequest::Create(new, reply));
        let (invitation, uri) = created.await?;
        Ok(Response::new(CreateInvitationResponse {
            invitation: Some(convert::invitation(invitation)),
            uri: uri.as_str().to_owned(),
        }))
    }

    async fn list_invitations(
        &self,
        _request: Request<ListInvitationsRequest>,
    ) -> Result<Response<ListInvitationsResponse>, Status> {
        let ready = self.0.ready()?;
        let rows = ready.engine.read(Query::Invitations).await?;
        Ok(Response::new(ListInvitationsResponse {
            invitations: rows.into_iter().map(convert::invitation).collect(),
        }))
    }

    async fn revoke_invitation(
        &self,
        request: Request<RevokeInvitationRequest>,
    ) -> Result<Response<RevokeInvitationResponse>, Status> {
        let ready = self.0.ready()?;
        let id = convert::message_id(&request.into_inner().invitation_id)
            .map_err(|_| Reason::InvitationUnknown.status())?;
        ready
            .engine
            .call(|reply| InvitationRequest::Revoke(id, reply))
            .await?;
        Ok(Response::new(RevokeInvitationResponse {}))
    }
}

fn valid_ms(valid_for: Option<&Duration>) -> Result<u64, Refusal> {
    let Some(duration) = valid_for else {
        return Ok(DAY_MS);
    };
    let limit = "1 minute to 365 days";
    convert::duration_ms(duration, MINUTE_MS, 365 * DAY_MS, "valid_for", limit)
}

/// Returns the addresses at which an invitee can reach this daemon: the announced addresses,
/// otherwise the bound ones. A wildcard address stands for the addresses of the host. Private
/// addresses are for invitees in the same network, and are included only in direct mode
/// (docs/adr/0016).
fn reachable(ready: &Ready) -> Vec<NamedAddress> {
    let privacy = &ready.config.privacy;
    // In line-only mode no message contains an address.
    if privacy.ip == IpMode::LineOnly {
        return Vec::new();
    }
    let loopback_only = ready.config.is_loopback_only();
    let shareable = |own| NamedAddress::for_peer(own, use_of(privacy.ip), loopback_only);
    if !privacy.announce.is_empty() {
        return privacy
            .announce
            .iter()
            .copied()
            .filter_map(shareable)
            .collect();
    }
    let bound = ready
        .endpoint
        .local_addrs()
        .into_iter()
        .flat_map(stands_for);
    let mut distinct = Vec::new();
    // Addresses that are reachable from outside go first.
    for named in from_outside(&ready.reach).chain(bound.filter_map(shareable)) {
        if !distinct.contains(&named) {
            distinct.push(named);
        }
    }
    distinct.truncate(MAX_ADDRESSES);
    distinct
}

/// Returns the public addresses at which the gateway and relays reach this daemon.
fn from_outside(reach: &Reachability) -> impl Iterator<Item = NamedAddress> + use<> {
    let known = reach.known().into_iter();
    known
        .filter(|known| matches!(known.source, Source::Mapped | Source::Relay))
        .map(|known| known.address)
        .filter(|named| named.scope() == Some(Scope::Public))
}

/// Returns the addresses of this host at which a bound address is reachable.
fn stands_for(bound: SocketAddr) -> Vec<SocketAddr> {
    if !bound.ip().is_unspecified() {
        return vec![bound];
    }
    let hosts = crate::host::addresses(bound.is_ipv4()).into_iter();
    hosts.map(|ip| SocketAddr::new(ip, bound.port())).collect()
}
