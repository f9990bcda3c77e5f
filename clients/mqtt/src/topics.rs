//! The topics that the bridge uses.

use crate::contact_id::ContactId;

/// The payload of a status topic while all is well.
pub const ONLINE: &str = "online";
/// The payload of a status topic otherwise.
pub const OFFLINE: &str = "offline";

/// The topics below a prefix, and those of Home Assistant's discovery.
#[derive(Clone, Debug)]
pub struct Topics {
    prefix: String,
    discovery: Option<String>,
}

/// What a received message is about, by its topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// A message for a contact.
    Command(ContactId),
    /// The retained presence of a contact, from this bridge or an earlier run of it.
    Presence(ContactId),
    /// Home Assistant's own status.
    HomeAssistant,
    /// None of these.
    Other,
}

impl Topics {
    /// Returns the topics below a prefix; without discovery if its prefix is empty.
    #[must_use]
    pub fn new(prefix: &str, discovery: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            discovery: (!discovery.is_empty()).then(|| discovery.to_owned()),
        }
    }

    /// Returns the topic prefix.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the topic that says whether the bridge is connected.
    #[must_use]
    pub fn bridge_status(&self) -> String {
        format!("{}/bridge", self.prefix)
    }

    /// Returns the topic that says whether the bridge reaches the daemon.
    #[must_use]
    pub fn daemon_status(&self) -> String {
        format!("{}/daemon", self.prefix)
    }

    /// Returns the topic for what happens with a contact.
    #[must_use]
    pub fn event(&self, id: &ContactId) -> String {
        self.of(id, "event")
    }

    /// Returns the topic of a contact's last message.
    #[must_use]
    pub fn message(&self, id: &ContactId) -> String {
        self.of(id, "message")
    }

    /// Returns the topic of a contact's presence.
    #[must_use]
    pub fn online(&self, id: &ContactId) -> String {
        self.of(id, "online")
    }

    /// Returns the topic of the path to a contact.
    #[must_use]
    pub fn path(&self, id: &ContactId) -> String {
        self.of(id, "path")
    }

    /// Returns the topic for messages to a contact.
    #[must_use]
    pub fn command(&self, id: &ContactId) -> String {
        self.of(id, "send")
    }

    /// Returns the name of a contact's device, unique among all bridges with different prefixes.
    #[must_use]
    pub fn device(&self, id: &ContactId) -> String {
        format!("{}_{id}", slug(&self.prefix))
    }

    /// Returns the discovery topic of a contact's device; `None` without discovery.
    #[must_use]
    pub fn discovery(&self, id: &ContactId) -> Option<String> {
        let discovery = self.discovery.as_ref()?;
        Some(format!("{discovery}/device/{}/config", self.device(id)))
    }

    /// Returns the topics that hold a retained message for a contact.
    #[must_use]
    pub fn retained(&self, id: &ContactId) -> Vec<String> {
        let states = [self.online(id), self.path(id), self.message(id)];
        self.discovery(id).into_iter().chain(states).collect()
    }

    /// Returns the filter for messages to contacts.
    #[must_use]
    pub fn commands(&self) -> String {
        format!("{}/contacts/+/send", self.prefix)
    }

    /// Returns the filter for the presence of all contacts.
    #[must_use]
    pub fn presences(&self) -> String {
        format!("{}/contacts/+/online", self.prefix)
    }

    /// Returns the topic of Home Assistant's status; `None` without discovery.
    #[must_use]
    pub fn home_assistant(&self) -> Option<String> {
        let discovery = self.discovery.as_ref()?;
        Some(format!("{discovery}/status"))
    }

    /// Returns what a received message is about.
    #[must_use]
    pub fn about(&self, topic: &str) -> About {
        if self.home_assistant().as_deref() == Some(topic) {
            return About::HomeAssistant;
        }
        let levels = topic
            .strip_prefix(&self.prefix)
            .and_then(|rest| rest.strip_prefix("/contacts/"))
            .and_then(|rest| rest.split_once('/'));
        let Some((id, level)) = levels else {
            return About::Other;
        };
        match (ContactId::parse(id), level) {
            (Some(id), "send") => About::Command(id),
            (Some(id), "online") => About::Presence(id),
            _ => About::Other,
        }
    }

    fn of(&self, id: &ContactId, level: &str) -> String {
        format!("{}/contacts/{id}/{level}", self.prefix)
    }
}

/// Returns a text with everything replaced that an identifier of Home Assistant can't have.
#[must_use]
pub fn slug(text: &str) -> String {
    let allowed = |character: char| {
        if character.is_ascii_alphanumeric() || character == '-' {
            character
        } else {
            '_'
        }
    };
    text.chars().map(allowed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_says_what_a_message_is_about() {
        let topics = Topics::new("home/m2", "homeassistant");
        let id = ContactId::of("home/m2", "m21abc");
        let about = |topic: &str| topics.about(topic);
        assert_eq!(about(&topics.command(&id)), About::Command(id.clone()));
        assert_eq!(about(&topics.online(&id)), About::Presence(id.clone()));
        assert_eq!(about("homeassistant/status"), About::HomeAssistant);
        let longer = format!("{}/more", topics.command(&id));
        for other in [
            "",
            "home/m2",
            "home/m2/contacts/x/send",
            "m2/bridge",
            &longer,
        ] {
            assert_eq!(about(other), About::Other, "{other}");
        }
        assert_eq!(topics.device(&id), format!("home_m2_{id}"));
    }

    #[test]
    fn without_a_discovery_prefix_there_are_no_such_topics() {
        let topics = Topics::new("m2", "");
        let id = ContactId::of("m2", "m21abc");
        assert_eq!(topics.home_assistant(), None);
        assert_eq!(topics.discovery(&id), None);
        assert_eq!(topics.retained(&id).len(), 3);
    }
}
