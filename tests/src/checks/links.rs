//! Relative links in the documentation.

use super::files::SourceFile;
use crate::workspace;
use std::path::Path;

/// Links in Markdown files that lead to no file.
///
/// Errors: the workspace is gone.
pub fn broken(files: &[SourceFile]) -> anyhow::Result<Vec<String>> {
    let root = workspace::root()?;
    Ok(files
        .iter()
        .filter(|file| file.is("md"))
        .flat_map(|file| in_file(file, &root))
        .collect())
}

/// Pages under `docs/` that the book's table of contents does not name.
pub fn unlisted(files: &[SourceFile]) -> Vec<String> {
    let summary = files
        .iter()
        .find(|file| file.path == "docs/SUMMARY.md")
        .map_or("", |file| file.text.as_str());
    files
        .iter()
        .filter(|file| file.is("md") && file.path != "docs/SUMMARY.md")
        .filter_map(|file| file.path.strip_prefix("docs/"))
        .filter(|page| !summary.contains(&format!("({page})")))
        .map(|page| format!("docs/{page}: not in docs/SUMMARY.md"))
        .collect()
}

fn in_file(file: &SourceFile, root: &Path) -> Vec<String> {
    let directory = root.join(&file.path);
    let Some(directory) = directory.parent() else {
        return Vec::new();
    };
    prose(&file.text)
        .flat_map(|(number, line)| targets(line).map(move |target| (number, target)))
        .filter(|(_, target)| !target.contains("://") && !target.starts_with("mailto:"))
        .filter(|(_, target)| {
            let path = target.split('#').next().unwrap_or_default();
            !path.is_empty() && !directory.join(path).exists()
        })
        .map(|(number, target)| format!("{}:{number}: {target} leads nowhere", file.path))
        .collect()
}

/// Lines outside code fences, numbered.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// What stands in `](…)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ']).next())
}
