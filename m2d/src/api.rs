//! The gRPC services, one file each. They convert requests into calls of the engine and its results
//! into responses; they make no decisions.

mod access;
mod backup;
mod conditions;
mod contact;
mod convert;
mod daemon;
mod diagnostics;
mod event;
mod health;
mod identity;
mod invitation;
mod line;
mod mailbox;
mod malformed;
mod message;
mod network;
mod notices;
mod pages;
mod permits;
mod readers;
mod relay;
mod reloaded;
mod reports;
mod session;

pub use diagnostics::Diagnostics;
pub use malformed::explain;
pub use network::FailClosedTest;
pub use pages::{Pages, hold_pages};
pub use readers::Readers;
pub use reloaded::Reloaded;
pub use session::{ApiState, Ready, Unlocker};

use m2_proto::api::v1 as pb;
use m2_proto::limits::MAX_REQUEST_BYTES;
use std::sync::Arc;
use tonic::service::Routes;

/// Returns the routes of all services of `m2.api.v1`, of health checks, and of both versions of
/// reflection.
pub fn routes(state: &Arc<ApiState>) -> anyhow::Result<Routes> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(m2_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    use pb::{
        access_service_server::AccessServiceServer, backup_service_server::BackupServiceServer,
        contact_service_server::ContactServiceServer, daemon_service_server::DaemonServiceServer,
        event_service_server::EventServiceServer, identity_service_server::IdentityServiceServer,
        invitation_service_server::InvitationServiceServer, line_service_server::LineServiceServer,
        mailbox_service_server::MailboxServiceServer, message_service_server::MessageServiceServer,
        network_service_server::NetworkServiceServer, relay_service_server::RelayServiceServer,
    };
    let mut routes = Routes::new(state.health().server())
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    macro_rules! add {
        ($($server:ident $service:path;)*) => {
            $(routes = routes.add_service(
                $server::new($service(state.clone()))
                    .max_decoding_message_size(MAX_REQUEST_BYTES),
            );)*
        };
    }
    add! {
        DaemonServiceServer daemon::DaemonApi;
        IdentityServiceServer identity::IdentityApi;
        InvitationServiceServer invitation::InvitationApi;
        ContactServiceServer contact::ContactApi;
        MailboxServiceServer mailbox::MailboxApi;
        LineServiceServer line::LineApi;
        RelayServiceServer relay::RelayApi;
        NetworkServiceServer network::NetworkApi;
        MessageServiceServer message::MessageApi;
        EventServiceServer event::EventApi;
        BackupServiceServer backup::BackupApi;
        AccessServiceServer access::AccessApi;
    }
    Ok(routes)
}
