//! A page, and the blocks in it.

use super::info::{Info, Kind};
use anyhow::{Context as _, bail};

/// The beginning of a comment whose commands a test runs, and readers do not see.
const HIDDEN: &str = "<!-- test";
/// The beginning of the comment that says which daemons run when the page begins.
const SETUP: &str = "<!-- setup";
/// The end of both.
const END: &str = "-->";
const FENCE: &str = "```";

/// A page with its blocks in order.
#[derive(Debug, Clone)]
pub struct Page {
    /// The path of the page from the top of the repository.
    pub path: String,
    /// The words of its `<!-- setup … -->`; without this comment, `contacts`.
    pub setup: Vec<String>,
    /// Its code blocks, and the comments for tests.
    pub blocks: Vec<Block>,
}

/// A code block, or a comment with commands for tests.
#[derive(Debug, Clone)]
pub struct Block {
    /// The line of its first fence, counted from 1.
    pub line: usize,
    /// What it contains, and where it runs.
    pub info: Info,
    /// Readers do not see it.
    pub is_hidden: bool,
    /// Its lines.
    pub text: String,
}

impl Page {
    /// Parses a page.
    ///
    /// Errors: a block does not end, or its info string is not known.
    pub fn parse(path: &str, text: &str) -> anyhow::Result<Self> {
        let mut page = Self {
            path: path.to_owned(),
            setup: vec!["contacts".to_owned()],
            blocks: Vec::new(),
        };
        let mut lines = (1..).zip(text.lines());
        while let Some((number, line)) = lines.next() {
            page.take(number, line, &mut lines)
                .with_context(|| format!("{path}:{number}"))?;
        }
        Ok(page)
    }

    fn take<'a>(
        &mut self,
        number: usize,
        first: &str,
        rest: &mut impl Iterator<Item = (usize, &'a str)>,
    ) -> anyhow::Result<()> {
        let indent = first.len() - first.trim_start().len();
        let first = first.trim();
        let (info, is_hidden) = if let Some(info) = first.strip_prefix(FENCE) {
            (Info::parse(info)?, false)
        } else if let Some(words) = first.strip_prefix(HIDDEN) {
            (Info::parse(&format!("sh{words}"))?, true)
        } else if let Some(words) = first.strip_prefix(SETUP) {
            let words = words.strip_suffix(END).context("`-->` is missing")?;
            self.setup = words.split_whitespace().map(str::to_owned).collect();
            return Ok(());
        } else {
            return Ok(());
        };
        let end = if is_hidden { END } else { FENCE };
        let mut text = String::new();
        for (_, line) in rest {
            if line.trim() == end {
                self.blocks.push(Block {
                    line: number,
                    info,
                    is_hidden,
                    text,
                });
                return Ok(());
            }
            text.push_str(line.get(indent..).unwrap_or(line));
            text.push('\n');
        }
        bail!("the block does not end")
    }

    /// Returns whether a block of this page runs on a machine.
    pub fn needs_machines(&self) -> bool {
        self.blocks.iter().any(Block::is_run)
    }
}

impl Block {
    /// Returns whether the block is run on a machine.
    pub fn is_run(&self) -> bool {
        let is_program = matches!(self.info.kind, Kind::Shell | Kind::Node | Kind::Python);
        is_program && self.info.norun.is_none()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    const PAGE: &str = "# Page\n<!-- setup daemons -->\n\n<!-- test root\ntrue\n-->\n\n- item:\n\n  ```sh\n  m2 id\n    x\n  ```\n";

    #[test]
    fn blocks_comments_and_the_setup_are_found() {
        let page = Page::parse("p.md", PAGE).unwrap();
        assert_eq!(page.setup, ["daemons"]);
        assert_eq!(page.blocks.len(), 2);
        assert!(page.blocks[0].is_hidden);
        assert_eq!(page.blocks[1].line, 10);
        assert_eq!(page.blocks[1].text, "m2 id\n  x\n");
    }

    #[test]
    fn an_error_names_page_and_line() {
        for text in ["a\n```\nx\n```\n", "a\n```sh\nx\n", "a\n```sh wrong\n```\n"] {
            let error = Page::parse("p.md", text).unwrap_err();
            assert!(format!("{error:#}").starts_with("p.md:2: "), "{error:#}");
        }
    }
}
