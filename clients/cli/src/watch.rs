//! `m2 watch`

use clap::Args;
use m2_proto::api::v1::{MessageState, WatchMessageRequest, WatchMessageResponse};

use crate::context::{Context, call};
use crate::failure::Failure;
use crate::names::message_state;
use crate::output::{Output, Style};
use crate::sanitize;

/// The flags of `m2 watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// The message's id
    id: String,
}

/// Prints the current state and every later one, until a final one.
pub(crate) async fn run(args: WatchArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let request = WatchMessageRequest {
        message_id: args.id,
    };
    let mut states = call(client.messages().watch_message(request)).await?;
    let mut last = MessageState::Unspecified;
    while let Some(state) = states.message().await? {
        last = state.state();
        context
            .out
            .show(&state, |out| human(out, &state.message_id, state.state))?;
        check(&state)?;
    }
    if !matches!(last, MessageState::Delivered | MessageState::Read) {
        return Err(Failure::NoDaemon(
            "The daemon stopped before the message's state was final. Watch it again when it runs."
                .to_owned(),
        ));
    }
    Ok(())
}

/// Fails if the message was given up or has expired.
pub(crate) fn check(state: &WatchMessageResponse) -> Result<(), Failure> {
    match state.state() {
        MessageState::Failed => Err(given_up(&state.failure)),
        MessageState::Expired => Err(Failure::because(
            "EXPIRED",
            "The message's time to live ended before it was delivered. Send it again.",
        )),
        _ => Ok(()),
    }
}

fn given_up(why: &str) -> Failure {
    let reason = if why.is_empty() { "FAILED" } else { why };
    Failure::because(
        reason,
        format!("The message was given up and is no longer sent: {reason}."),
    )
}

/// Formats a state: `ID  state`.
pub(crate) fn human(out: &Output, message_id: &str, state: i32) -> String {
    let style = match MessageState::try_from(state) {
        Ok(MessageState::Delivered | MessageState::Read) => Style::Good,
        Ok(MessageState::Failed | MessageState::Expired) => Style::Bad,
        _ => Style::Faint,
    };
    let id = sanitize::line(message_id);
    format!("{id}  {}", out.paint(&message_state(state), style))
}
