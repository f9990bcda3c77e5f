//! Compares the output that a page shows with the real one.

use regex::Regex;

/// Returns the first line of `shown` that the output does not have after the lines before it. Numbers match
/// any numbers, identifiers of M2 match any, `…` matches any text, and spaces match any spaces.
///
/// Errors: a pattern can't be built.
pub(super) fn missing<'a>(shown: &'a str, output: &str) -> anyhow::Result<Option<&'a str>> {
    let mut lines = output.lines().map(str::trim);
    for line in shown.lines().filter(|line| !line.trim().is_empty()) {
        let pattern = pattern(line.trim())?;
        if !lines.any(|found| pattern.is_match(found)) {
            return Ok(Some(line));
        }
    }
    Ok(None)
}

/// Returns the first heading of a table in `shown` that the output does not have. If `shown` has none, returns the
/// first line that begins with a word with which no line of the output begins.
pub(super) fn missing_heading<'a>(shown: &'a str, output: &str) -> Option<&'a str> {
    let is_heading = |line: &&str| {
        line.len() > 3 && !line.contains(|one: char| one.is_lowercase() || one.is_numeric())
    };
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut headings = shown.lines().filter(is_heading).peekable();
    if headings.peek().is_some() {
        return headings.find(|heading| !output.lines().any(|line| words(line) == words(heading)));
    }
    let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
    shown
        .lines()
        .find(|line| !output.lines().any(|found| first(found) == first(line)))
}

fn pattern(line: &str) -> anyhow::Result<Regex> {
    let parts = Regex::new(r"m2:?/?/?[0-9a-z]{10,}|[0-9]+|\s+|…")?;
    let mut text = String::from("^");
    let mut end = 0;
    for part in parts.find_iter(line) {
        text.push_str(&regex::escape(line.get(end..part.start()).unwrap_or("")));
        text.push_str(replacement(part.as_str()));
        end = part.end();
    }
    text.push_str(&regex::escape(line.get(end..).unwrap_or("")));
    text.push('$');
    Ok(Regex::new(&text)?)
}

fn replacement(part: &str) -> &'static str {
    match part {
        "…" => ".*",
        part if part.starts_with("m2") => r"m2:?/?/?[0-9a-z]{10,}",
        part if part.starts_with(|first: char| first.is_ascii_digit()) => "[0-9]+",
        _ => r"\s+",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_identifiers_and_spaces_may_differ() {
        let output = "state  ready\nid m21y0ddk7thp0lew\nann   direct  7 ms\n";
        let shown = "id m2zzzzzzzzzzzzzz\nann direct 24 ms";
        assert_eq!(missing(shown, output).unwrap(), None);
        assert_eq!(missing("state …", output).unwrap(), None);
    }

    #[test]
    fn headings_or_first_words_are_enough() {
        let output = "Look-up\nSOURCE STATE\nlan off\n";
        assert_eq!(missing_heading("SOURCE   STATE\ndht works", output), None);
        assert_eq!(
            missing_heading("SOURCE   ABOUT", output),
            Some("SOURCE   ABOUT")
        );
        assert_eq!(missing_heading("lan works", output), None);
        assert_eq!(missing_heading("dht works", output), Some("dht works"));
    }

    #[test]
    fn other_words_and_another_order_are_reported() {
        let output = "a 1\nb 2\n";
        assert_eq!(missing("a 5\nc 2\n", output).unwrap(), Some("c 2"));
        assert_eq!(missing("b 2\na 1\n", output).unwrap(), Some("a 1"));
        assert_eq!(missing("a 1 x", output).unwrap(), Some("a 1 x"));
    }
}
