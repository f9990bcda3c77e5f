//! `m2 relay`

use clap::{Args, Subcommand};
use m2_proto::api::v1::{GetRelayStatusRequest, GetRelayStatusResponse};

use crate::context::{Context, call};
use crate::failure::Failure;
use crate::output::Output;
use crate::{sanitize, table};

/// The flags of `m2 relay`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct RelayArgs {
    #[command(subcommand)]
    command: RelayCommand,
}

#[derive(Debug, Subcommand)]
enum RelayCommand {
    /// Show totals of the relay service; they name no peer
    Status,
}

pub(crate) async fn run(args: RelayArgs, context: &Context) -> Result<(), Failure> {
    match args.command {
        RelayCommand::Status => status(context).await,
    }
}

async fn status(context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let request = GetRelayStatusRequest {};
    let answer = call(client.relay().get_relay_status(request)).await?;
    context.out.show(&answer, |out| human(out, &answer))
}

fn human(out: &Output, relay: &GetRelayStatusResponse) -> String {
    if !relay.serving {
        return "This daemon is not a relay: [relay] serve is off.".to_owned();
    }
    let of = |now: u32, most: u32| format!("{now}/{most}");
    let refused = relay.refused.iter();
    let refused: Vec<String> = refused
        .map(|(reason, count)| format!("{} {count}", sanitize::line(reason)))
        .collect();
    table::fields(
        out,
        &[
            ("sessions", of(relay.sessions, relay.max_sessions)),
            ("lines", of(relay.lines, relay.max_lines)),
            ("connected pairs", of(relay.splices, relay.max_splices)),
            ("extended", relay.extended.to_string()),
            ("bytes", relay.bytes.to_string()),
            ("dropped", relay.dropped.to_string()),
            ("refused", refused.join(", ")),
        ],
    )
}
