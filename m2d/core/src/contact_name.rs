//! Names of contacts: which texts are valid names, and which names look alike to a person.

use unicode_security::skeleton;

/// The maximum length of a name, in bytes.
pub const MAX_NAME: usize = 64;

/// The prefix of every peer id.
const PEER_ID_PREFIX: &str = "m21";

/// Returns whether a text may be a name: it cannot be mistaken for a peer id, all its characters
/// are visible, and none moves the cursor or changes the direction of adjacent text.
pub fn is_fit(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.trim() == name
        && !name.chars().any(is_invisible)
        && !begins_like_a_peer_id(name)
}

fn begins_like_a_peer_id(name: &str) -> bool {
    let prefixes = keys(PEER_ID_PREFIX);
    let begins = |key: &String| prefixes.iter().any(|prefix| key.starts_with(prefix));
    keys(name).iter().any(begins)
}

/// Removes invisible characters, which often join emoji, from a suggested name. Control characters
/// are kept, so that the name stays unfit.
pub fn visible(suggested: &str) -> String {
    let visible: String = suggested
        .chars()
        .filter(|c| !is_invisible(*c) || c.is_control())
        .collect();
    visible.trim().to_owned()
}

/// Returns whether a person may confuse two names: they are equal, or differ only in case or in
/// characters with the same glyph (UTS 39 confusables).
pub fn look_alike(one: &str, other: &str) -> bool {
    let others = keys(other);
    let is_alike = keys(one).iter().any(|key| others.contains(key));
    is_alike || glyphs(one) == glyphs(other)
}

/// Returns two keys of a name, one of which two names share if they look alike, ignoring case. The
/// skeleton and the case do not commute: that of a capital I is a small l.
fn keys(name: &str) -> [String; 2] {
    let first = [name.to_owned(), glyphs(name)];
    first.map(|name| glyphs(&name.to_lowercase()).to_lowercase())
}

/// Returns the UTS 39 skeleton, which is equal for texts that are drawn alike.
fn glyphs(name: &str) -> String {
    skeleton(name).collect()
}

/// Returns whether a character is invisible: controls, line separators, bidirectional marks, the
/// code points that Unicode calls default ignorable (DerivedCoreProperties, version 16), and the
/// blank Braille pattern.
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
    fn a_name_with_an_invisible_character_is_unfit() {
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
    fn confusable_names_look_alike() {
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
    fn a_suggested_name_loses_its_invisible_characters() {
        assert_eq!(visible("a\u{200b}nn\u{fe0f} "), "ann");
        // A control character is not there by accident: the name stays unfit.
        assert!(!is_fit(&visible("a\nnn")));
        assert_eq!(visible("\u{200b}"), "");
    }

    /// The skeleton of a capital I is a small l, so that of ALICE is not that of alice in capitals.
    #[test]
    fn names_that_differ_only_in_case_look_alike() {
        for (one, other) in [
            ("alice", "ALICE"),
            ("Bill", "BILL"),
            ("ilse", "Ilse"),
            ("0slo", "OSLO"),
        ] {
            assert!(look_alike(one, other), "{one} {other}");
        }
        // A capital I for the small l of another name, in any case.
        for (one, other) in [("AIice", "Alice"), ("aIice", "ALICE")] {
            assert!(look_alike(one, other), "{one} {other}");
        }
        assert!(!look_alike("alice", "alise"));
    }
}
