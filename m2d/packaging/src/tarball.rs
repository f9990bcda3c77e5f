//! A tarball for systems without either kind of package.

use crate::command::run;
use crate::release::Release;
use crate::stage::Stage;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes the tarball: the tree of a package with the contents of `usr` at its top.
///
/// Errors: a file can't be copied, or GNU tar or gzip is missing.
pub(crate) fn make(stage: &Stage, release: &Release) -> anyhow::Result<()> {
    let name = format!("m2-{}-{}", release.version, Release::platform());
    let tree = stage.directory.join(&name);
    for asset in stage.assets()?.iter() {
        let place = asset.place.strip_prefix("usr/").unwrap_or(&asset.place);
        asset.copy(&tree, place)?;
    }
    let file = stage.made().join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.arg(stage.compression()).arg("-cf").arg(file);
    pack(tar, &stage.directory, &[name.into()], release)
}

/// Completes a command of tar that packs `names` in `directory`: in the order of names, with the time of the
/// release and without users of this machine.
///
/// Errors: tar is missing or fails.
pub(crate) fn pack(
    mut tar: Command,
    directory: &Path,
    names: &[PathBuf],
    release: &Release,
) -> anyhow::Result<()> {
    tar.args(["--sort=name", "--format=gnu", "--numeric-owner"]);
    tar.args(["--owner=0", "--group=0"]);
    tar.arg(format!("--mtime=@{}", release.epoch));
    tar.arg("-C").arg(directory).args(names);
    run(tar.env("LC_ALL", "C"), "install tar")
}
