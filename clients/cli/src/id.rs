//! `m2 id`

use clap::Args;
use m2_proto::api::v1::GetIdentityRequest;

use crate::context::{Context, call};
use crate::failure::Failure;
use crate::{qr, sanitize};

/// The flags of `m2 id`.
#[derive(Debug, Args)]
pub struct IdArgs {
    /// Show it also as a QR code (not with --json)
    #[arg(long)]
    qr: bool,
}

pub(crate) async fn run(args: IdArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let identity = call(client.identity().get_identity(GetIdentityRequest {})).await?;
    if args.qr && !context.out.is_json() {
        context
            .out
            .text(&qr::render(&context.out, &identity.peer_id)?)?;
    }
    context
        .out
        .show(&identity, |_| sanitize::line(&identity.peer_id))
}
