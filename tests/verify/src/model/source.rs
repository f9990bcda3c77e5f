//! The annotations of a model: its variants, the result of each query, the number of sessions. All are
//! comments, so that Verifpal reads the file as it is.
//!
//! ```text
//! // sessions: 1 in VARIANT
//! //~ VARIANT, VARIANT: replaces the line of the model above
//! //+ VARIANT: is inserted here
//! confidentiality? m // expect: pass, attack in VARIANT, VARIANT
//! ```

use anyhow::{Context as _, bail};
use std::collections::BTreeSet;
use std::fmt;

/// The number of sessions of a model that states none.
const SESSIONS: u8 = 2;

/// What Verifpal finds for a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    Attack,
}

impl Verdict {
    fn parse(word: &str) -> anyhow::Result<Self> {
        match word {
            "pass" => Ok(Self::Pass),
            "attack" => Ok(Self::Attack),
            _ => bail!("`{word}` is neither `pass` nor `attack`"),
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Pass => Self::Attack,
            Self::Attack => Self::Pass,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Attack => "attack",
        })
    }
}

/// A query of one variant, with the result that the model states.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query {
    /// The line, from 1.
    pub(super) line: usize,
    pub(super) text: String,
    pub(super) expected: Verdict,
}

/// A line of the file.
#[derive(Debug)]
enum Line {
    /// Part of the model itself.
    Plain(String),
    /// In the variants, the text takes the place of an earlier line.
    Replace {
        line: usize,
        variants: Vec<String>,
        text: String,
    },
    /// In the variants, the text is part of the model.
    Insert { variants: Vec<String>, text: String },
    /// The number of sessions, of the given variants or of all that are not given elsewhere.
    Sessions { variants: Vec<String>, number: u8 },
}

/// An annotated model.
#[derive(Debug)]
pub(super) struct Model {
    lines: Vec<Line>,
    variants: BTreeSet<String>,
}

impl Model {
    /// Parses a model and checks that each query that passes has a variant in which it does not.
    ///
    /// Errors: an annotation is malformed or names an unknown variant, or a query has no stated
    /// result or no variant in which it fails.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut lines: Vec<Line> = Vec::new();
        for (index, text) in text.lines().enumerate() {
            let above = lines.iter().rposition(is_code);
            let line = parse_line(text, above).with_context(|| format!("line {}", index + 1))?;
            lines.push(line);
        }
        let variants = lines.iter().flat_map(changed_variants).cloned().collect();
        let model = Self { lines, variants };
        model.check()?;
        Ok(model)
    }

    /// Returns the model itself, `None`, and all its variants.
    pub(super) fn variants(&self) -> impl Iterator<Item = Option<&str>> {
        std::iter::once(None).chain(self.variants.iter().map(|name| Some(name.as_str())))
    }

    /// Returns the number of sessions that each principal of the variant runs.
    pub(super) fn sessions(&self, variant: Option<&str>) -> u8 {
        let mut sessions = SESSIONS;
        for line in &self.lines {
            match line {
                Line::Sessions { variants, number } if variants.is_empty() => sessions = *number,
                Line::Sessions { variants, number } if names(variants, variant) => return *number,
                _ => {}
            }
        }
        sessions
    }

    /// Returns the model or a variant of it. Each line keeps its number.
    pub(super) fn text(&self, variant: Option<&str>) -> String {
        let mut texts: Vec<&str> = Vec::new();
        for line in &self.lines {
            let text = match line {
                Line::Plain(text) => text,
                Line::Insert { variants, text } if names(variants, variant) => text,
                _ => "",
            };
            texts.push(text);
            if let Line::Replace {
                line,
                variants,
                text,
            } = line
                && names(variants, variant)
                && let Some(replaced) = texts.get_mut(*line)
            {
                *replaced = text;
            }
        }
        texts.join("\n")
    }

    /// Returns the queries of a variant.
    pub(super) fn queries(&self, variant: Option<&str>) -> anyhow::Result<Vec<Query>> {
        let text = self.text(variant);
        let start = text.lines().position(|line| line.starts_with("queries["));
        let start = start.context("no line `queries[`")?;
        let mut queries = Vec::new();
        for (index, line) in text.lines().enumerate().skip(start + 1) {
            let Some((query, comment)) = split_query(line) else {
                continue;
            };
            let number = index + 1;
            let (usual, other) =
                expectation(comment).with_context(|| format!("line {number}: `{query}`"))?;
            self.known(&other)?;
            queries.push(Query {
                line: number,
                text: query.to_owned(),
                expected: if names(&other, variant) {
                    usual.other()
                } else {
                    usual
                },
            });
        }
        Ok(queries)
    }

    fn check(&self) -> anyhow::Result<()> {
        let mut can_fail = BTreeSet::new();
        let mut all = BTreeSet::new();
        for variant in self.variants() {
            for query in self.queries(variant)? {
                if query.expected == Verdict::Attack {
                    can_fail.insert(query.text.clone());
                }
                all.insert(query.text);
            }
        }
        if let Some(query) = all.difference(&can_fail).next() {
            bail!("no variant in which `{query}` fails");
        }
        for line in &self.lines {
            if let Line::Sessions { variants, .. } = line {
                self.known(variants)?;
            }
        }
        Ok(())
    }

    fn known(&self, names: &[String]) -> anyhow::Result<()> {
        match names.iter().find(|name| !self.variants.contains(*name)) {
            Some(unknown) => bail!("unknown variant `{unknown}`"),
            None => Ok(()),
        }
    }
}

