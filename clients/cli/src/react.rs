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
    /// An emoji or a short text, at most 64 bytes
    #[arg(required_unless_present = "remove")]
    text: Option<String>,
    /// Remove your reaction
    #[arg(long, conflicts_with = "text")]
    remove: bool,
}

pub(crate) async fn run(args: ReactArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let text = args.text.unwrap_or_default();
    if text.trim().is_empty() && !args.remove {
        return Err(Failure::Usage(
            "The reaction is blank. Use --remove to remove your reaction.".to_owned(),
        ));
    }
    let done = if args.remove { "Removed." } else { "Set." };
    let request = ReactRequest {
        message_id: args.id,
        text,
    };
    let answer = call(client.messages().react(request)).await?;
    context.out.show(&answer, |_| done.to_owned())
}
