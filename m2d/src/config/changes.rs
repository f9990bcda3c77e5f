//! Which settings differ between two configurations, and which of them a reload applies.

use super::Config;
use std::fmt;
use toml::{Table, Value};

/// The settings that a reload applies: those that are read again each time they are used.
const APPLIED: [(&str, &str); 10] = [
    ("log", "filter"),
    ("mailbox", "after_s"),
    ("mailbox", "delay_s"),
    ("mailbox", "deposit_at_own_provider"),
    ("store", "contact_bytes"),
    ("store", "contact_messages"),
    ("store", "event_days"),
    ("store", "keep_bytes"),
    ("store", "keep_days"),
    ("store", "max_events"),
];

/// A setting whose value differs. It is shown as `[section] key`, without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    section: String,
    key: String,
}

impl Change {
    /// Returns whether a reload applies the setting. Every other one takes effect at the next start.
    pub fn is_applied(&self) -> bool {
        APPLIED.contains(&(self.section.as_str(), self.key.as_str()))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.section, self.key)
    }
}

impl Config {
    /// Returns the settings that `later` has another value for, in alphabetical order. A setting that
    /// is named with its default does not differ from one that is absent.
    pub fn changes(&self, later: &Self) -> Vec<Change> {
        let (here, there) = (settings(self), settings(later));
        let mut changes: Vec<Change> = Vec::new();
        for (section, key, value) in &there {
            let before = here.iter().find(|(s, k, _)| (s, k) == (section, key));
            if before.is_none_or(|(_, _, before)| before != value) {
                changes.push(change(section, key));
            }
        }
        // An optional setting that is absent has no value.
        let has = |section: &str, key: &str| there.iter().any(|(s, k, _)| s == section && k == key);
        let removed = here.iter().filter(|(section, key, _)| !has(section, key));
        changes.extend(removed.map(|(section, key, _)| change(section, key)));
        changes.sort_by_key(ToString::to_string);
        changes
    }
}

fn change(section: &str, key: &str) -> Change {
    Change {
        section: section.to_owned(),
        key: key.to_owned(),
    }
}

/// Returns the effective value of each setting, with its section and its key.
fn settings(config: &Config) -> Vec<(String, String, Value)> {
    let table = Table::try_from(config).unwrap_or_default();
    let sections = table
        .into_iter()
        .filter_map(|(section, value)| match value {
            Value::Table(keys) => Some((section, keys)),
            _ => None,
        });
    let keys = sections.flat_map(|(section, keys)| {
        let keys = keys.into_iter();
        keys.map(move |(key, value)| (section.clone(), key, value))
    });
    keys.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(before: &str, after: &str) -> Vec<String> {
        let parse = |text| Config::parse(text).unwrap();
        let changes = parse(before).changes(&parse(after));
        let shown = |change: &Change| format!("{change} {}", change.is_applied());
        changes.iter().map(shown).collect()
    }

    #[test]
    fn values_are_compared_and_not_the_text() {
        let text = "[log]\nfilter = \"info\"\n[store]\nkeep_days = 0\n";
        assert!(changes("", text).is_empty());
        assert!(changes(text, "").is_empty());
    }

    #[test]
    fn each_change_is_named_with_its_section() {
        let before = "[identity]\npassphrase_file = \"/run/p\"\n";
        let after = "
            [log]
            filter = \"debug\"
            [network]
            listen = [\"127.0.0.1:0\"]
            [circle]
            secret_file = \"/run/s\"
        ";
        let expected = [
            "[circle] secret_file false",
            "[identity] passphrase_file false",
            "[log] filter true",
            "[network] listen false",
        ];
        assert_eq!(changes(before, after), expected);
    }

    #[test]
    fn every_applied_setting_exists() {
        let all = settings(&Config::default());
        for (section, key) in APPLIED {
            let exists = all.iter().any(|(s, k, _)| s == section && k == key);
            assert!(exists, "[{section}] {key}");
        }
    }
}
