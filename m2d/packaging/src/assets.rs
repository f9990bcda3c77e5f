//! The list of what is installed: that of the Debian package, in this package's manifest.

use anyhow::{Context as _, bail};
use serde::Deserialize;
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The name that the list has for files that were built or generated.
const GENERATED: &str = "target/release/";

/// The files of a package.
#[derive(Debug)]
pub struct Assets(Vec<Asset>);

/// A file and its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asset {
    /// Its path on the installed system, without a leading slash.
    pub place: String,
    /// Where it is now.
    pub source: PathBuf,
    /// Its permissions.
    pub mode: u32,
}

#[derive(Deserialize)]
struct Manifest {
    package: Package,
}

#[derive(Deserialize)]
struct Package {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    deb: Deb,
}

#[derive(Deserialize)]
struct Deb {
    assets: Vec<(String, String, String)>,
}

impl Assets {
    /// Reads the list in the manifest of `package`. Generated files are in `generated`.
    ///
    /// Errors: a file of the list does not exist, or the manifest has no list.
    pub fn read(package: &Path, generated: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(package.join("Cargo.toml"))?;
        let manifest: Manifest = toml::from_str(&text).context("m2d/packaging/Cargo.toml")?;
        let mut assets = vec![copyright(package)];
        for (source, place, mode) in manifest.package.metadata.deb.assets {
            let path = match source.strip_prefix(GENERATED) {
                Some(name) => generated.join(name),
                None => package.join(&source),
            };
            let mode = u32::from_str_radix(&mode, 8).with_context(|| source.clone())?;
            for source in files(&path)? {
                assets.push(Asset::new(source, &place, mode)?);
            }
        }
        assets.sort();
        Ok(Self(assets))
    }

    /// Returns the files, sorted by place.
    pub fn iter(&self) -> impl Iterator<Item = &Asset> {
        self.0.iter()
    }
}

/// Returns the file that cargo-deb adds to every package.
fn copyright(package: &Path) -> Asset {
    Asset {
        place: "usr/share/doc/m2/copyright".to_owned(),
        source: package.join("copyright"),
        mode: 0o644,
    }
}

impl Asset {
    fn new(source: PathBuf, place: &str, mode: u32) -> anyhow::Result<Self> {
        let name = source.file_name().context("a file without a name")?;
        let place = match place.ends_with('/') {
            true => format!("{place}{}", name.to_string_lossy()),
            false => place.to_owned(),
        };
        Ok(Self {
            place,
            source,
            mode,
        })
    }

    /// Copies the file to `place` below `directory`, with its permissions.
    ///
    /// Errors: it can't be read or written.
    pub(crate) fn copy(&self, directory: &Path, place: &str) -> anyhow::Result<()> {
        let to = directory.join(place);
        if let Some(parent) = to.parent() {
            make_directories(parent)?;
        }
        fs::copy(&self.source, &to)
            .and_then(|_| fs::set_permissions(&to, fs::Permissions::from_mode(self.mode)))
            .with_context(|| format!("{} can't be copied", self.source.display()))
    }
}

/// Creates a directory and those above it, which other users can read whatever the umask is.
///
/// Errors: one can't be created.
pub(crate) fn make_directories(path: &Path) -> anyhow::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_directories(parent)?;
    }
    fs::DirBuilder::new()
        .mode(0o755)
        .create(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("{} can't be created", path.display()))
}

/// Returns the files that a path with at most one `*`, in its last name, stands for.
fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let Some((before, after)) = name.split_once('*') else {
        if !path.is_file() {
            bail!("{} is missing", path.display());
        }
        return Ok(vec![path.to_owned()]);
    };
    let directory = path.parent().context("a pattern without a directory")?;
    let mut found = Vec::new();
    let entries = fs::read_dir(directory)
        .with_context(|| format!("{} can't be listed", directory.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let matches = name.starts_with(before) && name.ends_with(after);
        if matches && entry.file_type()?.is_file() {
            found.push(entry.path());
        }
    }
    if found.is_empty() {
        bail!("{}: no such file", path.display());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_the_files_with_that_ending() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["a.proto", "b.proto", "c.txt"] {
            fs::write(directory.path().join(name), name).unwrap();
        }
        fs::create_dir(directory.path().join("d.proto")).unwrap();
        let mut found = files(&directory.path().join("*.proto")).unwrap();
        found.sort();
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap()).collect();
        assert_eq!(names, ["a.proto", "b.proto"]);
        assert!(files(&directory.path().join("*.rs")).is_err());
        assert!(files(&directory.path().join("e.proto")).is_err());
    }

    #[test]
    fn a_place_that_ends_in_a_slash_is_a_directory() {
        let source = PathBuf::from("x/m2.bash");
        let named = Asset::new(source.clone(), "share/completions/m2", 0o644).unwrap();
        assert_eq!(named.place, "share/completions/m2");
        let within = Asset::new(source, "share/completions/", 0o644).unwrap();
        assert_eq!(within.place, "share/completions/m2.bash");
    }

    #[test]
    fn copies_have_the_permissions_of_the_list() {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("program");
        fs::write(&source, "x").unwrap();
        let asset = Asset::new(source, "usr/bin/", 0o755).unwrap();
        asset.copy(directory.path(), &asset.place).unwrap();
        let mode = |path: &str| {
            let metadata = fs::metadata(directory.path().join(path)).unwrap();
            metadata.permissions().mode() & 0o777
        };
        assert_eq!([mode("usr"), mode("usr/bin/program")], [0o755, 0o755]);
    }
}
