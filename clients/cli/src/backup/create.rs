//! `m2 backup create`

use std::path::PathBuf;
use std::time::SystemTime;

use m2_proto::api::v1::create_backup_response::Part;
use m2_proto::api::v1::{
    Backup, BackupOutcome, BackupProgress, BackupProtection, CreateBackupRequest,
    CreateBackupResponse,
};
use m2_proto::client::Client;
use serde_json::json;
use tonic::Streaming;

use super::file::NewFile;
use super::rehearsal::{self, Passphrases, Tried};
use super::series::Series;
use super::{CreateArgs, failure, human, report, told};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Output;
use crate::passphrase::{self, Passphrase};
use crate::sanitize;

/// A backup that was made, verified and kept.
struct Made {
    path: PathBuf,
    backup: Backup,
    /// The result of the rehearsal, if there was one.
    tried: Option<Tried>,
    /// The names of older backups that were deleted.
    deleted: Vec<String>,
}

/// What is read before the backup begins.
struct Plan {
    series: Option<Series>,
    target: PathBuf,
    /// The passphrase of the backup; `None` if that of the identity protects it.
    passphrase: Option<Passphrase>,
    /// The passphrases of a rehearsal, if there is to be one.
    rehearsal: Option<Passphrases>,
}

pub(super) async fn run(args: CreateArgs, context: &Context) -> Result<(), Failure> {
    let is_scheduled = args.keep.is_some() || args.rehearse;
    let client = context.client().await?;
    let made = make(&args, &client, context).await;
    if made.is_err() && is_scheduled {
        report::send(&client, BackupOutcome::Failed).await;
    }
    let made = made?;
    let value = json!({
        "backup": made.backup,
        "file": made.path.display().to_string(),
        "rehearsed": made.tried.is_some(),
        "deleted": made.deleted,
    });
    context.out.show(&value, |out| text(out, &made))
}

async fn make(args: &CreateArgs, client: &Client, context: &Context) -> Result<Made, Failure> {
    let series = args.keep.map(|keep| Series::new(&args.file, keep));
    let series = series.transpose()?;
    let target = match &series {
        Some(series) => series.next(SystemTime::now()),
        None => args.file.clone(),
    };
    let mut file = NewFile::begin(&target, args.force)?;
    let plan = plan(args, series, target, context)?;
    let backup = write(&mut file, client, plan.passphrase.as_ref(), context).await?;
    file.finish()?;
    report::send(client, BackupOutcome::Kept).await;
    finish(plan, backup, client).await
}

/// Reads the passphrases.
fn plan(
    args: &CreateArgs,
    series: Option<Series>,
    target: PathBuf,
    context: &Context,
) -> Result<Plan, Failure> {
    let passphrase = if args.identity_passphrase {
        None
    } else {
        let source = args.passphrase_file.as_deref();
        let prompt = "Passphrase for the backup: ";
        Some(passphrase::choose(source, prompt, context)?)
    };
    let identity = args.identity_passphrase_file.as_deref();
    let identity = identity.map(|file| passphrase::read(Some(file), "", context));
    let identity = identity.transpose()?;
    let rehearsal = match (args.rehearse, passphrase.as_ref().or(identity.as_ref())) {
        (false, _) => None,
        (true, Some(opens)) => Some(Passphrases {
            backup: opens.clone(),
            identity,
        }),
        (true, None) => {
            return Err(Failure::Usage(
                "--rehearse needs the passphrase that opens the backup: give --identity-passphrase-file FILE as \
                 well."
                    .to_owned(),
            ));
        }
    };
    Ok(Plan {
        series,
        target,
        passphrase,
        rehearsal,
    })
}

/// Writes the bytes that the daemon sends, and verifies them.
async fn write(
    file: &mut NewFile,
    client: &Client,
    passphrase: Option<&Passphrase>,
    context: &Context,
) -> Result<Backup, Failure> {
    let mut service = client.backups();
    let answer = service.create_backup(request(passphrase)).await?;
    let backup = receive(answer.into_inner(), file, context).await?;
    file.sync()?;
    check(file, &backup, passphrase)?;
    Ok(backup)
}

/// Rehearses a restore, and then deletes older backups. A backup that can't be restored is set aside, and no other
/// one is deleted.
async fn finish(plan: Plan, backup: Backup, client: &Client) -> Result<Made, Failure> {
    let mut tried = None;
    if let Some(passphrases) = &plan.rehearsal {
        match rehearsal::rehearse(&plan.target, passphrases).await {
            Ok(found) => tried = Some(found),
            Err(error) => return Err(set_aside(&plan, error)),
        }
        report::send(client, BackupOutcome::Rehearsed).await;
    }
    let deleted = match &plan.series {
        Some(series) => series.rotate(&plan.target)?,
        None => Vec::new(),
    };
    Ok(Made {
        path: plan.target,
        backup,
        tried,
        deleted,
    })
}

fn set_aside(plan: &Plan, error: Failure) -> Failure {
    let Some(series) = &plan.series else {
        return error;
    };
    match series.set_aside(&plan.target) {
        Ok(path) => error.followed_by(&format!(
            " The file is now {}. Earlier backups were kept.",
            path.display()
        )),
        Err(_) => error.followed_by(" Earlier backups were kept."),
    }
}

fn text(out: &Output, made: &Made) -> String {
    let path = sanitize::line(&made.path.display().to_string());
    let mut text = format!(
        "{}\n\nWritten to {path} and verified. Keep it and its passphrase apart from this machine.",
        human(out, &made.backup)
    );
    if let Some(tried) = made.tried {
        text.push_str(&format!("\n{}", told(tried)));
    }
    if !made.deleted.is_empty() {
        let names = made.deleted.join(", ");
        text.push_str(&format!("\nDeleted older backups: {names}."));
    }
    text
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
