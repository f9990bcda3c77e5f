//! The text in source files that is written for people: comments and Markdown.

use super::files::SourceFile;

/// Comment markers at the start of a line, the longest first, and the files that have them.
const SLASHES: [&str; 3] = ["///", "//!", "//"];
const HASHES: [&str; 1] = ["#"];
const DASHES: [&str; 1] = ["--"];

/// Returns the prose of a file, line by line, with 1-based line numbers. Fenced code blocks are left out.
/// Files of other kinds have no prose.
pub(super) fn of(file: &SourceFile) -> Vec<(usize, &str)> {
    let lines = (1..).zip(file.text.lines());
    let marked: Vec<(usize, &str)> = match extension(file) {
        "md" => lines.collect(),
        "rs" | "proto" => comments(lines, &SLASHES),
        "toml" | "sh" | "service" => comments(lines, &HASHES),
        "sql" => comments(lines, &DASHES),
        _ => Vec::new(),
    };
    without_fences(marked)
}

/// Returns a line with everything in backquotes replaced by spaces of the same length.
pub(super) fn without_code(line: &str) -> String {
    let mut is_code = false;
    let blank = |character: char| {
        is_code ^= character == '`';
        if is_code || character == '`' {
            ' '
        } else {
            character
        }
    };
    line.chars().map(blank).collect()
}

fn extension(file: &SourceFile) -> &str {
    file.path
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension)
}

fn comments<'a>(
    lines: impl Iterator<Item = (usize, &'a str)>,
    markers: &[&str],
) -> Vec<(usize, &'a str)> {
    let text = |line: &'a str| {
        let line = line.trim_start();
        markers.iter().find_map(|marker| line.strip_prefix(marker))
    };
    lines
        .filter_map(|(number, line)| text(line).map(|text| (number, text)))
        .collect()
}

fn without_fences(lines: Vec<(usize, &str)>) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let is_outside = |(_, line): &(usize, &str)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    };
    lines.into_iter().filter(is_outside).collect()
}

#[cfg(test)]
mod tests {
    use super::super::files::file;
    use super::*;

    #[test]
    fn comments_are_prose_and_code_is_not() {
        let rust = file(
            "a.rs",
            "//! One.\nlet x = 1;\n    // Two.\n/// ```\n/// code\n/// ```\n",
        );
        assert_eq!(of(&rust), [(1, " One."), (3, " Two.")]);
        let markdown = file("a.md", "One\n```sh\ncode\n```\nTwo");
        assert_eq!(of(&markdown), [(1, "One"), (5, "Two")]);
        assert_eq!(of(&file("a.bin", "// One")), []);
    }

    #[test]
    fn code_in_backquotes_is_blanked() {
        assert_eq!(without_code("a `b c` d"), "a       d");
    }
}
