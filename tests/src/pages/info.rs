//! Info strings: what a code block contains, and where it is run.

use anyhow::{Context as _, bail};

/// What a block contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Commands of a shell.
    Shell,
    /// Output of the commands before.
    Output,
    /// A configuration of the daemon.
    Toml,
    /// A JSON value.
    Json,
    /// A YAML document.
    Yaml,
    /// A unit of systemd, or a part of one.
    Unit,
    /// A script for Node.
    Node,
    /// A script for Python.
    Python,
}

/// Where the commands of a block run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On the reader's machine, under the reader's own login.
    User,
    /// On the reader's machine, as root.
    Root,
    /// The same, and the first process of the machine is systemd.
    Systemd,
    /// On the reader's machine, as root, with Podman.
    Podman,
}

/// The parsed info string of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// What the block contains.
    pub kind: Kind,
    /// Where it runs.
    pub place: Place,
    /// It goes on while the blocks after it run.
    pub is_background: bool,
    /// Only its table headings, or else the first words of its lines, are compared.
    pub is_like: bool,
    /// It runs in a copy of the source tree instead of the reader's home.
    pub in_source: bool,
    /// Why it is not run.
    pub norun: Option<String>,
    /// The file to which it is written instead of being run.
    pub file: Option<String>,
    /// The unit to which it belongs.
    pub unit: Option<String>,
    /// Programs without which it is skipped.
    pub needs: Vec<String>,
    /// Packages that lie in its working directory.
    pub artefacts: Vec<String>,
    /// Lines that are typed on its terminal.
    pub typed: Vec<String>,
    /// The exit code that it must have.
    pub exit: i32,
}

impl Info {
    /// Parses an info string, such as `sh root needs=openssl`.
    ///
    /// Errors: it is empty, or contains a word that is not known.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let mut words = text.split_whitespace();
        let language = words
            .next()
            .context("a code block without an info string: say what it contains")?;
        let mut info = Self::of(kind(language)?);
        for word in words {
            info.add(word)?;
        }
        Ok(info)
    }

    const fn of(kind: Kind) -> Self {
        Self {
            kind,
            place: Place::User,
            is_background: false,
            is_like: false,
            in_source: false,
            norun: None,
            file: None,
            unit: None,
            needs: Vec::new(),
            artefacts: Vec::new(),
            typed: Vec::new(),
            exit: 0,
        }
    }

    fn add(&mut self, word: &str) -> anyhow::Result<()> {
        let list = |text: &str| text.split(',').map(str::to_owned).collect();
        match word.split_once('=') {
            None => return self.add_flag(word),
            Some(("norun", reason)) if !reason.is_empty() => self.norun = Some(reason.to_owned()),
            Some(("file", path)) => self.file = Some(path.to_owned()),
            Some(("unit", name)) => self.unit = Some(name.to_owned()),
            Some(("needs", names)) => self.needs = list(names),
            Some(("artefacts", names)) => self.artefacts = list(names),
            Some(("typed", lines)) => self.typed = list(lines),
            Some(("exit", code)) => self.exit = code.parse().context("exit takes a number")?,
            Some(_) => bail!("`{word}` is not known"),
        }
        Ok(())
    }

    fn add_flag(&mut self, word: &str) -> anyhow::Result<()> {
        match word {
            "root" => self.place = Place::Root,
            "systemd" => self.place = Place::Systemd,
            "podman" => self.place = Place::Podman,
            "background" => self.is_background = true,
            "like" => self.is_like = true,
            "source" => self.in_source = true,
            _ => bail!("`{word}` is not known"),
        }
        Ok(())
    }
}

fn kind(language: &str) -> anyhow::Result<Kind> {
    Ok(match language {
        "sh" => Kind::Shell,
        "text" => Kind::Output,
        "toml" => Kind::Toml,
        "json" => Kind::Json,
        "yaml" => Kind::Yaml,
        "ini" => Kind::Unit,
        "js" => Kind::Node,
        "python" => Kind::Python,
        _ => bail!("no test knows what to do with a block of `{language}`"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_after_the_language_say_where_and_how() {
        let info = Info::parse("sh root background needs=a,b typed=x,x exit=4").unwrap();
        assert_eq!((info.kind, info.place), (Kind::Shell, Place::Root));
        assert!(info.is_background && !info.in_source);
        assert_eq!(info.needs, ["a", "b"]);
        assert_eq!(info.typed, ["x", "x"]);
        assert_eq!(info.exit, 4);
        let info = Info::parse("sh norun=macos").unwrap();
        assert_eq!(info.norun.as_deref(), Some("macos"));
    }

    #[test]
    fn an_unknown_word_is_an_error() {
        for text in [
            "",
            "bash",
            "sh roto",
            "sh norun=",
            "sh color=red",
            "toml exit=x",
        ] {
            assert!(Info::parse(text).is_err(), "{text}");
        }
    }
}
