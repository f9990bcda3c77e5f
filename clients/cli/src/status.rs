//! `m2 status`

use std::collections::BTreeMap;

use clap::Args;
use m2_proto::api::v1::{
    BackupStatus, DaemonState, GetStatusRequest, GetStatusResponse, MailboxServer,
};
use m2_proto::reason::Reason;

use crate::context::{Context, call};
use crate::failure::Failure;
use crate::names::daemon_state;
use crate::output::{Output, Style};
use crate::{sanitize, table, time};

/// The flags of `m2 status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Print nothing, and exit with 0 only if the daemon is ready: for health checks
    #[arg(long, short)]
    pub quiet: bool,
}

pub(crate) async fn run(args: StatusArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let status = call(client.daemon().get_status(GetStatusRequest {})).await?;
    if args.quiet {
        return match status.state() {
            DaemonState::Ready => Ok(()),
            DaemonState::Locked => Err(Failure::refused(Reason::Locked)),
            _ => Err(Failure::refused(Reason::Stopping)),
        };
    }
    context.out.show(&status, |out| human(out, &status))
}

fn human(out: &Output, status: &GetStatusResponse) -> String {
    let mut text = table::fields(out, &fields(out, status));
    if status.state() == DaemonState::Locked {
        text.push_str("\n\nOpen the identity with `m2 unlock`.");
    }
    for warning in &status.warnings {
        let mark = out.paint("!", Style::Warning);
        text.push_str(&format!("\n{mark} {}", sanitize::line(warning)));
    }
    text
}

fn fields(out: &Output, status: &GetStatusResponse) -> Vec<(&'static str, String)> {
    let listens = sanitize::line(&status.listen_addresses.join(", "));
    let mut fields = vec![
        ("state", state(out, status)),
        ("version", sanitize::line(&status.version)),
        ("peer id", sanitize::line(&status.peer_id)),
        ("circle", sanitize::line(&status.circle)),
        ("listens on", listens),
        ("contacts", number(status.contacts)),
        ("sessions", number(status.sessions)),
        ("queued", number(status.queued_messages)),
        ("crypto", sanitize::line(&status.crypto_provider)),
        ("key pool", key_pool(status)),
        ("last backup", last_backup(status)),
        ("since", time::local(status.started.as_ref())),
        ("counted", counts(&status.counts)),
        ("refused", counts(&status.refused)),
    ];
    let server = status.mailbox_server.as_ref();
    fields.extend(server.map(|server| ("mailbox", mailbox(out, server))));
    fields
}

fn mailbox(out: &Output, server: &MailboxServer) -> String {
    if !server.available {
        return out.paint("its store does not answer", Style::Warning);
    }
    format!(
        "{} boxes, {} letters ({} KiB), {} stored since the start",
        server.boxes,
        server.letters,
        server.bytes.div_ceil(1_024),
        server.deposited
    )
}

fn state(out: &Output, status: &GetStatusResponse) -> String {
    let style = match status.state() {
        DaemonState::Ready => Style::Good,
        _ => Style::Warning,
    };
    out.paint(&daemon_state(status.state), style)
}

/// Formats a number; empty if it is unknown, for example while the daemon is locked.
fn number(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// Returns when the last backup was made; empty while the daemon is locked.
fn last_backup(status: &GetStatusResponse) -> String {
    match &status.backup {
        None => String::new(),
        Some(BackupStatus { made: None, .. }) => "none".to_owned(),
        Some(backup) => time::local(backup.made.as_ref()),
    }
}

fn key_pool(status: &GetStatusResponse) -> String {
    match (status.session_keys_ready, status.session_keys_wanted) {
        (Some(ready), Some(wanted)) => format!("{ready}/{wanted}"),
        _ => String::new(),
    }
}

fn counts(counts: &BTreeMap<String, u64>) -> String {
    let counts = counts.iter().filter(|(_, count)| **count > 0);
    let parts: Vec<String> = counts
        .map(|(reason, count)| format!("{} {count}", sanitize::line(reason)))
        .collect();
    parts.join(", ")
}
