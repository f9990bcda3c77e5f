//! `m2 backup`

mod file;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use m2_backup::{Contents, FileError, Lock, LockedBackup};
use m2_proto::api::v1::create_backup_response::Part;
use m2_proto::api::v1::{
    Backup, BackupProgress, BackupProtection, CreateBackupRequest, CreateBackupResponse,
};
use m2_proto::wkt::Timestamp;
use serde_json::json;
use tonic::Streaming;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::Output;
use crate::passphrase::{self, Passphrase};
use crate::{sanitize, table, time};
use file::NewFile;

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
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// The file to write; `m2d restore` reads it
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
        BackupCommand::Create(args) => create(args, context).await,
        BackupCommand::Verify(args) => verify(&args, context),
    }
}

async fn create(args: CreateArgs, context: &Context) -> Result<(), Failure> {
    let mut file = NewFile::begin(&args.file, args.force)?;
    let client = context.client().await?;
    let passphrase = if args.identity_passphrase {
        None
    } else {
        let source = args.passphrase_file.as_deref();
        let prompt = "Passphrase for the backup: ";
        Some(passphrase::choose(source, prompt, context)?)
    };
    let mut service = client.backups();
    let answer = service.create_backup(request(passphrase.as_ref())).await?;
    let backup = receive(answer.into_inner(), &mut file, context).await?;
    file.sync()?;
    check(&file, &backup, passphrase.as_ref())?;
    file.finish()?;
    context.out.show(&json!({ "backup": backup }), |out| {
        format!(
            "{}\n\nWritten to {} and verified. Keep it and its passphrase apart from this machine.",
            human(out, &backup),
            sanitize::line(&args.file.display().to_string())
        )
    })
}

fn request(passphrase: Option<&Passphrase>) -> CreateBackupRequest {
    match passphrase {
        Some(passphrase) => CreateBackupRequest {
            protection: BackupProtection::Passphrase.into(),
            passphrase: passphrase.to_string(),
        },
        None => CreateBackupRequest {
            protection: BackupProtection::Identity.into(),
            passphrase: String::new(),
        },
    }
}

/// Writes the parts that the daemon sends. A stream that ends without a description is incomplete.
async fn receive(
    mut parts: Streaming<CreateBackupResponse>,
    file: &mut NewFile,
    context: &Context,
) -> Result<Backup, Failure> {
    let mut told = 0;
    while let Some(part) = parts.message().await? {
        match part.part {
            Some(Part::Progress(progress)) => tell(&progress, &mut told, context)?,
            Some(Part::Chunk(bytes)) => file.write(&bytes)?,
            Some(Part::Backup(backup)) => return Ok(backup),
            None => {}
        }
    }
    Err(Failure::NoDaemon(
        "The daemon ended before the backup was complete. Nothing was kept; try again.".to_owned(),
    ))
}

/// Reports every tenth of the progress.
fn tell(progress: &BackupProgress, told: &mut u64, context: &Context) -> Result<(), Failure> {
    let tenths = progress.copied_bytes * 10 / progress.total_bytes.max(1);
    if tenths <= *told {
        return Ok(());
    }
    *told = tenths;
    if context.out.is_json() {
        return context.out.json(&json!({ "progress": progress }));
    }
    let mib = progress.total_bytes.div_ceil(1024 * 1024);
    context
        .out
        .note(&format!("Copied {} % of {mib} MiB.", tenths * 10));
    Ok(())
}

/// Reads the file back from the disk. If the passphrase is known, opens the file and checks the
/// store inside. If only the identity's passphrase opens it, compares the hash with that of the
/// daemon, which has checked the store.
fn check(file: &NewFile, backup: &Backup, passphrase: Option<&Passphrase>) -> Result<(), Failure> {
    let different = || {
        Failure::Local(
            "The file on the disk is not what the daemon sent. Nothing was kept; check the disk, \
             or write to another one."
                .to_owned(),
        )
    };
    let written = m2_backup::sha256(file.path()).map_err(failure)?;
    if written.as_slice() != backup.sha256 {
        return Err(different());
    }
    let Some(passphrase) = passphrase else {
        return Ok(());
    };
    let scratch = file.scratch();
    let found = m2_backup::verify(file.path(), passphrase.as_bytes(), &scratch).map_err(failure)?;
    let same = found.peer_id.to_string() == backup.peer_id
        && (found.contacts, found.messages) == (backup.contacts, backup.messages);
    if same { Ok(()) } else { Err(different()) }
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
