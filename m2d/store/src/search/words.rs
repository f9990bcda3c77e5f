//! Splits texts into words for the full-text index (docs/adr/0013-search-words.md).
//!
//! SQLite's tokenizers treat a sentence in a language without spaces as one word, and skip emoji.
//! So texts and queries are split here and passed to the index as words separated by spaces:
//!
//! - A sequence of letters and digits is one word, in lower case, with Latin letters without
//!   diacritics and compatibility forms (full-width Latin, half-width katakana) in their ordinary
//!   form.
//! - Scripts without spaces between words, and Hangul, whose particles are attached to words, are
//!   indexed as overlapping pairs of characters. The last character of a run is also a word, so
//!   that every character begins exactly one word and a single character is found by prefix.
//! - Every emoji and pictograph is a word.

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_normalizer::properties::{CanonicalDecompositionBorrowed, Decomposed};

/// The classes of characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// A part of a word that is delimited by spaces.
    Letter,
    /// A character of a script in which a word may begin at any position.
    Dense,
    /// A character that is a word.
    Symbol,
    /// Ignored: a combining accent, or a selector of an emoji's form.
    Mark,
    /// A separator of words.
    Gap,
}

/// Returns the words of `text` as they are indexed, separated by spaces.
pub(super) fn of_text(text: &str) -> String {
    let mut cutter = Cutter::default();
    cutter.feed(text);
    cutter.end_run();
    cutter.words
}

/// Returns the FTS5 expression for all parts of `query`, which are separated by blanks; `None` if
/// no part contains a word. Within a part, words must be adjacent.
pub(crate) fn match_expression(query: &str) -> Option<String> {
    let parts: Vec<String> = query
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter_map(phrase)
        .collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// Returns the phrase that finds `part` in any text that contains it. Words contain no characters
/// with a syntactic meaning, but are quoted nevertheless.
fn phrase(part: &str) -> Option<String> {
    let mut cutter = Cutter::default();
    cutter.feed(part);
    let is_prefix = cutter.end_query();
    let words = cutter.words;
    let star = if is_prefix { " *" } else { "" };
    (!words.is_empty()).then(|| format!("\"{words}\"{star}"))
}

/// Splits a text character by character and collects its words.
#[derive(Default)]
struct Cutter {
    words: String,
    /// The last character of the current run of a dense script.
    dense: Option<char>,
    /// True if the current run has more than one character.
    has_pair: bool,
    /// True inside a word that is delimited by spaces.
    in_word: bool,
}

impl Cutter {
    fn feed(&mut self, text: &str) {
        let normalized = ComposingNormalizerBorrowed::new_nfkc().normalize(text);
        for c in normalized.chars().flat_map(char::to_lowercase) {
            self.push(c);
        }
    }

    fn push(&mut self, c: char) {
        let class = class_of(c);
        if !matches!(class, Class::Dense | Class::Mark) {
            self.end_run();
        }
        match class {
            Class::Letter => {
                if !self.in_word {
                    self.begin_word();
                    self.in_word = true;
                }
                self.words.push(base_letter(c));
            }
            Class::Dense => self.push_dense(c),
            Class::Symbol => {
                self.begin_word();
                self.words.push(c);
                self.in_word = false;
            }
            Class::Mark => {}
            Class::Gap => self.in_word = false,
        }
    }

    fn push_dense(&mut self, c: char) {
        self.in_word = false;
        if let Some(before) = self.dense.replace(c) {
            self.begin_word();
            self.words.push(before);
            self.words.push(c);
            self.has_pair = true;
        }
    }

    /// Ends the run of a dense script: its last character becomes a word.
    fn end_run(&mut self) {
        if let Some(last) = self.dense.take() {
            self.begin_word();
            self.words.push(last);
        }
        self.has_pair = false;
    }

    /// Ends the query. The text may continue a run at the end of the query: the last character of a
    /// longer run is covered by the last pair; a single character begins a word. Returns whether
    /// the last word is a prefix.
    fn end_query(&mut self) -> bool {
        let is_prefix = self.dense.is_some() && !self.has_pair;
        if self.has_pair {
            self.dense = None;
        }
        self.end_run();
        is_prefix
    }

    fn begin_word(&mut self) {
        if !self.words.is_empty() {
            self.words.push(' ');
        }
    }
}

fn class_of(c: char) -> Class {
    if c.is_ascii() {
        return if c.is_ascii_alphanumeric() {
            Class::Letter
        } else {
            Class::Gap
        };
    }
    match c {
        // Combining accents, joiners between emoji, and selectors of an emoji's form.
        '\u{300}'..='\u{36f}' | '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' => Class::Mark,
        // Tags within flags of regions, and skin tones, so that an emoji of any skin tone is found.
        '\u{e0020}'..='\u{e007f}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{20e3}' => Class::Mark,
        _ if is_dense(c) => Class::Dense,
        _ if is_pictograph(c) => Class::Symbol,
        _ if c.is_alphanumeric() => Class::Letter,
        _ => Class::Gap,
    }
}

/// Returns whether a word may begin at any position in a run of these characters: Thai, Lao,
/// Burmese, Khmer, Tibetan, Hangul, kana, bopomofo, Yi and Han, including their vowel signs.
fn is_dense(c: char) -> bool {
    matches!(c,
        '\u{e01}'..='\u{e3a}' | '\u{e40}'..='\u{e4e}' | '\u{e81}'..='\u{ece}'
            | '\u{edc}'..='\u{edf}' | '\u{f40}'..='\u{fbc}' | '\u{1000}'..='\u{1049}'
            | '\u{1050}'..='\u{109f}' | '\u{1100}'..='\u{11ff}' | '\u{1780}'..='\u{17d3}'
            | '\u{3005}'..='\u{3007}' | '\u{3031}'..='\u{3035}' | '\u{303b}'
            | '\u{3041}'..='\u{3096}' | '\u{309d}'..='\u{309f}' | '\u{30a1}'..='\u{30fa}'
            | '\u{30fc}'..='\u{30ff}' | '\u{3105}'..='\u{312f}' | '\u{3131}'..='\u{318e}'
            | '\u{31a0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{a4cf}'
            | '\u{a960}'..='\u{a97c}' | '\u{a9e0}'..='\u{a9fe}' | '\u{aa60}'..='\u{aa7f}'
            | '\u{ac00}'..='\u{d7fb}' | '\u{f900}'..='\u{faff}' | '\u{16fe0}'..='\u{18d08}'
            | '\u{1aff0}'..='\u{1b2fb}' | '\u{20000}'..='\u{3fffd}')
}

/// Returns whether a character is an emoji or a pictograph: arrows, technical and geometric signs,
/// dingbats and all pictographic blocks, including code points that are not assigned yet.
fn is_pictograph(c: char) -> bool {
    matches!(c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}'
            | '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{23ff}' | '\u{2460}'..='\u{24ff}'
            | '\u{25a0}'..='\u{27bf}' | '\u{2900}'..='\u{297f}' | '\u{2b00}'..='\u{2bff}'
            | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}')
}

