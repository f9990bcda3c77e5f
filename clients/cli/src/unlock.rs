//! `m2 unlock`

use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use m2_proto::api::v1::UnlockRequest;

use crate::context::{Context, call};
use crate::failure::Failure;

/// Longer than any passphrase, and a bound on what is read.
const MAX_PASSPHRASE_BYTES: u64 = 64 * 1024;

/// Flags of `m2 unlock`.
#[derive(Debug, Args)]
pub struct UnlockArgs {
    /// Read the passphrase from this file, or from stdin for `-`; else it is asked on the
    /// terminal
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

pub(crate) async fn run(args: UnlockArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let passphrase = match &args.passphrase_file {
        Some(file) => from_file(file)?,
        None => from_terminal()?,
    };
    let answer = call(client.daemon().unlock(UnlockRequest { passphrase })).await?;
    context.out.show(&answer, |_| "Unlocked.".to_owned())
}

fn from_terminal() -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "There is no terminal to ask on. Give --passphrase-file FILE, or `-` for stdin."
                .to_owned(),
        ));
    }
    rpassword::prompt_password("Passphrase: ")
        .map_err(|error| Failure::Local(format!("Can't read the terminal: {error}.")))
}

fn from_file(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        let stdin = io::stdin().lock();
        stdin.take(MAX_PASSPHRASE_BYTES).read_to_string(&mut text)
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_PASSPHRASE_BYTES).read_to_string(&mut text))
    };
    read.map_err(|error| {
        Failure::Local(format!(
            "Can't read the passphrase file: {error}. Check its path."
        ))
    })?;
    text.truncate(without_line_break(&text).len());
    Ok(text)
}

/// Editors end a file with a line break, which is no part of the passphrase. `m2d` does the same.
fn without_line_break(text: &str) -> &str {
    let line = text.strip_suffix('\n');
    line.map_or(text, |line| line.strip_suffix('\r').unwrap_or(line))
}
