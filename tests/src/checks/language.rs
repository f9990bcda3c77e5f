//! The phrases that the project's prose does not use.

use super::files::SourceFile;
use super::prose;
use anyhow::Context as _;
use regex::{Regex, RegexBuilder};

/// The list of phrases, with the words to use in their place.
const LIST: &str = "tests/checks/dialect.txt";

/// A phrase, and the advice for it.
struct Phrase {
    pattern: Regex,
    instead: String,
}

/// Returns every phrase of the list that a comment or a page contains.
///
/// Errors: the list is missing, or a pattern in it can't be read.
pub fn dialect(files: &[SourceFile]) -> anyhow::Result<Vec<String>> {
    let list = files.iter().find(|file| file.path == LIST);
    let phrases = phrases(&list.context("the list of phrases is missing")?.text)?;
    let checked = files.iter().filter(|file| file.path != LIST);
    Ok(checked.flat_map(|file| in_file(file, &phrases)).collect())
}

fn phrases(list: &str) -> anyhow::Result<Vec<Phrase>> {
    let lines = list.lines();
    let entries = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    entries.map(phrase).collect()
}

fn phrase(entry: &str) -> anyhow::Result<Phrase> {
    let (pattern, instead) = entry
        .split_once('\t')
        .with_context(|| format!("{entry}: no tab between pattern and advice"))?;
    let pattern = RegexBuilder::new(pattern).case_insensitive(true).build()?;
    Ok(Phrase {
        pattern,
        instead: instead.to_owned(),
    })
}

fn in_file(file: &SourceFile, phrases: &[Phrase]) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in prose::of(file) {
        let line = prose::without_code(line);
        for phrase in phrases {
            if let Some(found) = phrase.pattern.find(&line) {
                let (found, instead) = (found.as_str(), &phrase.instead);
                findings.push(format!(
                    "{}:{number}: \"{found}\": write {instead}",
                    file.path
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn phrases_are_found_in_prose_alone() {
        let phrases = phrases("# A comment\n\\banew\\b\tagain\n").unwrap();
        let file = SourceFile {
            path: "a.rs".to_owned(),
            text: "// Dials Anew.\n// Calls `anew`.\nlet anew = 1;\n".to_owned(),
        };
        let found = in_file(&file, &phrases);
        assert_eq!(found, ["a.rs:1: \"Anew\": write again"]);
    }
}
