//! `m2 edit`

use clap::Args;
use m2_proto::api::v1::EditMessageRequest;

use crate::context::{Context, call};
use crate::failure::Failure;
use crate::input;

/// The flags of `m2 edit`.
#[derive(Debug, Args)]
pub struct EditArgs {
    /// The message's id
    id: String,
    /// The new text; read from stdin if it is `-` or omitted
    #[arg(allow_negative_numbers = true)]
    text: Option<String>,
}

pub(crate) async fn run(args: EditArgs, context: &Context) -> Result<(), Failure> {
    let text = input::text(args.text)?;
    let client = context.client().await?;
    let request = EditMessageRequest {
        message_id: args.id,
        text,
    };
    let answer = call(client.messages().edit_message(request)).await?;
    context.out.show(&answer, |_| "Edited.".to_owned())
}
