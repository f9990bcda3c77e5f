//! The settings of a configuration file without anything private, for bug reports.

use toml::{Table, Value};

/// The settings whose text is one of a few words.
const WORDS: [&str; 3] = ["privacy.ip", "privacy.padding", "identity.passphrase"];

/// Returns the settings that a configuration makes, one `table.key = value` each. Numbers, switches
/// and words are given as they are. Paths, addresses and names may say who someone is: they are
/// given as `(set)`, and lists by their length.
pub(super) fn summary(text: &str) -> Vec<String> {
    let Ok(table) = text.parse::<Table>() else {
        return Vec::new();
    };
    let mut settings = Vec::new();
    for (section, value) in table {
        match value {
            Value::Table(keys) => settings.extend(
                keys.iter()
                    .map(|(key, value)| setting(&format!("{section}.{key}"), value)),
            ),
            value => settings.push(setting(&section, &value)),
        }
    }
    settings
}

fn setting(key: &str, value: &Value) -> String {
    let shown = match value {
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(is_on) => is_on.to_string(),
        Value::String(word) if WORDS.contains(&key) && is_word(word) => word.clone(),
        Value::String(_) | Value::Datetime(_) => "(set)".to_owned(),
        Value::Array(entries) => format!("({} entries)", entries.len()),
        Value::Table(entries) => format!("({} keys)", entries.len()),
    };
    format!("{key} = {shown}")
}

fn is_word(text: &str) -> bool {
    text.len() <= 16 && text.chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_private_is_in_the_summary() {
        let text = "
            [circle]
            name = \"the Millers\"
            secret_file = \"/home/miller/secret\"
            [network]
            listen = [\"192.0.2.7:4000\"]
            session_keys = 7
            [privacy]
            ip = \"prefer-line\"
            [relay]
            serve = true
            [log]
            filter = \"m2d=debug\"
        ";
        let expected = [
            "circle.name = (set)",
            "circle.secret_file = (set)",
            "log.filter = (set)",
            "network.listen = (1 entries)",
            "network.session_keys = 7",
            "privacy.ip = prefer-line",
            "relay.serve = true",
        ];
        let mut found = summary(text);
        found.sort();
        assert_eq!(found, expected);
    }
}
