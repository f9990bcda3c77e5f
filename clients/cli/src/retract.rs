//! `m2 retract`

use clap::Args;
use m2_proto::api::v1::RetractMessageRequest;

use crate::context::{Context, call};
use crate::failure::Failure;

/// The flags of `m2 retract`.
#[derive(Debug, Args)]
pub struct RetractArgs {
    /// The message's id
    id: String,
}

pub(crate) async fn run(args: RetractArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let request = RetractMessageRequest {
        message_id: args.id,
    };
    let answer = call(client.messages().retract_message(request)).await?;
    context.out.show(&answer, |_| "Retracted.".to_owned())
}
