//! The programs for Windows.

use crate::workspace;
use anyhow::Context as _;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TARGET: &str = "x86_64-pc-windows-gnu";
/// The compiler of C for Windows, which is the linker as well.
const GCC: &str = "x86_64-w64-mingw32-gcc";
/// Little is optimised but the keys: the build takes minutes as it is.
const PROFILE: &str = "quickstart";
/// The environment variable with a directory of finished programs.
const PROGRAMS: &str = "M2_WINDOWS_PROGRAMS";
/// The environment variable with a compiler that has the sources of the standard library. Without it, the
/// toolchain must have the target.
const COMPILER: &str = "M2_WINDOWS_RUSTC";

/// The stub of a library that wine 8 lacks. The standard library gets its random numbers there.
const STUB_SOURCE: &str = include_str!("bcryptprimitives.c");

/// The built programs.
#[derive(Debug)]
pub struct Programs {
    directory: PathBuf,
}

impl Programs {
    /// Builds the programs, unless there are finished ones.
    ///
    /// Errors: cargo fails.
    pub fn build() -> anyhow::Result<Self> {
        let root = workspace::root()?;
        if let Some(directory) = env::var_os(PROGRAMS) {
            let directory = root.join(directory);
            return Ok(Self { directory });
        }
        let place = root.join("target/windows");
        let mut command = cargo(&root, &place);
        let status = command.status().context("could not start cargo")?;
        anyhow::ensure!(status.success(), "{command:?}: {status}");
        let directory = place.join(TARGET).join(PROFILE);
        Ok(Self { directory })
    }

    /// Returns the path of a program.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.exe"))
    }
}

/// Returns what is missing for a build.
pub(super) fn missing() -> Option<String> {
    if !is_started(Command::new(GCC).arg("--version")) {
        return Some(format!("{GCC} is not installed"));
    }
    if env::var_os(PROGRAMS).is_some() || env::var_os(COMPILER).is_some() {
        return None;
    }
    let mut command = Command::new("rustc");
    command.args(["--print", "target-libdir", "--target", TARGET]);
    let printed = command.output().ok()?;
    let directory = String::from_utf8_lossy(&printed.stdout).trim().to_owned();
    (!Path::new(&directory).is_dir())
        .then(|| format!("the target {TARGET} is not installed, and {COMPILER} names no compiler"))
}

/// Compiles the stub to `target`.
///
/// Errors: the compiler fails.
pub(super) fn make_stub(target: &Path) -> anyhow::Result<()> {
    let source = target.with_extension("c");
    std::fs::write(&source, STUB_SOURCE)?;
    let mut command = Command::new(GCC);
    command
        .args(["-O2", "-shared", "-o"])
        .arg(target)
        .arg(&source);
    let status = command.arg("-ladvapi32").status()?;
    anyhow::ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

pub(super) fn is_started(command: &mut Command) -> bool {
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok()
}

fn cargo(root: &Path, place: &Path) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command
        .current_dir(root)
        .args(["build", "--locked", "--target", TARGET])
        .args(["--profile", PROFILE, "-p", "m2d", "-p", "m2-cli"])
        .arg("--target-dir")
        .arg(place)
        .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", GCC)
        .env("CC_x86_64_pc_windows_gnu", GCC)
        .env("CXX_x86_64_pc_windows_gnu", "x86_64-w64-mingw32-g++")
        .env("AR_x86_64_pc_windows_gnu", "x86_64-w64-mingw32-ar");
    if let Some(compiler) = env::var_os(COMPILER) {
        command
            .env("RUSTC", compiler)
            .env("RUSTC_BOOTSTRAP", "1")
            .arg("-Zbuild-std=std,panic_abort");
    }
    command
}
