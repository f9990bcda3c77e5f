//! The flags that select events.

use std::time::Duration;

use clap::{Args, ValueEnum};
use m2_proto::api::v1::{EventKind, SubscribeRequest};

use crate::failure::Failure;
use crate::time;

/// How often the daemon says how far a selection has come, if the user does not ask for it.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// The flags that select events.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Only events of this kind, named as in the JSON output; can be repeated
    #[arg(
        long = "kind",
        value_name = "KIND",
        value_enum,
        ignore_case = true,
        hide_possible_values = true
    )]
    kinds: Vec<Kind>,
    /// Only events of this contact: name, peer id, or at least the first 10 characters of the peer id; can be repeated
    #[arg(long = "contact", value_name = "CONTACT")]
    contacts: Vec<String>,
    /// Print which contacts are online and on which path, at the start and whenever it changes
    #[arg(long, conflicts_with = "exec")]
    presence: bool,
    /// Be one of several workers that share the events of --client
    #[arg(long, requires_all = ["client", "exec"])]
    shared: bool,
    /// How long CMD may take before the event is given to another worker: 1s to 12h [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = time::parse_lease, requires = "shared")]
    lease: Option<Duration>,
    /// How often an event is given to workers before it becomes a dead letter: 1 to 100 [default: 5]
    #[arg(long, value_name = "N", requires = "shared", value_parser = clap::value_parser!(u32).range(1..=100))]
    deliveries: Option<u32>,
    /// Print when all events have been seen, and then at this interval: 1s to 1h
    #[arg(long, value_name = "DURATION", value_parser = time::parse_heartbeat, conflicts_with = "exec")]
    heartbeat: Option<Duration>,
}

/// The kinds of events, by their names in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "camelCase")]
enum Kind {
    MessageReceived,
    MessageState,
    MessageEdited,
    MessageRetracted,
    MessageReacted,
    MessageExpired,
    ContactRequest,
    ContactAdded,
    ContactDeclined,
    ContactRemoved,
    Gap,
    HistoryLost,
    OwnConflict,
    ContactConflict,
    Typing,
    Presence,
}

impl Selection {
    /// Adds the selection to a request. A named client that selects events also asks how far the stream has come, so
    /// that its position moves while no selected event arrives.
    pub(super) fn apply(&self, request: &mut SubscribeRequest) {
        request.kinds = self.kinds.iter().map(|kind| kind.number()).collect();
        request.contacts.clone_from(&self.contacts);
        request.presence = self.presence;
        request.shared = self.shared;
        request.lease = self.lease.map(time::to_proto);
        request.max_deliveries = self.deliveries.unwrap_or(0);
        let selects = !self.kinds.is_empty() || !self.contacts.is_empty();
        let default = (selects && !self.shared && !request.client.is_empty()).then_some(HEARTBEAT);
        request.heartbeat = self.heartbeat.or(default).map(time::to_proto);
    }

    /// Returns whether this is one of several workers.
    pub(super) const fn is_shared(&self) -> bool {
        self.shared
    }

    /// Returns whether the user wants to see that all events have been seen.
    pub(super) const fn shows_heartbeat(&self) -> bool {
        self.heartbeat.is_some()
    }

    /// Refuses kinds for which no command is run.
    pub(super) fn check(&self, has_command: bool) -> Result<(), Failure> {
        let is_notice = |kind: &Kind| matches!(kind, Kind::Typing | Kind::Presence);
        if has_command && self.kinds.iter().any(is_notice) {
            return Err(Failure::Usage(
                "--exec runs no command for typing and presence: leave these kinds out, or leave --exec out and read \
                 the output."
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

impl Kind {
    fn number(self) -> i32 {
        let kind = match self {
            Self::MessageReceived => EventKind::MessageReceived,
            Self::MessageState => EventKind::MessageState,
            Self::MessageEdited => EventKind::MessageEdited,
            Self::MessageRetracted => EventKind::MessageRetracted,
            Self::MessageReacted => EventKind::MessageReacted,
            Self::MessageExpired => EventKind::MessageExpired,
            Self::ContactRequest => EventKind::ContactRequest,
            Self::ContactAdded => EventKind::ContactAdded,
            Self::ContactDeclined => EventKind::ContactDeclined,
            Self::ContactRemoved => EventKind::ContactRemoved,
            Self::Gap => EventKind::Gap,
            Self::HistoryLost => EventKind::HistoryLost,
            Self::OwnConflict => EventKind::OwnConflict,
            Self::ContactConflict => EventKind::ContactConflict,
            Self::Typing => EventKind::Typing,
            Self::Presence => EventKind::Presence,
        };
        kind.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_the_api_has_a_name() {
        let mut numbers: Vec<i32> = Kind::value_variants()
            .iter()
            .map(|kind| kind.number())
            .collect();
        numbers.sort_unstable();
        let known = (1..).take_while(|number| EventKind::try_from(*number).is_ok());
        assert_eq!(numbers, known.collect::<Vec<_>>());
    }

    #[test]
    fn a_named_client_that_selects_events_follows_the_stream() {
        let selection = |kinds| Selection {
            kinds,
            contacts: Vec::new(),
            presence: false,
            shared: false,
            lease: None,
            deliveries: None,
            heartbeat: None,
        };
        let asks = |selection: &Selection, client: &str| {
            let mut request = SubscribeRequest {
                client: client.to_owned(),
                ..Default::default()
            };
            selection.apply(&mut request);
            request.heartbeat.is_some()
        };
        assert!(asks(&selection(vec![Kind::Gap]), "bot"));
        assert!(!asks(&selection(vec![Kind::Gap]), ""));
        assert!(!asks(&selection(Vec::new()), "bot"));
    }
}
