//! Names of contacts: which texts may be one, and which two look alike to a person.

use unicode_security::skeleton;

/// The longest name, bytes.
pub(super) const MAX_NAME: usize = 64;

/// What every peer id begins with.
const PEER_ID_PREFIX: &str = "m21";

/// Whether a text may be a name: it can't be mistaken for a peer id, every character of it is
/// visible, and none moves the cursor or changes the direction of the text next to it.
pub(super) fn is_fit(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.trim() == name
        && !name.chars().any(is_invisible)
        && !looks(name).starts_with(&looks(PEER_ID_PREFIX))
}

/// A name that a peer suggests, without its invisible characters: emoji are often joined by some.
pub(super) fn visible(suggested: &str) -> String {
    let visible: String = suggested
        .chars()
        .filter(|c| !is_invisible(*c) || c.is_control())
        .collect();
    visible.trim().to_owned()
}

/// Whether a person may take one name for the other: they differ in case alone, in characters
/// with the same glyph (UTS 39 confusables), or not at all.
pub(super) fn look_alike(one: &str, other: &str) -> bool {
    looks(one) == looks(other) || glyphs(one) == glyphs(other)
}

/// What a name looks like, whatever the case of its letters.
fn looks(name: &str) -> String {
    glyphs(&glyphs(name).to_lowercase()).to_lowercase()
}

/// The UTS 39 skeleton: equal for texts that are drawn alike.
fn glyphs(name: &str) -> String {
    skeleton(name).collect()
}

/// Characters that leave no mark: controls, separators of lines, marks for the direction of
/// writing, and what Unicode calls default ignorable (DerivedCoreProperties of version 16), with
/// the blank pattern of Braille.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_many_scripts_are_fit() {
        for name in [
            "ann",
            "Grüße",
            "世界",
            "שלום",
            "Ann's phone (old)",
            "🏠",
            "m2",
        ] {
            assert!(is_fit(name), "{name}");
        }
    }

    #[test]
    fn a_name_with_a_character_that_is_not_seen_is_unfit() {
        for hidden in [
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{2060}',
            '\u{ad}',
            '\u{fe0f}',
            '\u{3164}',
            '\u{180e}',
            '\u{202e}',
            '\u{34f}',
            '\u{e0041}',
            '\n',
            '\u{7f}',
        ] {
            assert!(!is_fit(&format!("a{hidden}nn")), "{hidden:?}");
            assert!(!is_fit(&hidden.to_string()), "{hidden:?}");
        }
        for unfit in ["", " ", " ann", "ann\u{a0}", "m21abc", "M21abc", "rn21abc"] {
            assert!(!is_fit(unfit), "{unfit:?}");
        }
    }

    #[test]
    fn names_that_a_person_takes_for_each_other_look_alike() {
        for (one, other) in [
            ("ann", "ANN"),
            ("ann", "аnn"),
            ("ann", "АNN"),
            ("Ian", "lan"),
            ("paypal", "paypa1"),
            ("Tom", "Torn"),
            ("a b", "a\u{a0}b"),
            ("é", "e\u{301}"),
        ] {
            assert!(look_alike(one, other), "{one} {other}");
        }
        for (one, other) in [("ann", "anna"), ("ben", "bob"), ("世", "界"), ("a", "á")] {
            assert!(!look_alike(one, other), "{one} {other}");
        }
    }

    #[test]
    fn a_suggested_name_loses_what_is_not_seen() {
        assert_eq!(visible("a\u{200b}nn\u{fe0f} "), "ann");
        // A control character is no accident: the name stays unfit.
        assert!(!is_fit(&visible("a\nnn")));
        assert_eq!(visible("\u{200b}"), "");
    }
}
