//! Access control: only the user that the daemon runs as, and root, may use the API.

use crate::listen::may_call;
use m2_proto::reason::Reason;
use tonic::transport::server::UdsConnectInfo;
use tonic::{Request, Status};

/// Refuses requests of other users.
///
/// Errors: NOT_ALLOWED, with the user id that is allowed.
#[allow(clippy::result_large_err)]
pub fn only_owner(request: Request<()>) -> Result<Request<()>, Status> {
    let info = request.extensions().get::<UdsConnectInfo>();
    let caller = info.and_then(|info| info.peer_cred.as_ref());
    let own_uid = rustix::process::geteuid().as_raw();
    if caller.is_some_and(|caller| may_call(caller.uid(), own_uid)) {
        return Ok(request);
    }
    Err(Reason::NotAllowed.status_with(format!(
        "Not allowed: this daemon belongs to the user with the id {own_uid}, and only that user and \
         root may use it. Run the command as that user."
    )))
}
