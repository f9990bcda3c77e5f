//! The container image: the programs and the libraries that they load, in one layer.

use crate::assets::{Asset, make_directories};
use crate::command::output;
use crate::containerfile::Containerfile;
use crate::programs::CONTAINER;
use crate::release::Release;
use crate::stage::Stage;
use crate::sums::sha256;
use crate::tarball::pack;
use anyhow::Context as _;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Directories that every user of the container can write, whichever PUID names.
const OPEN: [&str; 3] = ["data", "run", "tmp"];
/// Licences of the libraries that are copied from this system.
const LICENCES: [&str; 2] = ["libc6", "libgcc-s1"];

/// Makes the image, as an archive for `podman load` and `docker load`.
///
/// Errors: a library of a program is missing, or GNU tar or gzip is.
pub(crate) fn make(stage: &Stage, release: &Release) -> anyhow::Result<()> {
    let root = stage.directory.join("rootfs");
    fill(stage, &root)?;
    let parts = stage.directory.join("image");
    make_directories(&parts)?;
    let unnamed = parts.join("layer");
    let mut tar = Command::new("tar");
    tar.arg("-cf").arg(&unnamed);
    pack(tar, &root, &names(&root)?, release)?;
    let layer = sha256(&unnamed)?;
    fs::rename(unnamed, parts.join(format!("{layer}.tar")))?;
    describe(stage, &parts, &layer, release)?;
    let file = format!(
        "m2-{}-{}.image.tar.gz",
        release.version,
        Release::platform()
    );
    let mut tar = Command::new("tar");
    // Whatever the umask was when the parts were written.
    tar.arg("--mode=0644").arg(stage.compression());
    tar.arg("-cf").arg(stage.made().join(file));
    pack(tar, &parts, &names(&parts)?, release)
}

/// Writes the configuration of the image, and the manifest of the archive.
fn describe(stage: &Stage, parts: &Path, layer: &str, release: &Release) -> anyhow::Result<()> {
    let text = fs::read_to_string(stage.package().join("container/Containerfile"))?;
    let file: Containerfile = text.parse().context("container/Containerfile")?;
    let time = release.date("+%FT%TZ")?;
    let config = json!({
        "architecture": architecture(),
        "os": "linux",
        "created": time,
        "config": file.config(),
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer}")] },
        "history": [{ "created": time, "created_by": "cargo artefacts" }],
    });
    let unnamed = parts.join("config");
    fs::write(&unnamed, config.to_string())?;
    let name = format!("{}.json", sha256(&unnamed)?);
    fs::rename(unnamed, parts.join(&name))?;
    let manifest = json!([{
        "Config": name,
        "RepoTags": [format!("localhost/m2:{}", release.version)],
        "Layers": [format!("{layer}.tar")],
    }]);
    Ok(fs::write(
        parts.join("manifest.json"),
        manifest.to_string(),
    )?)
}

/// Returns the name that images have for the processor of this machine.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Returns the names of what is in a directory.
fn names(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        names.push(PathBuf::from(entry?.file_name()));
    }
    names.sort();
    Ok(names)
}

/// Fills the root directory of the image.
fn fill(stage: &Stage, root: &Path) -> anyhow::Result<()> {
    let assets = stage.assets()?;
    let is_kept = |asset: &&Asset| asset.place.starts_with("usr/bin/") || is_licence(&asset.place);
    let mut programs = vec![Asset {
        place: format!("usr/bin/{CONTAINER}"),
        source: stage.files().join(CONTAINER),
        mode: 0o755,
    }];
    for asset in assets.iter().filter(is_kept) {
        match asset.mode {
            0o755 => programs.push(asset.clone()),
            _ => asset.copy(root, &asset.place)?,
        }
    }
    for program in &programs {
        program.copy(root, &program.place)?;
    }
    for file in libraries(&programs)?.into_iter().chain(their_licences()) {
        copy_from_system(&file, root)?;
    }
    for directory in OPEN {
        make_directories(&root.join(directory))?;
        let mode = fs::Permissions::from_mode(0o1777);
        fs::set_permissions(root.join(directory), mode)?;
    }
    make_directories(&root.join("etc"))?;
    fs::write(root.join("etc/nsswitch.conf"), "hosts: files dns\n")?;
    fs::write(
        root.join("etc/passwd"),
        "root:x:0:0:root:/data:/nonexistent\n",
    )?;
    for file in ["etc/nsswitch.conf", "etc/passwd"] {
        fs::set_permissions(root.join(file), fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}

fn is_licence(place: &str) -> bool {
    place.ends_with("/copyright") || place.ends_with("/third-party-licences.txt.gz")
}

/// Returns the libraries that the programs load, and the loader.
fn libraries(programs: &[Asset]) -> anyhow::Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for program in programs {
        let listed = output(
            Command::new("ldd").arg(&program.source),
            "it comes with glibc",
        )?;
        found.extend(listed.lines().filter_map(library));
    }
    Ok(found)
}

/// Returns the path in `NAME => PATH (ADDRESS)` or `PATH (ADDRESS)`.
fn library(line: &str) -> Option<PathBuf> {
    let path = line.rsplit("=> ").next()?.split_whitespace().next()?;
    path.starts_with('/').then(|| path.into())
}

fn their_licences() -> impl Iterator<Item = PathBuf> {
    let files = LICENCES.map(|name| PathBuf::from(format!("/usr/share/doc/{name}/copyright")));
    files.into_iter().filter(|path| path.is_file())
}

fn copy_from_system(file: &Path, root: &Path) -> anyhow::Result<()> {
    let place = file.strip_prefix("/").unwrap_or(file);
    let source = file
        .canonicalize()
        .with_context(|| format!("{} is missing", file.display()))?;
    let mode = fs::metadata(&source)?.permissions().mode() & 0o755;
    let place = place.to_string_lossy().into_owned();
    let asset = Asset {
        place,
        source,
        mode,
    };
    asset.copy(root, &asset.place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_the_output_of_ldd() {
        let path = |line| library(line).map(|path| path.display().to_string());
        let found = path("\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f1)");
        assert_eq!(found.as_deref(), Some("/lib/x86_64-linux-gnu/libc.so.6"));
        let loader = path("\t/lib64/ld-linux-x86-64.so.2 (0x00007f2)");
        assert_eq!(loader.as_deref(), Some("/lib64/ld-linux-x86-64.so.2"));
        assert_eq!(path("\tlinux-vdso.so.1 (0x00007ffd)"), None);
        assert_eq!(path("\tlibx.so => not found"), None);
    }
}
