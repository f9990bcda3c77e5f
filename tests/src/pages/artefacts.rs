//! The packages that pages install, made of the programs under test.

use crate::harness::Binaries;
use anyhow::{Context as _, bail};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::SystemTime;

/// One page at a time makes packages; others find them.
static MAKING: Mutex<()> = Mutex::new(());

/// Makes packages of these kinds in a directory, unless they are there and newer than the programs.
///
/// Errors: a package can't be made.
pub(super) fn make(kinds: &[String], directory: &Path) -> anyhow::Result<()> {
    let programs = Binaries::get()?.m2d.parent().context("no programs")?;
    let guard = MAKING.lock();
    for kind in kinds {
        if is_current(ending(kind)?, directory, programs)? {
            continue;
        }
        let mut command = Command::new(Binaries::beside("m2-artefacts")?);
        command
            .args(["--only", kind, "--fast", "--programs"])
            .arg(programs);
        let output = command.arg("--output").arg(directory).output()?;
        if !output.status.success() {
            bail!("no {kind}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
    drop(guard);
    Ok(())
}

fn ending(kind: &str) -> anyhow::Result<&'static str> {
    Ok(match kind {
        "deb" => ".deb",
        "tarball" => "-linux.tar.gz",
        "image" => "-linux.image.tar.gz",
        _ => bail!("`{kind}` is no package"),
    })
}

fn is_current(ending: &str, directory: &Path, programs: &Path) -> anyhow::Result<bool> {
    let mut newest_program = SystemTime::UNIX_EPOCH;
    for name in ["m2d", "m2", "m2-container"] {
        newest_program = newest_program.max(fs::metadata(programs.join(name))?.modified()?);
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let is_kind = entry.file_name().to_string_lossy().ends_with(ending);
        if is_kind && entry.metadata()?.modified()? > newest_program {
            return Ok(true);
        }
    }
    Ok(false)
}
