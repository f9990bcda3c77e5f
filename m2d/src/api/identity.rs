//! `IdentityService`.

use super::session::ApiState;
use m2_proto::api::v1::identity_service_server::IdentityService;
use m2_proto::api::v1::{GetIdentityRequest, GetIdentityResponse};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// The implementation of the service.
pub(super) struct IdentityApi(pub Arc<ApiState>);

#[tonic::async_trait]
impl IdentityService for IdentityApi {
    async fn get_identity(
        &self,
        _request: Request<GetIdentityRequest>,
    ) -> Result<Response<GetIdentityResponse>, Status> {
        let ready = self.0.ready()?;
        Ok(Response::new(GetIdentityResponse {
            peer_id: ready.peer_id.to_string(),
            certificate: ready.certificate.spki_der().to_vec(),
        }))
    }
}
