//! The restore of a backup for a test, by the programs that a real restore uses, into a directory that is deleted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::failure::Failure;
use crate::passphrase::Passphrase;
use crate::signals;

/// The beginning of the name of the directory.
const PREFIX: &str = "m2-rehearsal-";
/// The credential of the service manager that m2d reads.
const CREDENTIAL: &str = "m2d-passphrase";
/// The end of the first line of a key with a passphrase.
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY-----";

/// The passphrases for a rehearsal.
pub(super) struct Passphrases {
    /// Opens the backup.
    pub backup: Passphrase,
    /// Opens the key in it.
    pub identity: Option<Passphrase>,
}

/// How much of a backup was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tried {
    /// It was restored, its key opened, and its store was checked.
    Everything,
    /// It was restored. The passphrase of its key is not known here.
    AllButTheKey,
}

/// Restores a backup into a new directory, checks what was restored, and deletes the directory. A signal that ends
/// the command ends this first.
///
/// Errors: the backup can't be restored, or it is damaged; m2d can't be run.
pub(super) async fn rehearse(file: &Path, passphrases: &Passphrases) -> Result<Tried, Failure> {
    let directory = new_directory()?;
    let tried = tokio::select! {
        tried = within(directory.path(), file, passphrases) => tried,
        () = signals::stop() => Err(Failure::Local("The rehearsal was interrupted.".to_owned())),
    };
    directory.close().map_err(|error| {
        Failure::Local(format!(
            "Can't delete the directory of the rehearsal: {error}."
        ))
    })?;
    tried
}

/// Creates a directory that only this user can enter: the restored key may have no passphrase.
fn new_directory() -> Result<TempDir, Failure> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir().map_err(|error| {
        let parent = std::env::temp_dir();
        Failure::Local(format!(
            "Can't create a directory for the rehearsal in {}: {error}. TMPDIR names another one.",
            parent.display()
        ))
    })
}

async fn within(
    directory: &Path,
    file: &Path,
    passphrases: &Passphrases,
) -> Result<Tried, Failure> {
    let m2d = M2d::new(directory)?;
    let (backup, identity) = (&passphrases.backup, passphrases.identity.as_ref());
    let mut restore = m2d.command("restore");
    restore.arg(file).args(["--passphrase-file", "-"]);
    m2d.run(restore, Some(backup)).await?;
    let mut check = m2d.command("check");
    if identity.is_some() {
        check.args(["--passphrase-file", "-"]);
    } else if m2d.key_is_encrypted()? && !has_credential() {
        return Ok(Tried::AllButTheKey);
    }
    m2d.run(check, identity).await?;
    Ok(Tried::Everything)
}

/// Returns whether the service manager gave this command the passphrase of the identity, which m2d reads by itself.
fn has_credential() -> bool {
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY");
    directory.is_some_and(|directory| Path::new(&directory).join(CREDENTIAL).exists())
}

/// The daemon's program, for commands on a data directory and an empty configuration.
struct M2d {
    program: PathBuf,
    data: PathBuf,
    config: PathBuf,
}

impl M2d {
    fn new(directory: &Path) -> Result<Self, Failure> {
        let config = directory.join("m2d.toml");
        fs::write(&config, "").map_err(|error| {
            Failure::Local(format!("Can't write {}: {error}.", config.display()))
        })?;
        Ok(Self {
            program: program(),
            data: directory.join("data"),
            config,
        })
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(name);
        command.arg("--config").arg(&self.config);
        command.arg("--data-dir").arg(&self.data);
        command
    }

    fn key_is_encrypted(&self) -> Result<bool, Failure> {
        let path = self.data.join("identity.pem");
        let text = fs::read_to_string(&path).map(zeroize::Zeroizing::new);
        let text = text
            .map_err(|error| Failure::Local(format!("The restored key can't be read: {error}.")))?;
        Ok(text.contains(ENCRYPTED))
    }

    /// Runs a command with a passphrase on its standard input. It ends with this future.
    async fn run(&self, mut command: Command, input: Option<&Passphrase>) -> Result<(), Failure> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let failed = |error| {
            let program = self.program.display();
            Failure::Local(format!(
                "Can't run {program}: {error}. Install m2d with m2."
            ))
        };
        let mut child = command.spawn().map_err(failed)?;
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
            // A program that ends early says why.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        let output = child.wait_with_output().await.map_err(failed)?;
        verdict(&output)
    }
}

/// Returns the program m2d next to this one, otherwise that of the search path.
fn program() -> PathBuf {
    let name = format!("m2d{}", std::env::consts::EXE_SUFFIX);
    let own = std::env::current_exe().ok();
    let beside = own.and_then(|own| Some(own.parent()?.join(&name)));
    let beside = beside.filter(|path| path.is_file());
    beside.unwrap_or_else(|| PathBuf::from(name))
}

fn verdict(output: &Output) -> Result<(), Failure> {
    if output.status.success() {
        return Ok(());
    }
    let told = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    Err(Failure::Local(format!(
        "The backup could not be restored for a test. m2d says: {}",
        told.concat().trim()
    )))
}
