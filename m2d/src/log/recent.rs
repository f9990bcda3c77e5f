//! The last lines of the log, kept in memory for bug reports.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::Level;

/// The most lines that are kept, and the most characters of each. Lines are cut to less once private
/// texts are removed from them.
const LINES: usize = 200;
const LENGTH: usize = 4_096;

/// The last lines of level info and above: they name no peer, address or content.
#[derive(Debug, Clone, Default)]
pub(super) struct Recent(Arc<Mutex<VecDeque<String>>>);

impl Recent {
    /// Keeps a line unless its level may contain private data.
    pub(super) fn push(&self, level: &Level, line: &[u8]) {
        if *level > Level::INFO {
            return;
        }
        let line = plain(&String::from_utf8_lossy(line));
        // No update under this lock is ever left incomplete, so poisoning is ignored.
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// Returns the lines, oldest first.
    pub(super) fn lines(&self) -> Vec<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().cloned().collect()
    }
}

/// Returns a line without colours and line ends.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut in_escape = false;
    for c in line.trim_end().chars().take(LENGTH) {
        match c {
            '\u{1b}' => in_escape = true,
            c if in_escape => in_escape = !c.is_ascii_alphabetic(),
            c if c.is_control() => text.push(' '),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_levels_are_kept_and_only_the_last_lines() {
        let recent = Recent::default();
        recent.push(&Level::DEBUG, b"a peer and its address");
        assert!(recent.lines().is_empty());
        for number in 0..LINES + 5 {
            recent.push(&Level::INFO, format!("line {number}\n").as_bytes());
        }
        let lines = recent.lines();
        assert_eq!(lines.len(), LINES);
        assert_eq!(lines[0], "line 5");
    }

    #[test]
    fn colours_and_line_ends_are_removed() {
        assert_eq!(plain("\u{1b}[32m INFO\u{1b}[0m ready\n"), " INFO ready");
        assert_eq!(plain(&"x".repeat(9_000)).len(), LENGTH);
    }
}
