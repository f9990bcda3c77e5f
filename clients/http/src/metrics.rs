//! The daemon's state for Prometheus. It names no contact.

use crate::daemon::Authorized;
use crate::problem::Problem;
use crate::webhook::Board;
use axum::Extension;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use m2_proto::api::v1::{DaemonState, GetStatusRequest, GetStatusResponse};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The media type of the text format.
pub(crate) const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// A label with its value.
type Labels = Vec<(String, String)>;

pub(crate) async fn metrics(
    Authorized(client): Authorized,
    Extension(board): Extension<Arc<Board>>,
) -> Result<Response, Problem> {
    let answer = client.daemon().get_status(GetStatusRequest {}).await?;
    let text = text(&answer.into_inner(), &board).map_err(|error| {
        let detail = format!("The metrics can't be written: {error}.");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", detail)
    })?;
    Ok(([(CONTENT_TYPE, TEXT)], text).into_response())
}

fn text(status: &GetStatusResponse, board: &Board) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("m2");
    let values = of_daemon(status).into_iter().chain(of_mailboxes(status));
    for (name, help, value) in values {
        if let Some(value) = value {
            gauge(&mut registry, name, help, value);
        }
    }
    let refused = "Refused, dropped and failed operations";
    counters(
        &mut registry,
        ("refused", "reason"),
        refused,
        &status.refused,
    );
    let completed = "Completed operations";
    counters(
        &mut registry,
        ("completed", "kind"),
        completed,
        &status.counts,
    );
    of_webhooks(&mut registry, board);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// A gauge: its name, its meaning, and its value if it is known.
type Value = (&'static str, &'static str, Option<i64>);

fn of_daemon(status: &GetStatusResponse) -> Vec<Value> {
    let is_ready = status.state() == DaemonState::Ready;
    let started = status.started.as_ref();
    let started = started.map(|at| at.to_utc().timestamp());
    let ready = "1 if the daemon is ready, 0 if it is locked or stops";
    let warnings = "Conditions that need attention; m2 status shows them";
    let keys = (status.session_keys_ready, status.session_keys_wanted);
    vec![
        ("ready", ready, Some(is_ready.into())),
        ("start_time_seconds", "When the daemon started", started),
        ("warnings", warnings, Some(size(status.warnings.len()))),
        (
            "sessions",
            "Established sessions",
            status.sessions.map(i64::from),
        ),
        (
            "contacts",
            "Contacts that both sides have accepted",
            status.contacts.map(i64::from),
        ),
        (
            "queued_messages",
            "Messages in the outbox",
            status.queued_messages.map(large),
        ),
        (
            "session_keys_ready",
            "Session keys in the pool",
            keys.0.map(i64::from),
        ),
        (
            "session_keys_wanted",
            "The size of the pool",
            keys.1.map(i64::from),
        ),
    ]
}

fn of_mailboxes(status: &GetStatusResponse) -> Vec<Value> {
    let Some(server) = &status.mailbox_server else {
        return Vec::new();
    };
    let available = "1 if the mailbox store is available";
    vec![
        (
            "mailbox_available",
            available,
            Some(server.available.into()),
        ),
        (
            "mailbox_boxes",
            "Mailboxes that this daemon keeps",
            Some(large(server.boxes)),
        ),
        (
            "mailbox_letters",
            "Letters in all mailboxes",
            Some(large(server.letters)),
        ),
        (
            "mailbox_bytes",
            "Size of all letters in bytes",
            Some(large(server.bytes)),
        ),
    ]
}

fn of_webhooks(registry: &mut Registry, board: &Board) {
    let failing: Family<Labels, Gauge> = Family::default();
    let mut delivered = BTreeMap::new();
    let mut failed = BTreeMap::new();
    for (name, state) in board.states() {
        let labels = vec![("webhook".to_owned(), name.to_owned())];
        let is_failing = i64::from(state.failure.is_some());
        failing.get_or_create(&labels).set(is_failing);
        delivered.insert(name.to_owned(), state.delivered);
        failed.insert(name.to_owned(), state.failed);
    }
    let help = "1 if the webhook can't deliver its events; m2 client list shows why";
    registry.register("webhook_failing", help, failing);
    let help = "Events that the receiver of the webhook accepted";
    counters(registry, ("webhook_delivered", "webhook"), help, &delivered);
    let help = "Attempts to deliver an event that failed";
    counters(
        registry,
        ("webhook_attempts_failed", "webhook"),
        help,
        &failed,
    );
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: i64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

fn counters(
    registry: &mut Registry,
    (name, label): (&str, &str),
    help: &str,
    values: &BTreeMap<String, u64>,
) {
    let family: Family<Labels, Counter> = Family::default();
    for (value, count) in values {
        let labels = vec![(label.to_owned(), value.clone())];
        family.get_or_create(&labels).inc_by(*count);
    }
    registry.register(name, help, family);
}

fn large(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn size(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_a_line_for_each_value_and_names_no_contact() {
        let status = GetStatusResponse {
            state: DaemonState::Ready.into(),
            peer_id: "abcdefghij".to_owned(),
            circle: "family".to_owned(),
            listen_addresses: vec!["192.0.2.1:7".to_owned()],
            sessions: Some(2),
            queued_messages: Some(7),
            warnings: vec!["The clock of ann differs.".to_owned()],
            refused: BTreeMap::from([("WRONG_KEY".to_owned(), 3)]),
            ..GetStatusResponse::default()
        };
        let text = text(&status, &Board::default()).unwrap();
        for line in [
            "m2_ready 1",
            "m2_sessions 2",
            "m2_queued_messages 7",
            "m2_warnings 1",
            "m2_refused_total{reason=\"WRONG_KEY\"} 3",
            "# EOF",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}: {text}");
        }
        for private in ["abcdefghij", "family", "192.0.2.1", "ann"] {
            assert!(!text.contains(private), "{text}");
        }
        assert!(
            !text.contains("m2_contacts"),
            "a locked daemon knows no number"
        );
    }
}
