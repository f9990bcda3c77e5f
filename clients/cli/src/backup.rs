//! `m2 backup`

mod create;
mod file;
mod rehearsal;
mod report;
mod series;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use m2_backup::{Contents, FileError, Lock, LockedBackup};
use m2_proto::api::v1::{Backup, BackupProtection};
use m2_proto::wkt::Timestamp;
use serde_json::json;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::Output;
use crate::passphrase;
use crate::{sanitize, table, time};
use rehearsal::{Passphrases, Tried};

/// The flags of `m2 backup`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct BackupArgs {
    #[command(subcommand)]
    command: BackupCommand,
}

#[derive(Debug, Subcommand)]
enum BackupCommand {
    /// Write the identity and everything stored into one encrypted file, while the daemon runs
    Create(CreateArgs),
    /// Check every byte of a backup and show its contents; needs no daemon
    Verify(VerifyArgs),
    /// Restore a backup into a throw-away directory, check what was restored, and delete it; needs m2d, but no
    /// running daemon
    Rehearse(RehearseArgs),
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// The file to write; `m2d restore` reads it. With --keep, the directory of the file
    file: PathBuf,
    /// Read the passphrase of the backup from this file, or from stdin for `-`; otherwise it is
    /// asked on the terminal, twice
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Protect the backup with the current passphrase of the identity, without asking for it
    #[arg(long, conflicts_with = "passphrase_file")]
    identity_passphrase: bool,
    /// Replace FILE if it exists
    #[arg(long)]
    force: bool,
    /// Name the file by the time, in the directory FILE, and keep only the N latest of such files
    #[arg(long, value_name = "N", conflicts_with = "force", value_parser = clap::value_parser!(u16).range(1..))]
    keep: Option<u16>,
    /// Restore the backup into a throw-away directory, as `m2 backup rehearse` does, before older ones are deleted
    #[arg(long)]
    rehearse: bool,
    /// For --rehearse: read the passphrase of the identity's key from this file. Without it, a key with a passphrase is
    /// restored but not opened
    #[arg(long, value_name = "FILE", requires = "rehearse")]
    identity_passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct RehearseArgs {
    /// The backup file
    file: PathBuf,
    /// Read the passphrase of the backup from this file, or from stdin for `-`; otherwise it is asked on the terminal
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Read the passphrase of the identity's key from this file. Without it, a key with a passphrase is restored but
    /// not opened
    #[arg(long, value_name = "FILE")]
    identity_passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// The backup file
    file: PathBuf,
    /// Read the passphrase from this file, or from stdin for `-`; otherwise it is asked on the
    /// terminal
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

pub(crate) async fn run(args: BackupArgs, context: &Context) -> Result<(), Failure> {
    match args.command {
        BackupCommand::Create(args) => create::run(args, context).await,
        BackupCommand::Verify(args) => verify(&args, context),
        BackupCommand::Rehearse(args) => rehearse(args, context).await,
    }
}

fn verify(args: &VerifyArgs, context: &Context) -> Result<(), Failure> {
    let locked = LockedBackup::open(&args.file).map_err(failure)?;
    let protection = match locked.lock() {
        Lock::Passphrase => BackupProtection::Passphrase,
        Lock::Identity(_) => BackupProtection::Identity,
    };
    let prompt = match protection {
        BackupProtection::Identity => "Passphrase that the identity had at the backup: ",
        _ => "Passphrase of the backup: ",
    };
    let passphrase = passphrase::read(args.passphrase_file.as_deref(), prompt, context)?;
    let scratch = file::scratch_elsewhere();
    let contents =
        m2_backup::verify(&args.file, passphrase.as_bytes(), &scratch).map_err(failure)?;
    let backup = describe(&args.file, &contents, protection)?;
    context.out.show(&json!({ "backup": backup }), |out| {
        format!(
            "{}\n\nThe backup is complete and opens.",
            human(out, &backup)
        )
    })
}

async fn rehearse(args: RehearseArgs, context: &Context) -> Result<(), Failure> {
    let locked = LockedBackup::open(&args.file).map_err(failure)?;
    let is_identitys = matches!(locked.lock(), Lock::Identity(_));
    let prompt = "Passphrase of the backup: ";
    let backup = passphrase::read(args.passphrase_file.as_deref(), prompt, context)?;
    let identity = match &args.identity_passphrase_file {
        Some(file) => Some(passphrase::read(Some(file), "", context)?),
        None => is_identitys.then(|| backup.clone()),
    };
    // The passphrase is checked before a failure counts as one of the backup.
    let opened = locked.unlock(backup.as_bytes()).map_err(failure)?;
    let peer_id = opened.contents().peer_id.to_string();
    drop(opened);
    let passphrases = Passphrases { backup, identity };
    let tried = rehearsal::rehearse(&args.file, &passphrases).await;
    report::of_rehearsal(&peer_id, tried.is_ok(), context).await;
    let tried = tried?;
    let value = json!({ "rehearsed": true, "keyOpened": tried == Tried::Everything });
    context.out.show(&value, |_| told(tried).to_owned())
}

/// Says what a rehearsal has shown.
const fn told(tried: Tried) -> &'static str {
    match tried {
        Tried::Everything => {
            "The backup was restored for a test: its key opens, and its store is whole."
        }
        Tried::AllButTheKey => {
            "The backup was restored for a test. Its key was not opened, because its passphrase is not known here: \
             give --identity-passphrase-file FILE."
        }
    }
}

fn describe(
    file: &Path,
    contents: &Contents,
    protection: BackupProtection,
) -> Result<Backup, Failure> {
    let metadata = file.metadata();
    let metadata = metadata.map_err(FileError::io("examine the backup"));
    Ok(Backup {
        created: Some(Timestamp::from_unix_millis(contents.created_ms)),
        peer_id: contents.peer_id.to_string(),
        circle: contents.circle.clone(),
        contacts: contents.contacts,
        messages: contents.messages,
        file_bytes: metadata.map_err(failure)?.len(),
        sha256: m2_backup::sha256(file).map_err(failure)?.to_vec(),
        protection: protection.into(),
    })
}

fn human(out: &Output, backup: &Backup) -> String {
    let opens = match backup.protection() {
        BackupProtection::Identity => "the passphrase that the identity had",
        _ => "the passphrase of the backup",
    };
    let fields = [
        ("made", time::local(backup.created.as_ref())),
        ("peer id", sanitize::line(&backup.peer_id)),
        ("circle", sanitize::line(&backup.circle)),
        ("contacts", backup.contacts.to_string()),
        ("messages", backup.messages.to_string()),
        ("size", format!("{} KiB", backup.file_bytes.div_ceil(1_024))),
        ("opened by", opens.to_owned()),
    ];
    table::fields(out, &fields)
}

fn failure(error: FileError) -> Failure {
    Failure::Local(error.to_string())
}
