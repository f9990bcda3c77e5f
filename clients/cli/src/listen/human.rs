//! Formats events for people, one line each.

use m2_proto::api::v1::event::Kind;
use m2_proto::api::v1::{CaughtUp, Event, Notice, Path, SubscribeResponse, notice};
use m2_proto::client::Client;

use crate::context::Context;
use crate::failure::Failure;
use crate::history::body;
use crate::names::{Names, conflict_text, message_state, short_id};
use crate::output::Style;
use crate::{sanitize, time};
use unicode_width::UnicodeWidthStr;

/// Prints events, as JSON or as lines that contain names.
pub(super) struct Lines<'a> {
    client: &'a Client,
    context: &'a Context,
    names: Names,
}

impl<'a> Lines<'a> {
    pub(super) async fn new(client: &'a Client, context: &'a Context) -> Result<Self, Failure> {
        let names = if context.out.is_json() {
            Names::default()
        } else {
            Names::load(client).await?
        };
        Ok(Self {
            client,
            context,
            names,
        })
    }

    pub(super) async fn print(&mut self, event: &Event) -> Result<(), Failure> {
        if self.context.out.is_json() {
            return self.context.out.json(event);
        }
        let Some(kind) = &event.kind else {
            return Ok(());
        };
        if !self.names.knows(peer_of(kind)) || matches!(kind, Kind::ContactAdded(_)) {
            self.names = Names::load(self.client).await?;
            self.names.settle(peer_of(kind));
        }
        let head = format!("{}  ", time::local(event.time.as_ref()));
        let text = self.line(kind, head.chars().count());
        let head = self.context.out.paint(&head, Style::Faint);
        self.context.out.text(&format!("{head}{text}"))
    }

    /// Prints a notice. One of a later version is left out, unless the output is JSON.
    pub(super) async fn print_notice(&mut self, notice: &Notice) -> Result<(), Failure> {
        if self.context.out.is_json() {
            return self.context.out.json(notice);
        }
        let text = match &notice.kind {
            Some(notice::Kind::Typing(typing)) if typing.active => "types …",
            Some(notice::Kind::Typing(_)) => "stopped typing",
            Some(notice::Kind::Presence(presence)) => match (presence.online, presence.path()) {
                (false, _) => "is offline",
                (true, Path::Line) => "is online, on a line",
                (true, _) => "is online",
            },
            None => return Ok(()),
        };
        if !self.names.knows(&notice.peer_id) {
            self.names = Names::load(self.client).await?;
            self.names.settle(&notice.peer_id);
        }
        let name = self.names.of(&notice.peer_id);
        let name = self.context.out.paint(&name, Style::Strong);
        self.context.out.text(&format!("{name}  {text}"))
    }

    /// Prints that the stream has considered all events up to a cursor.
    pub(super) fn print_caught_up(&self, caught_up: &CaughtUp) -> Result<(), Failure> {
        let out = &self.context.out;
        if out.is_json() {
            return out.json(&SubscribeResponse {
                caught_up: Some(caught_up.clone()),
                ..Default::default()
            });
        }
        out.text(&out.paint("(no more events)", Style::Faint))
    }

    fn line(&self, kind: &Kind, indent: usize) -> String {
        let who = self.names.of(peer_of(kind));
        let name = self.context.out.paint(&who, Style::Strong);
        let indent = indent + who.width() + 2;
        let place = (indent, self.context.out.width());
        match kind {
            Kind::MessageReceived(m) => {
                let text = body(&m.text, m.data.len(), &m.media_type, place);
                match m.reply_to.as_str() {
                    "" => format!("{name}  {text}"),
                    id => format!("{name}  (reply to {}) {text}", short_id(id)),
                }
            }
            Kind::MessageState(m) => {
                let id = short_id(&m.message_id);
                let failure = sanitize::line(&m.failure);
                let state = message_state(m.state);
                format!("{name}  {id} {state} {failure}")
                    .trim_end()
                    .to_owned()
            }
            Kind::MessageEdited(m) => {
                let text = body(&m.text, m.data.len(), &m.media_type, place);
                format!("{name}  (edited {}) {text}", short_id(&m.message_id))
            }
            Kind::MessageReacted(m) => {
                let id = short_id(&m.message_id);
                match sanitize::line(&m.text).as_str() {
                    "" => format!("{name}  (no reaction to {id} any more)"),
                    text => format!("{name}  (reacted to {id}) {text}"),
                }
            }
            Kind::MessageRetracted(m) => format!("{name}  retracted {}", short_id(&m.message_id)),
            Kind::MessageExpired(m) => format!("{name}  {} expired", short_id(&m.message_id)),
            other => self.about_contact(other, &name),
        }
    }

    fn about_contact(&self, kind: &Kind, name: &str) -> String {
        match kind {
            Kind::ContactRequest(c) => format!(
                "{} asks to become a contact: m2 contact accept {}",
                sanitize::line(&c.suggested_name),
                sanitize::line(&c.peer_id)
            ),
            Kind::ContactAdded(c) => format!("{} is a contact", sanitize::line(&c.name)),
            Kind::ContactDeclined(_) => format!("{name}  declined"),
            Kind::ContactRemoved(_) => format!("{name}  is no longer a contact"),
            Kind::Gap(gap) => format!("{name}  messages missing: {}", gap.missing),
            Kind::HistoryLost(lost) if lost.missing == 0 => {
                format!("{name}  messages may be lost: one of the two stores was restored")
            }
            Kind::HistoryLost(lost) => format!("{name}  messages lost: {}", lost.missing),
            Kind::OwnConflict(_) => format!(
                "{name}  has seen newer data of this daemon, or its data in use twice: see \
                 `m2 status`"
            ),
            Kind::ContactConflict(conflict) => {
                format!("{name}  {}", conflict_text(conflict.kind()))
            }
            Kind::EventsDropped(dropped) => {
                format!("{} events are no longer kept", dropped.count)
            }
            // The kinds about messages are handled by `line`.
            _ => String::new(),
        }
    }
}

/// Returns the peer that an event is about; empty if there is none.
fn peer_of(kind: &Kind) -> &str {
    match kind {
        Kind::MessageReceived(e) => &e.peer_id,
        Kind::MessageState(e) => &e.peer_id,
        Kind::MessageEdited(e) => &e.peer_id,
        Kind::MessageReacted(e) => &e.peer_id,
        Kind::MessageRetracted(e) => &e.peer_id,
        Kind::MessageExpired(e) => &e.peer_id,
        Kind::ContactRequest(e) => &e.peer_id,
        Kind::ContactAdded(e) => &e.peer_id,
        Kind::ContactDeclined(e) => &e.peer_id,
        Kind::ContactRemoved(e) => &e.peer_id,
        Kind::Gap(e) => &e.peer_id,
        Kind::HistoryLost(e) => &e.peer_id,
        Kind::OwnConflict(e) | Kind::ContactConflict(e) => &e.peer_id,
        Kind::EventsDropped(_) => "",
    }
}
