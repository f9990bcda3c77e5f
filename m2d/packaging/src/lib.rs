//! Packages of the daemon and its front-ends: Debian package, RPM, tarball and container image, with
//! checksums and release notes. Packages made twice from one commit have the same bytes.

mod assets;
mod changelog;
mod command;
mod containerfile;
mod image;
mod licences;
mod options;
mod packages;
mod programs;
mod release;
mod stage;
mod sums;
mod tarball;
mod twice;

pub use assets::{Asset, Assets};
pub use options::{Kind, Options};
pub use twice::make_twice;

use anyhow::Context as _;
use m2_verify::workspace;
use release::Release;
use stage::Stage;
use std::fs;

/// Makes the artefacts that `options` name, in the output directory.
///
/// Errors: a program does not build, or a tool that an artefact needs is missing or fails.
pub fn make(options: &Options) -> anyhow::Result<()> {
    let root = workspace::root()?;
    let release = Release::of(&root)?;
    let programs = programs::get(options, &root, &release)?;
    let stage = Stage::fill(options, &root, &programs, &release)?;
    for kind in options.kinds() {
        println!("==> {kind}");
        match kind {
            Kind::Deb => packages::deb(&stage, &release)?,
            Kind::Rpm => packages::rpm(&stage, &release)?,
            Kind::Tarball => tarball::make(&stage, &release)?,
            Kind::Image => image::make(&stage, &release)?,
        }
    }
    let notes = changelog::notes(&stage.root, &release.version)?;
    fs::write(stage.made().join("RELEASE-NOTES.md"), notes)?;
    print!("{}", sums::write(&stage.made())?);
    stage.finish().context("the artefacts can't be moved")
}
