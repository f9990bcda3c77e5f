//! `m2 read`

use clap::Args;
use m2_proto::api::v1::{MarkReadRequest, MarkReadResponse};

use crate::context::{Context, call};
use crate::failure::Failure;

/// The maximum number of ids in one call.
const BATCH: usize = 256;

/// The flags of `m2 read`.
#[derive(Debug, Args)]
pub struct ReadArgs {
    /// The messages' ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

pub(crate) async fn run(args: ReadArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    for batch in args.ids.chunks(BATCH) {
        let request = MarkReadRequest {
            message_ids: batch.to_vec(),
        };
        call(client.messages().mark_read(request)).await?;
    }
    context
        .out
        .show(&MarkReadResponse {}, |_| "Marked as read.".to_owned())
}
