//! Text of others on our terminal: nothing in it may move the cursor, change colours, hide or
//! reorder what else is there.

/// One line: every control character, line breaks included, becomes a space or nothing.
pub(crate) fn line(text: &str) -> String {
    text.chars().filter_map(visible).collect()
}

/// Several lines: line breaks stay, everything else as in [`line`].
pub(crate) fn block(text: &str) -> String {
    text.replace("\r\n", "\n")
        .chars()
        .filter_map(|c| if c == '\n' { Some(c) } else { visible(c) })
        .collect()
}

/// As [`block`], with every line but the first moved in by `indent`, so that a message can't
/// look like two.
pub(crate) fn indented(text: &str, indent: usize) -> String {
    block(text.trim_end()).replace('\n', &format!("\n{}", " ".repeat(indent)))
}

/// JSON that is safe on a terminal: what [`line`] drops is escaped, so that nothing is lost.
/// Such characters can stand only inside strings, where an escape means the same.
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

/// Control characters (C0, DEL, C1), separators of lines, marks that change the direction of
/// writing, and invisible tags.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const EVIL: &str = "a\x1b]0;owned\x07b\u{9b}31mc\u{202e}d\x7f\r\ne\tf";

    #[test]
    fn one_line_has_no_controls() {
        assert_eq!(line(EVIL), "a]0;ownedb31mcd  e f");
        assert_eq!(block(EVIL), "a]0;ownedb31mcd\ne f");
    }

    #[test]
    fn a_message_can_not_look_like_two() {
        assert_eq!(indented("hi\n12:00 bob: no", 4), "hi\n    12:00 bob: no");
    }

    #[test]
    fn json_keeps_everything_and_shows_nothing() {
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
    fn other_scripts_and_emoji_stay() {
        let text = "Grüße, 世界 👩‍👩‍👧 שלום";
        assert_eq!(line(text), text);
    }
}
