//! `m2 typing`

use clap::Args;
use m2_proto::api::v1::SetTypingRequest;

use crate::context::{Context, call};
use crate::failure::Failure;

/// The flags of `m2 typing`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct TypingArgs {
    /// The contact's name, its peer id, or the first characters of that
    contact: String,
    /// Tell the contact that you stopped
    #[arg(long)]
    stopped: bool,
}

const AFTER_HELP: &str = "\
A front-end repeats it every 3 seconds while its user types. The contact sees it for 6 seconds, and only if
it is connected at that moment: nothing is stored. `m2 listen --notices` prints what contacts do.";

pub(crate) async fn run(args: TypingArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let request = SetTypingRequest {
        contact: args.contact,
        active: !args.stopped,
    };
    let answer = call(client.messages().set_typing(request)).await?;
    context.out.show(&answer, |_| {
        match answer.sent {
            true => "Sent.",
            false => "Not sent: the contact is not connected or does not answer, or notices followed each other too fast.",
        }
        .to_owned()
    })
}
