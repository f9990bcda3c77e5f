//! What is made, and from what.

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use std::fmt::{self, Display};
use std::fs;
use std::path::{Path, PathBuf};

/// Builds the programs and makes packages of them: .deb, .rpm, a tarball and a container image, with checksums
/// and the release notes of the version.
#[derive(Debug, Clone, Parser)]
#[command(name = "cargo artefacts", version)]
pub struct Options {
    /// Makes only this; may be given more than once
    #[arg(long, value_name = "KIND")]
    pub(crate) only: Vec<Kind>,
    /// The directory of the artefacts [default: target/artefacts]
    #[arg(long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    /// Builds with this profile of cargo
    #[arg(long, default_value = "release")]
    pub(crate) profile: String,
    /// Packages the programs in this directory instead of building them
    #[arg(long, value_name = "DIR")]
    pub(crate) programs: Option<PathBuf>,
    /// Compresses the packages less, which is much quicker
    #[arg(long)]
    pub(crate) fast: bool,
    /// Builds the commit in two clones at different paths, and fails if any artefact differs
    #[arg(long, conflicts_with = "programs")]
    pub twice: bool,
}

/// An artefact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A Debian package, by cargo-deb.
    Deb,
    /// An RPM, by cargo-generate-rpm.
    Rpm,
    /// A tarball.
    Tarball,
    /// A container image.
    Image,
}

impl Options {
    /// Returns the artefacts to be made: all, unless some are named.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        match self.only.is_empty() {
            true => Kind::value_variants().to_vec(),
            false => self.only.clone(),
        }
    }

    /// Returns the path of the output directory, which is created.
    pub(crate) fn output(&self, root: &Path) -> anyhow::Result<PathBuf> {
        let directory = match &self.output {
            Some(directory) => directory.clone(),
            None => m2_verify::workspace::target(root).join("artefacts"),
        };
        fs::create_dir_all(&directory)
            .and_then(|()| directory.canonicalize())
            .with_context(|| format!("{} can't be created", directory.display()))
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deb => "deb",
            Self::Rpm => "rpm",
            Self::Tarball => "tarball",
            Self::Image => "image",
        })
    }
}
