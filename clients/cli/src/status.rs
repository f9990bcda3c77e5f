//! `m2 status`

use clap::Args;
use m2_proto::api::v1::{DaemonState, GetStatusRequest, GetStatusResponse, MailboxServer};

use crate::context::{Context, call};
use crate::failure::Failure;
use crate::names::daemon_state;
use crate::output::{Output, Style};
use crate::{sanitize, table};

/// Flags of `m2 status`.
#[derive(Debug, Args)]
pub struct StatusArgs {}

pub(crate) async fn run(_: StatusArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let status = call(client.daemon().get_status(GetStatusRequest {})).await?;
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
    let keys = format!(
        "{}/{}",
        status.session_keys_ready, status.session_keys_wanted
    );
    let listens = sanitize::line(&status.listen_addresses.join(", "));
    let mut fields = vec![
        ("state", state(out, status)),
        ("version", sanitize::line(&status.version)),
        ("peer id", sanitize::line(&status.peer_id)),
        ("circle", sanitize::line(&status.circle)),
        ("listens on", listens),
        ("contacts", status.contacts.to_string()),
        ("sessions", status.sessions.to_string()),
        ("queued", status.queued_messages.to_string()),
        ("crypto", sanitize::line(&status.crypto_provider)),
        ("key pool", keys),
        ("refused", refused(status)),
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

fn refused(status: &GetStatusResponse) -> String {
    let counts = status.refused.iter().filter(|(_, count)| **count > 0);
    let parts: Vec<String> = counts
        .map(|(reason, count)| format!("{} {count}", sanitize::line(reason)))
        .collect();
    parts.join(", ")
}
