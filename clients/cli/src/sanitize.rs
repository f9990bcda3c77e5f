//! Sanitising of text from peers before it is printed: it must not move the cursor, change colours,
//! or hide or reorder other text.

use unicode_width::UnicodeWidthChar;

/// Returns text as one line: control characters, including line breaks, are replaced by a space or
/// dropped.
pub(crate) fn line(text: &str) -> String {
    text.chars().filter_map(visible).collect()
}

/// Returns text as several lines: line breaks are kept, everything else is as in [`line`].
pub(crate) fn block(text: &str) -> String {
    text.replace("\r\n", "\n")
        .chars()
        .filter_map(|c| if c == '\n' { Some(c) } else { visible(c) })
        .collect()
}

/// Returns text like [`block`], with every line except the first indented by `indent`, so that a
/// message can't look like two. Lines that exceed a terminal of `width` columns are broken here,
/// because the terminal would continue them in its first column.
pub(crate) fn indented(text: &str, indent: usize, width: Option<usize>) -> String {
    let text = block(text.trim_end());
    let margin = width.map_or(indent, |width| indent.min(width / 2));
    // Terminals disagree about the width of some characters, so one column stays free.
    let room = width.map(|width| width.saturating_sub(margin + 1).max(1));
    let lines = text.split('\n').flat_map(|line| broken(line, room));
    let lines: Vec<String> = lines.collect();
    lines.join(&format!("\n{}", " ".repeat(margin)))
}

/// Splits a line into pieces that fit into `room` columns.
fn broken(line: &str, room: Option<usize>) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut used = 0;
    for c in line.chars() {
        let columns = c.width().unwrap_or(0);
        if room.is_some_and(|room| used + columns > room) {
            pieces.push(String::new());
            used = 0;
        }
        used += columns;
        if let Some(piece) = pieces.last_mut() {
            piece.push(c);
        }
    }
    pieces
}

/// Returns JSON that is safe on a terminal: characters that [`line`] drops are escaped, so that
/// nothing is lost. They can occur only inside strings, where an escape has the same meaning.
pub(crate) fn json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

fn visible(c: char) -> Option<char> {
    match c {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => Some(' '),
        c if is_unsafe(c) => None,
        c => Some(c),
    }
}

/// Returns whether a character is unsafe: control characters (C0, DEL, C1), line separators, marks
/// that change the writing direction, and invisible tags.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthStr;

    const EVIL: &str = "a\x1b]0;owned\x07b\u{9b}31mc\u{202e}d\x7f\r\ne\tf";

    #[test]
    fn one_line_has_no_controls() {
        assert_eq!(line(EVIL), "a]0;ownedb31mcd  e f");
        assert_eq!(block(EVIL), "a]0;ownedb31mcd\ne f");
    }

    #[test]
    fn a_message_can_not_look_like_two() {
        let text = "hi\n12:00 bob: no";
        assert_eq!(indented(text, 4, None), "hi\n    12:00 bob: no");
        assert_eq!(indented(text, 4, Some(80)), "hi\n    12:00 bob: no");
    }

    #[test]
    fn a_message_that_fills_the_line_continues_at_its_indent() {
        // Without the indent, blanks up to the end of the line would put the rest at the start of
        // the next line.
        let text = format!("hi{}12:00 bob: no", " ".repeat(36));
        let shown = indented(&text, 10, Some(40));
        assert!(
            shown
                .lines()
                .skip(1)
                .all(|line| line.starts_with("          "))
        );
        assert!(shown.lines().skip(1).all(|line| line.width() < 40));
        assert!(shown.replace("\n          ", "").ends_with("12:00 bob: no"));
        let wide = indented(&"世".repeat(60), 10, Some(40));
        assert!(wide.lines().skip(1).all(|line| line.width() < 40), "{wide}");
    }

    #[test]
    fn a_narrow_terminal_leaves_half_of_it_to_the_text() {
        let shown = indented(&"x".repeat(30), 60, Some(20));
        assert!(
            shown
                .lines()
                .skip(1)
                .all(|line| line.starts_with("          x"))
        );
    }

    #[test]
    fn json_escapes_unsafe_characters_without_loss() {
        let text = serde_json::to_string(EVIL).unwrap();
        let safe = json(&text);
        assert!(!safe.chars().any(is_unsafe));
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), EVIL);
        let tag = serde_json::to_string("x\u{e0041}").unwrap();
        assert_eq!(
            serde_json::from_str::<String>(&json(&tag)).unwrap(),
            "x\u{e0041}"
        );
    }

    #[test]
    fn other_scripts_and_emoji_are_kept() {
        let text = "Grüße, 世界 👩‍👩‍👧 שלום";
        assert_eq!(line(text), text);
    }
}
