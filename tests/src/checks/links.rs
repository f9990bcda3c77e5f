//! References to pages of the documentation: links in Markdown, and paths in comments.

use super::files::SourceFile;
use super::prose;
use crate::workspace;
use regex::Regex;
use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

/// Returns the references that lead to no file, or to no heading of it.
///
/// Errors: the workspace can't be found.
pub fn broken(files: &[SourceFile]) -> anyhow::Result<Vec<String>> {
    let pages = Pages::of(files)?;
    let link = Regex::new(r"\]\(([^) ]+)")?;
    let path = Regex::new(r"\bdocs/[a-z0-9/_-]+\.md(?:#[^\s`)\]>,;:.]+)?")?;
    let mut findings = Vec::new();
    for file in files {
        let is_page = file.is("md");
        for (number, line) in prose::of(file) {
            let links = link.captures_iter(line).filter_map(|found| found.get(1));
            let links = links.filter(|_| is_page).map(|found| found.as_str());
            let links = links.filter_map(|target| pages.broken_link(&file.path, target));
            let paths = path.find_iter(line).filter(|_| !is_page);
            let paths = paths.filter_map(|found| pages.broken_path(found.as_str()));
            let broken = links.chain(paths);
            findings.extend(broken.map(|problem| format!("{}:{number}: {problem}", file.path)));
        }
    }
    Ok(findings)
}

/// Returns the pages under `docs/` that the book's table of contents does not name.
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

/// The Markdown files, with the anchors of their headings.
struct Pages {
    root: PathBuf,
    anchors: HashMap<String, HashSet<String>>,
}

impl Pages {
    fn of(files: &[SourceFile]) -> anyhow::Result<Self> {
        let pages = files.iter().filter(|file| file.is("md"));
        Ok(Self {
            root: workspace::root()?,
            anchors: pages
                .map(|page| (page.path.clone(), anchors(page)))
                .collect(),
        })
    }

    /// Returns the problem with a link in the page at `from`.
    fn broken_link(&self, from: &str, target: &str) -> Option<String> {
        if target.contains("://") || target.starts_with("mailto:") {
            return None;
        }
        let (path, anchor) = split(target);
        let path = match path {
            "" => from.to_owned(),
            _ => resolved(from, path),
        };
        self.problem(&path, anchor, target)
    }

    /// Returns the problem with a path from the top of the repository.
    fn broken_path(&self, target: &str) -> Option<String> {
        let (path, anchor) = split(target);
        self.problem(path, anchor, target)
    }

    fn problem(&self, path: &str, anchor: &str, target: &str) -> Option<String> {
        let Some(anchors) = self.anchors.get(path) else {
            let exists = self.root.join(path).exists();
            return (!exists).then(|| format!("{target}: there is no {path}"));
        };
        let is_known = anchor.is_empty() || anchors.contains(anchor);
        (!is_known).then(|| format!("{target}: {path} has no heading with this anchor"))
    }
}

fn split(target: &str) -> (&str, &str) {
    target.split_once('#').unwrap_or((target, ""))
}

/// Returns the path of `target`, which is relative to the directory of the file at `from`.
fn resolved(from: &str, target: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    let directory = Path::new(from).parent().unwrap_or(Path::new(""));
    for component in directory.join(target).components() {
        match component {
            Component::ParentDir => {
                parts.pop();
            }
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            _ => {}
        }
    }
    parts.join("/")
}

/// Returns the anchors of a page's headings. A repeated heading has a number behind its anchor.
fn anchors(page: &SourceFile) -> HashSet<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let lines = prose::of(page).into_iter();
    let headings = lines.filter_map(|(_, line)| line.strip_prefix('#'));
    headings
        .map(|heading| {
            let anchor = anchor(heading.trim_start_matches('#').trim());
            let count = seen.entry(anchor.clone()).or_default();
            *count += 1;
            match *count {
                1 => anchor,
                count => format!("{anchor}-{}", count - 1),
            }
        })
        .collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|character| match character {
        ' ' => Some('-'),
        '-' | '_' => Some(character),
        _ => character.is_alphanumeric().then_some(character),
    });
    kept.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_those_of_the_book() {
        assert_eq!(anchor("4 and 5 Proof"), "4-and-5-proof");
        assert_eq!(
            anchor("What it gives, and what not"),
            "what-it-gives-and-what-not"
        );
        assert_eq!(anchor("The `m2` command"), "the-m2-command");
    }

    #[test]
    fn paths_are_resolved_from_their_page() {
        assert_eq!(
            resolved("docs/spec/line.md", "wire.md"),
            "docs/spec/wire.md"
        );
        assert_eq!(
            resolved("docs/spec/line.md", "../adr/x.md"),
            "docs/adr/x.md"
        );
        assert_eq!(resolved("README.md", "docs/a.md"), "docs/a.md");
    }
}
