//! The stage: the built programs and the generated files where the packagers look for `target/release`, and
//! the lists of what is packaged.

use crate::assets::Assets;
use crate::changelog;
use crate::command::run;
use crate::licences;
use crate::options::Options;
use crate::programs::PROGRAMS;
use crate::release::Release;
use anyhow::Context as _;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A directory that the packagers take for cargo's target directory.
#[derive(Debug)]
pub(crate) struct Stage {
    /// The top directory of the workspace.
    pub(crate) root: PathBuf,
    /// The directory to which the finished artefacts are moved.
    output: PathBuf,
    /// The stage itself.
    pub(crate) directory: PathBuf,
    /// Whether packages are compressed quickly.
    pub(crate) fast: bool,
}

impl Stage {
    /// Copies the programs from `programs`, without symbols, and writes the generated files.
    ///
    /// Errors: a file can't be written, or `strip` or `gzip` is missing.
    pub(crate) fn fill(
        options: &Options,
        root: &Path,
        programs: &Path,
        release: &Release,
    ) -> anyhow::Result<Self> {
        let output = options.output(root)?;
        let stage = Self {
            root: root.to_owned(),
            directory: output.join("stage"),
            output,
            fast: options.fast,
        };
        stage.remove()?;
        fs::create_dir_all(stage.files())?;
        fs::create_dir_all(stage.made())?;
        for program in PROGRAMS {
            stage.add_program(&programs.join(program), program)?;
        }
        stage.add_compressed("changelog", &changelog::debian(root, release)?)?;
        let licences = licences::of_dependencies(root)?;
        stage.add_compressed("third-party-licences.txt", &licences)?;
        Ok(stage)
    }

    /// Returns the directory that is called `target/release` in lists of assets.
    pub(crate) fn files(&self) -> PathBuf {
        self.directory.join("release")
    }

    /// Returns the directory in which artefacts are made, before they are moved to the output directory.
    pub(crate) fn made(&self) -> PathBuf {
        self.directory.join("made")
    }

    /// Moves the artefacts to the output directory, and removes the stage.
    ///
    /// Errors: a file can't be moved.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        for entry in fs::read_dir(self.made())? {
            let entry = entry?;
            fs::rename(entry.path(), self.output.join(entry.file_name()))?;
        }
        Ok(self.remove()?)
    }

    /// Returns the directory of the package whose manifest has the lists.
    pub(crate) fn package(&self) -> PathBuf {
        self.root.join("m2d/packaging")
    }

    /// Reads the list of what is installed.
    pub(crate) fn assets(&self) -> anyhow::Result<Assets> {
        Assets::read(&self.package(), &self.files())
    }

    /// Returns the option of tar that compresses without a time in the result.
    pub(crate) fn compression(&self) -> &'static str {
        match self.fast {
            true => "--use-compress-program=gzip -1 -n",
            false => "--use-compress-program=gzip -9 -n",
        }
    }

    fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn add_program(&self, from: &Path, name: &str) -> anyhow::Result<()> {
        let to = self.files().join(name);
        let mut strip = Command::new("strip");
        strip.arg("--strip-all").args(["-R", ".comment", "-o"]);
        run(strip.arg(&to).arg(from), "it comes with a C compiler")?;
        Ok(fs::set_permissions(to, fs::Permissions::from_mode(0o755))?)
    }

    /// Writes `text` to `NAME.gz`, without a time in it.
    fn add_compressed(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.files().join(name);
        fs::write(&path, text).with_context(|| format!("{} can't be written", path.display()))?;
        let mut gzip = Command::new("gzip");
        gzip.args(["-9", "-n"]).arg(&path).stdin(Stdio::null());
        run(&mut gzip, "install gzip")
    }
}
