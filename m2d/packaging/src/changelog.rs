//! The release notes of a version, from CHANGELOG.md.

use crate::release::Release;
use anyhow::Context as _;
use std::fs;
use std::path::Path;

/// Returns the section of CHANGELOG.md about `version`, or the one about changes since the last release if the
/// version has none yet.
///
/// Errors: the file has neither section.
pub(crate) fn notes(root: &Path, version: &str) -> anyhow::Result<String> {
    let text = fs::read_to_string(root.join("CHANGELOG.md")).context("CHANGELOG.md")?;
    let body = section(&text, version)
        .or_else(|| section(&text, "Unreleased"))
        .with_context(|| format!("CHANGELOG.md has no section about {version}"))?;
    Ok(format!("# M2 {version}\n\n{}\n", body.trim()))
}

/// Returns a changelog in Debian's form. It refers to the release notes.
///
/// Errors: `date` fails.
pub(crate) fn debian(root: &Path, release: &Release) -> anyhow::Result<String> {
    let notes = notes(root, &release.version)?;
    let lines: String = notes
        .lines()
        .skip(1)
        .map(|line| match line.is_empty() {
            true => "\n".to_owned(),
            false => format!("  {line}\n"),
        })
        .collect();
    Ok(format!(
        "m2 ({}) stable; urgency=medium\n\n{}\n\n -- M2 maintainers <maintainers@localhost>  {}\n",
        release.version,
        lines.trim_matches('\n'),
        release.date("-R")?
    ))
}

/// Returns what is below the heading `## NAME`, or `## [NAME]` with anything after it.
fn section<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let is_heading = |line: &str| {
        let title = line
            .strip_prefix("## ")
            .map(|title| title.replace(['[', ']'], ""));
        title.is_some_and(|title| title.split_whitespace().next() == Some(name))
    };
    let mut start = 0;
    let mut lines = text.split_inclusive('\n');
    for line in lines.by_ref() {
        start += line.len();
        if is_heading(line) {
            let rest = text.get(start..)?;
            let end = rest.find("\n## ").unwrap_or(rest.len());
            return rest.get(..end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# Changelog\n\n## Unreleased\n\n- new\n\n## [1.2.0] - 2026-01-01\n\n- old\n\n## 1.1.0\n";

    #[test]
    fn a_section_ends_where_the_next_one_begins() {
        assert_eq!(section(TEXT, "Unreleased"), Some("\n- new\n"));
        assert_eq!(section(TEXT, "1.2.0"), Some("\n- old\n"));
        assert_eq!(section(TEXT, "1.1.0"), Some(""));
        assert_eq!(section(TEXT, "1.0.0"), None);
    }
}
