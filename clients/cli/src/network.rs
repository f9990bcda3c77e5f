//! `m2 network`

mod probe;
mod status;

use clap::{Args, Subcommand};
use m2_proto::api::v1::{DoctorRequest, DoctorResponse, FailClosed, WaySource};

use crate::context::{Context, call};
use crate::failure::Failure;
use crate::names::ip_mode;
use crate::output::{Output, Style};
use crate::sanitize;

/// The flags of `m2 network`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct NetworkArgs {
    #[command(subcommand)]
    command: NetworkCommand,
}

#[derive(Debug, Subcommand)]
enum NetworkCommand {
    /// Show what others can learn with the current settings, and whether line-only mode holds
    Doctor,
    /// Show where this daemon is reachable, how it looks for contacts, and each contact's path
    Status,
    /// Try every way to a contact and show the result of each
    Probe {
        /// Name, peer id, or at least the first 10 characters of the peer id
        contact: String,
    },
}

pub(crate) async fn run(args: NetworkArgs, context: &Context) -> Result<(), Failure> {
    match args.command {
        NetworkCommand::Doctor => doctor(context).await,
        NetworkCommand::Status => status::run(context).await,
        NetworkCommand::Probe { contact } => probe::run(contact, context).await,
    }
}

async fn doctor(context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let answer = call(client.network().doctor(DoctorRequest {})).await?;
    context.out.show(&answer, |out| human(out, &answer))
}

fn human(out: &Output, report: &DoctorResponse) -> String {
    let mut blocks = vec![format!("Mode: {}", ip_mode(report.ip))];
    let broken = report.fail_closed() == FailClosed::Broken;
    for (place, section) in (1..).zip(&report.sections) {
        // If line-only mode does not hold, the section of the test, which is the last one, is
        // highlighted.
        let is_test = place == report.sections.len();
        let style = if broken && is_test {
            Style::Bad
        } else {
            Style::Strong
        };
        let title = out.paint(&sanitize::line(&section.title), style);
        blocks.push(block(&title, &section.sentences));
    }
    if !report.advice.is_empty() {
        let title = out.paint("What to change", Style::Warning);
        blocks.push(block(&title, &report.advice));
    }
    blocks.join("\n\n")
}

fn block(title: &str, sentences: &[String]) -> String {
    let lines = sentences.iter().map(|said| sanitize::line(said));
    let lines: Vec<String> = lines.map(|line| format!("  {line}")).collect();
    format!("{title}\n{}", lines.join("\n"))
}

const fn way_source(source: WaySource) -> &'static str {
    match source {
        WaySource::Unspecified => "",
        WaySource::Known => "known",
        WaySource::Lan => "lan",
        WaySource::Line => "line",
        WaySource::Dht => "dht",
        WaySource::Gateway => "gateway",
    }
}

/// Formats a duration in milliseconds.
fn milliseconds(duration: &pbjson_types::Duration) -> String {
    let ms = i128::from(duration.seconds) * 1_000 + i128::from(duration.nanos / 1_000_000);
    format!("{ms} ms")
}