/// Returns a Latin letter without its diacritics, and any other character unchanged.
fn base_letter(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    let decomposition = CanonicalDecompositionBorrowed::new();
    let mut base = c;
    while let Decomposed::Expansion(first, _) = decomposition.decompose(base) {
        base = first;
    }
    if base.is_ascii_alphabetic() { base } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_between_spaces_are_folded() {
        assert_eq!(
            of_text("Grüße, aus KÖLN!  É2 Tiếng"),
            "gruße aus koln e2 tieng"
        );
        assert_eq!(of_text("Ｆｕｌｌ ｶﾀｶﾅ"), of_text("full カタカナ"));
        assert_eq!(of_text("e\u{301}te\u{301}"), "ete");
        assert_eq!(of_text("мой Ωμέγα"), "мой ωμέγα");
    }

    #[test]
    fn dense_scripts_become_pairs_and_a_last_character() {
        assert_eq!(of_text("今天天气"), "今天 天天 天气 气");
        assert_eq!(of_text("A型 iPhone手机。好"), "a 型 iphone 手机 机 好");
        assert_eq!(of_text("권리는"), "권리 리는 는");
        assert_eq!(of_text("𠮷野家"), "𠮷野 野家 家");
    }

    #[test]
    fn every_emoji_is_a_word() {
        assert_eq!(of_text("see you👍🏽 soon❤️"), "see you 👍 soon ❤");
        assert_eq!(of_text("👩‍💻👩"), "👩 💻 👩");
    }

    #[test]
    fn a_query_is_a_phrase_for_each_part() {
        let of = |query| match_expression(query);
        assert_eq!(of("  \0 … "), None);
        assert_eq!(of("天气").as_deref(), Some("\"天气\""));
        assert_eq!(of("天天气").as_deref(), Some("\"天天 天气\""));
        assert_eq!(of("天").as_deref(), Some("\"天\" *"));
        assert_eq!(of("a天").as_deref(), Some("\"a 天\" *"));
        assert_eq!(of("天气a").as_deref(), Some("\"天气 气 a\""));
        assert_eq!(of("👍").as_deref(), Some("\"👍\""));
    }

    #[test]
    fn a_query_is_never_syntax() {
        assert_eq!(match_expression("a\0b").as_deref(), Some("\"a\" \"b\""));
        assert_eq!(
            match_expression("a OR \"b* NEAR(").as_deref(),
            Some("\"a\" \"or\" \"b\" \"near\"")
        );
    }
}
