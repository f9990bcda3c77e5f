//! The guarantees that must hold after a chaos run.

use super::Report;
use super::load::Sent;
use crate::scenario::Api;
use anyhow::{Context as _, ensure};
use m2_proto::api::v1::event::Kind;
use m2_proto::api::v1::{Direction, Event, Message, MessageState};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// The time without an event after which a log counts as complete.
const SILENCE: Duration = Duration::from_secs(2);

/// Returns the event log of the receiver, once all acknowledged messages have arrived.
pub(super) async fn log(receiver: &Api, sent: &[Sent]) -> anyhow::Result<Vec<Event>> {
    let mut missing: HashSet<&str> = sent
        .iter()
        .flat_map(|sent| &sent.acknowledged)
        .map(|(_, id)| id.as_str())
        .collect();
    let mut events = receiver.all_events().await?;
    let mut log = Vec::new();
    while !missing.is_empty() {
        let next = events.next().await;
        let event = next.with_context(|| format!("{} messages did not arrive", missing.len()))?;
        if let Some(Kind::MessageReceived(received)) = &event.kind {
            missing.remove(received.message_id.as_str());
        }
        log.push(event);
    }
    log.extend(events.rest(SILENCE).await?);
    Ok(log)
}

/// Checks one direction: the senders' records against both daemons' logs and histories.
pub(super) async fn of_way(
    (sender, receiver_name): (&Api, &str),
    (receiver, sender_name): (&Api, &str),
    sent: &[Sent],
    sender_log: &[Event],
    receiver_log: &[Event],
    report: &mut Report,
) -> anyhow::Result<()> {
    let at_sender = of_direction(sender.conversation(receiver_name).await?, Direction::Sent);
    let at_receiver = of_direction(
        receiver.conversation(sender_name).await?,
        Direction::Received,
    );
    same_on_both_sides(&at_sender, &at_receiver)?;
    all_delivered(&at_sender, sender_log)?;
    let told: Vec<(&str, &str)> = receiver_log
        .iter()
        .filter_map(|event| match &event.kind {
            Some(Kind::MessageReceived(m)) => Some((m.message_id.as_str(), m.text.as_str())),
            _ => None,
        })
        .collect();
    let stored: Vec<(&str, &str)> = at_receiver
        .iter()
        .map(|message| (message.message_id.as_str(), message.text.as_str()))
        .collect();
    ensure!(told == stored, "the receiver's log and history differ");
    ensure!(
        !receiver_log.iter().any(is_gap),
        "the receiver's log has a gap"
    );
    for sent in sent {
        of_sender(sent, &stored, report).with_context(|| format!("of {}", sent.label))?;
    }
    Ok(())
}

fn of_direction(messages: Vec<Message>, direction: Direction) -> Vec<Message> {
    let mut messages = messages;
    messages.retain(|message| message.direction() == direction);
    messages
}

fn is_gap(event: &Event) -> bool {
    matches!(event.kind, Some(Kind::Gap(_) | Kind::EventsDropped(_)))
}

fn same_on_both_sides(sent: &[Message], received: &[Message]) -> anyhow::Result<()> {
    let ids = |messages: &[Message]| -> Vec<String> {
        let ids = messages.iter().map(|message| message.message_id.clone());
        ids.collect()
    };
    let (sent, received) = (ids(sent), ids(received));
    let unique: HashSet<&String> = received.iter().collect();
    ensure!(unique.len() == received.len(), "a message arrived twice");
    ensure!(
        sent == received,
        "{} messages are stored at the sender, {} at the receiver, or their order differs",
        sent.len(),
        received.len()
    );
    Ok(())
}

/// Checks that every message ends in state DELIVERED, in the history and in the log, and that the
/// log reports DELIVERED once.
fn all_delivered(sent: &[Message], log: &[Event]) -> anyhow::Result<()> {
    let mut states: HashMap<&str, Vec<MessageState>> = HashMap::new();
    for event in log {
        if let Some(Kind::MessageState(change)) = &event.kind {
            let of_message = states.entry(change.message_id.as_str()).or_default();
            of_message.push(change.state());
        }
    }
    for message in sent {
        let (id, state) = (message.message_id.as_str(), message.state());
        ensure!(state == MessageState::Delivered, "{id} is {state:?}");
        let told = states.get(id).map(Vec::as_slice).unwrap_or_default();
        let delivered = told
            .iter()
            .filter(|s| **s == MessageState::Delivered)
            .count();
        ensure!(
            delivered == 1 && told.last() == Some(&MessageState::Delivered),
            "the log's states of {id} are {told:?}"
        );
    }
    Ok(())
}

/// Checks that all acknowledged messages of one sender arrived once and in order, and that no
/// message arrived that was not sent.
fn of_sender(sent: &Sent, stored: &[(&str, &str)], report: &mut Report) -> anyhow::Result<()> {
    let prefix = format!("{} ", sent.label);
    let mine: Vec<(&str, &str)> = stored
        .iter()
        .copied()
        .filter(|(_, text)| text.starts_with(&prefix))
        .collect();
    let called = sent.numbers();
    let texts: HashSet<&str> = mine.iter().map(|(_, text)| *text).collect();
    ensure!(texts.len() == mine.len(), "a text arrived twice");
    let order: Vec<u64> = mine.iter().map(|(_, text)| place(text)).collect();
    ensure!(order.is_sorted(), "messages arrived out of order");
    let mut arrived = Vec::new();
    for (id, text) in mine {
        match called.get(text) {
            Some(true) => arrived.push((text.to_owned(), id.to_owned())),
            Some(false) => report.failed_but_sent += 1,
            None => anyhow::bail!("a text arrived that was not sent"),
        }
    }
    ensure!(
        arrived == sent.acknowledged,
        "{} messages were acknowledged, {} arrived, or ids or order differ",
        sent.acknowledged.len(),
        arrived.len()
    );
    report.acknowledged += arrived.len();
    report.failed += called.len() - texts.len();
    Ok(())
}

/// Returns the number in a text.
fn place(text: &str) -> u64 {
    let number = text.split(' ').nth(1).and_then(|word| word.parse().ok());
    number.unwrap_or(u64::MAX)
}
