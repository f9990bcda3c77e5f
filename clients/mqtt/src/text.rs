//! Text that a peer controls.

/// The mark at the end of a text that was cut.
const CUT: char = '…';

/// Returns the longest beginning of a text that has at most `bytes` bytes.
#[must_use]
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes.min(text.len())))
        .unwrap_or_default()
}

/// Returns a text in one line of at most `characters` characters, without control characters and without characters
/// that change the direction of writing.
#[must_use]
pub(crate) fn line(text: &str, characters: usize) -> String {
    let shown = |character: char| {
        if is_hidden(character) { ' ' } else { character }
    };
    let mut line: String = text.chars().take(characters).map(shown).collect();
    if text.chars().nth(characters).is_some() {
        line.pop();
        line.push(CUT);
    }
    line
}

fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
        )
        || ('\u{202a}'..='\u{202e}').contains(&character)
        || ('\u{2066}'..='\u{2069}').contains(&character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_never_divides_a_character() {
        assert_eq!(cut("grüße", 3), "gr");
        assert_eq!(cut("grüße", 4), "grü");
        assert_eq!(cut("grüße", 100), "grüße");
        assert_eq!(cut("", 5), "");
    }

    #[test]
    fn a_line_is_bounded_and_harmless() {
        assert_eq!(line("a\nb\u{202e}c\u{7}", 10), "a b c ");
        assert_eq!(line(&"x".repeat(300), 255).chars().count(), 255);
        assert!(line(&"x".repeat(300), 255).ends_with(CUT));
        assert_eq!(line(&"x".repeat(255), 255), "x".repeat(255));
    }
}
