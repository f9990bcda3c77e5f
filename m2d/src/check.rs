//! `m2d check`: checks the integrity of the identity and the store. It starts nothing and changes
//! nothing, and may run while the daemon runs.

use crate::app::Failure;
use crate::args::CheckArgs;
use crate::ask::{self, Question};
use crate::config::Config;
use crate::key_file::{self, KeyFile};
use crate::{paths, unlock};
use m2_crypto::{Identity, provider};
use m2_store::{Contents, Inspection, Schema, StoreError, StoreFile};
use std::io::Write;
use std::path::Path;

/// The result of one check: a summary, or the list of faults.
type Found = Result<String, Vec<String>>;

/// Runs every check and prints one line for each part.
///
/// Errors: a file is missing, the passphrase is missing or wrong, the output can't be written, or
/// the store is damaged.
pub fn run(args: &CheckArgs, output: &mut dyn Write) -> Result<(), Failure> {
    let (path, optional) = paths::config_file(args.paths.config.as_ref())?;
    let config = Config::load(&path, optional)?;
    let data_dir = paths::data_dir(&args.paths)?;
    let identity = identity(args, &config, &data_dir)?;
    let file = StoreFile::new(&data_dir, identity.store_key());
    if !file.path().exists() {
        return Err(Failure::Missing(file.path().to_owned()));
    }
    let store = file.inspect()?;
    let mut report = Report {
        output,
        is_sound: true,
    };
    report.add("identity", Ok("it opens".to_owned()))?;
    check_store(&mut report, &file, &store)?;
    match report.is_sound {
        true => report.line("The identity and the store are whole."),
        false => Err(Failure::Unsound),
    }
}

/// Checks the parts of the store; after an empty store there is nothing else to check.
fn check_store(
    report: &mut Report<'_>,
    file: &StoreFile,
    store: &Inspection<'_>,
) -> Result<(), Failure> {
    report.add("store", schema(store))?;
    if matches!(store.schema(), Ok(Schema { found: 0, .. })) {
        return Err(Failure::Unsound);
    }
    report.add("log", Ok(log(file)))?;
    report.add("pages", pages(store))?;
    report.add("structure", none(store.structure()))?;
    report.add("references", none(store.broken_references()))?;
    report.add("outbox", none(store.outbox()))?;
    report.add("contents", contents(store))
}

fn identity(args: &CheckArgs, config: &Config, data_dir: &Path) -> Result<Identity, Failure> {
    let Some(file) = KeyFile::read(data_dir)? else {
        return Err(Failure::Missing(data_dir.join(key_file::FILE_NAME)));
    };
    let given = unlock::passphrase(&config.identity)?;
    let passphrase = match (file.is_encrypted(), given.usable()) {
        (false, _) => None,
        (true, Some(given)) => Some(given.clone()),
        (true, None) => {
            let [asked] = ask::all([question(args)])?;
            Some(asked)
        }
    };
    let bytes = passphrase.as_ref().map(|passphrase| passphrase.as_bytes());
    Ok(file.open(bytes, provider::default())?)
}

fn question(args: &CheckArgs) -> Question<'_> {
    Question {
        what: "The passphrase of the identity",
        option: "--passphrase-file",
        file: args.passphrase.passphrase_file.as_ref(),
        is_new: false,
    }
}

/// Prints the results as lines of text.
struct Report<'a> {
    output: &'a mut dyn Write,
    is_sound: bool,
}

impl Report<'_> {
    fn add(&mut self, part: &str, found: Found) -> Result<(), Failure> {
        match found {
            Ok(text) => self.line(&format!("{part:11} fine: {text}")),
            Err(faults) => {
                self.is_sound = false;
                self.line(&format!("{part:11} DAMAGED"))?;
                faults
                    .iter()
                    .try_for_each(|fault| self.line(&format!("{:13}{fault}", "")))
            }
        }
    }

    fn line(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.output, "{text}").map_err(Failure::Output)
    }
}

fn schema(store: &Inspection<'_>) -> Found {
    let Schema { found, known } = store.schema().map_err(told)?;
    match found {
        _ if found > known => Err(told(StoreError::TooNew)),
        0 => Err(vec![
            "it is empty: contacts and messages are gone. Restore a backup with `m2d restore`; a \
             daemon that starts here begins a new store."
                .to_owned(),
        ]),
        _ if found < known => Ok("it opens; an older version of m2d wrote it".to_owned()),
        _ => Ok("it opens with the identity".to_owned()),
    }
}

fn log(file: &StoreFile) -> String {
    match file.log_bytes() {
        0 => "empty, store.db holds everything".to_owned(),
        bytes => format!(
            "{} KiB of store.db-wal are not in store.db yet: keep both files together",
            bytes.div_ceil(1024)
        ),
    }
}

fn pages(store: &Inspection<'_>) -> Found {
    let count = store.pages();
    let damaged = store.damaged_pages().map_err(told)?;
    if damaged.is_empty() {
        return Ok(format!("{count}, each as it was written"));
    }
    let tables = store.unreadable_tables().unwrap_or_default();
    let mut faults = damaged;
    if !tables.is_empty() {
        faults.push(format!("affected tables: {}", tables.join(", ")));
    }
    Err(faults)
}

fn none(faults: Result<Vec<String>, StoreError>) -> Found {
    let faults = faults.map_err(told)?;
    if faults.is_empty() {
        return Ok("no fault".to_owned());
    }
    Err(faults)
}

fn contents(store: &Inspection<'_>) -> Found {
    let schema = store.schema().map_err(told)?;
    if schema.found != schema.known {
        return Ok("not read: the daemon brings the store up to date when it starts".to_owned());
    }
    let Contents {
        contacts,
        grants,
        outbox,
    } = store.contents().map_err(told)?;
    Ok(format!(
        "{contacts} contacts, {grants} grants of contacts, {outbox} messages in the outbox"
    ))
}

fn told(error: StoreError) -> Vec<String> {
    vec![error.to_string()]
}
