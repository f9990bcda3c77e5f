//! `m2 react`

use clap::Args;
use m2_proto::api::v1::ReactRequest;

use crate::context::{Context, call};
use crate::failure::Failure;

/// The flags of `m2 react`.
#[derive(Debug, Args)]
pub struct ReactArgs {
    /// The message's id
    id: String,
    /// An emoji or a short text, at most 64 bytes; omit it to remove your reaction
    #[arg(default_value = "", hide_default_value = true)]
    text: String,
}

pub(crate) async fn run(args: ReactArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let done = if args.text.is_empty() {
        "Removed."
    } else {
        "Set."
    };
    let request = ReactRequest {
        message_id: args.id,
        text: args.text,
    };
    let answer = call(client.messages().react(request)).await?;
    context.out.show(&answer, |_| done.to_owned())
}