fn names(variants: &[String], variant: Option<&str>) -> bool {
    variant.is_some_and(|variant| variants.iter().any(|name| name == variant))
}

/// Returns whether a line holds a part of the model that an annotation below it may replace.
fn is_code(line: &Line) -> bool {
    matches!(line, Line::Plain(text) if !text.trim().is_empty() && !text.trim().starts_with("//"))
}

fn changed_variants(line: &Line) -> &[String] {
    match line {
        Line::Replace { variants, .. } | Line::Insert { variants, .. } => variants,
        Line::Plain(_) | Line::Sessions { .. } => &[],
    }
}

fn parse_line(text: &str, above: Option<usize>) -> anyhow::Result<Line> {
    let trimmed = text.trim();
    if let Some(rest) = trimmed.strip_prefix("//~ ") {
        let (variants, text) = annotation(rest)?;
        let line = above.context("no line above to replace")?;
        return Ok(Line::Replace {
            line,
            variants,
            text,
        });
    }
    if let Some(rest) = trimmed.strip_prefix("//+ ") {
        let (variants, text) = annotation(rest)?;
        return Ok(Line::Insert { variants, text });
    }
    if let Some(rest) = trimmed.strip_prefix("// sessions: ") {
        let (number, variants) = rest.split_once(" in ").unwrap_or((rest, ""));
        let number = number.parse().context("no number of sessions")?;
        return Ok(Line::Sessions {
            variants: list(variants),
            number,
        });
    }
    Ok(Line::Plain(text.to_owned()))
}

/// Splits `VARIANT, VARIANT: TEXT`.
fn annotation(text: &str) -> anyhow::Result<(Vec<String>, String)> {
    let (variants, text) = text
        .split_once(": ")
        .context("no `: ` after the variants")?;
    let variants = list(variants);
    let is_name = |name: &String| {
        name.chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    if variants.is_empty() || !variants.iter().all(is_name) {
        bail!("a variant's name consists of lower-case letters, digits and hyphens");
    }
    Ok((variants, text.to_owned()))
}

fn list(names: &str) -> Vec<String> {
    let names = names.split(',').map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Splits a query from the comment after it. Returns nothing for a line that holds no query.
fn split_query(line: &str) -> Option<(&str, &str)> {
    let (code, comment) = line.split_once("//").unwrap_or((line, ""));
    code.contains("? ").then(|| (code.trim(), comment.trim()))
}

/// Reads `expect: pass, attack in VARIANT, VARIANT`. Returns the usual verdict, and the variants
/// that have the other one.
fn expectation(comment: &str) -> anyhow::Result<(Verdict, Vec<String>)> {
    let expected = comment
        .strip_prefix("expect: ")
        .context("no `// expect: `")?;
    let Some((usual, rest)) = expected.split_once(", ") else {
        return Ok((Verdict::parse(expected)?, Vec::new()));
    };
    let usual = Verdict::parse(usual)?;
    let (other, variants) = rest.split_once(" in ").context("no ` in `")?;
    if Verdict::parse(other)? != usual.other() {
        bail!("both verdicts are `{other}`");
    }
    Ok((usual, list(variants)))
}

#[cfg(test)]
mod tests;
