//! Reasons and counters, each of which a page explains.

use crate::checks::files::SourceFile;
use regex::Regex;
use std::collections::BTreeMap;

/// Directories whose code names reasons and counters.
const CODE: [&str; 4] = ["m2d/", "m2-net/", "m2-proto/src/", "clients/"];

/// Where the pages for operators are. The generated reference lists the reasons of calls.
const PAGES: [&str; 2] = ["docs/operator/", "docs/reference/api.md"];

/// Names in capitals that are neither reasons nor counters: variables of the environment, and ends of files.
const OTHER: [&str; 8] = [
    "CARGO_",
    "CREDENTIALS_DIRECTORY",
    "JOURNAL_STREAM",
    "OUT_DIR",
    "M2_",
    "NO_COLOR",
    "XDG_",
    "MODE_",
];

/// Returns the reasons and counters in the code that no page for operators contains.
///
/// Errors: a pattern can't be built.
pub fn unexplained(files: &[SourceFile]) -> anyhow::Result<Vec<String>> {
    let word = Regex::new(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")?;
    let pages: String = files
        .iter()
        .filter(|file| PAGES.iter().any(|place| file.path.starts_with(place)))
        .map(|file| file.text.as_str())
        .collect();
    let explained: Vec<&str> = word.find_iter(&pages).map(|found| found.as_str()).collect();
    let mut missing = BTreeMap::new();
    for file in files.iter().filter(|file| is_code(&file.path)) {
        for name in names(&file.text)? {
            if !explained.contains(&name.as_str()) {
                missing.entry(name).or_insert(&file.path);
            }
        }
    }
    let lines = missing
        .into_iter()
        .map(|(name, path)| format!("{path}: no page in docs/operator explains {name}"));
    Ok(lines.collect())
}

fn is_code(path: &str) -> bool {
    let is_test = path.contains("/tests/") || path.ends_with("/tests.rs");
    let is_ours = CODE.iter().any(|place| path.starts_with(place));
    is_ours && path.ends_with(".rs") && !is_test && !path.contains("/packaging/")
}

/// Returns the names in the strings of code, apart from its unit tests and comments.
fn names(code: &str) -> anyhow::Result<Vec<String>> {
    let name = Regex::new("\"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\"")?;
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let found = lines.flat_map(|line| name.captures_iter(line));
    let names = found.filter_map(|found| Some(found.get(1)?.as_str().to_owned()));
    Ok(names
        .filter(|name| !OTHER.iter().any(|other| name.starts_with(other)))
        .collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_name_that_no_page_has_is_reported() {
        let files = [
            file(
                "m2d/src/a.rs",
                "count(\"A_B\"); count(\"C_D\"); var(\"M2_X\")\n// \"E_F\"\n",
            ),
            file("m2d/tests/a.rs", "\"G_H\""),
            file("docs/operator/reasons.md", "| `A_B` | a thing |"),
            file("docs/spec/a.md", "`C_D`"),
        ];
        let found = unexplained(&files).unwrap();
        assert_eq!(
            found,
            ["m2d/src/a.rs: no page in docs/operator explains C_D"]
        );
    }
}
