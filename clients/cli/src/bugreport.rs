//! `m2 bugreport`

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use m2_proto::api::v1::{GetDiagnosticsRequest, GetDiagnosticsResponse};
use serde_json::json;

use crate::context::{Context, call};
use crate::failure::Failure;
use crate::names::daemon_state;
use crate::{sanitize, time};

/// The default name of the file.
const FILE: &str = "m2-bugreport.txt";

/// The flags of `m2 bugreport`.
#[derive(Debug, Args)]
pub struct BugreportArgs {
    /// The file to write [default: m2-bugreport.txt]
    file: Option<PathBuf>,
}

pub(crate) async fn run(args: BugreportArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let found = call(client.daemon().get_diagnostics(GetDiagnosticsRequest {})).await?;
    let path = args.file.unwrap_or_else(|| PathBuf::from(FILE));
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::Usage(format!("{} exists. Name another file.", path.display()))
        }
        _ => Failure::Local(format!("Can't write {}: {error}.", path.display())),
    };
    let mut file = create(&path).map_err(failed)?;
    file.write_all(report(&found).as_bytes()).map_err(failed)?;
    let written = path.display().to_string();
    context.out.show(&json!({ "file": written }), |_| {
        let written = sanitize::line(&written);
        format!(
            "Wrote {written}. It names no contact, no address and no message. Read it before you \
             give it to anyone."
        )
    })
}

/// Creates a new file that only the user can read.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Returns the text of the report.
fn report(found: &GetDiagnosticsResponse) -> String {
    let line = |text: &String| sanitize::line(text);
    let number = |value: Option<u64>| value.map_or("unknown".to_owned(), |n| n.to_string());
    let mut text = format!(
        "m2 {}\nm2d {} on {}, {}, since {}\n",
        env!("CARGO_PKG_VERSION"),
        line(&found.version),
        line(&found.platform),
        daemon_state(found.state),
        time::local(found.started.as_ref()),
    );
    text.push_str(&format!(
        "contacts {}, sessions {}, messages in the outbox {}\n",
        number(found.contacts.map(u64::from)),
        number(found.sessions.map(u64::from)),
        number(found.queued_messages),
    ));
    section(&mut text, "Settings", found.settings.iter().map(line));
    section(&mut text, "Warnings", found.warnings.iter().map(line));
    section(&mut text, "Counted", counters(&found.counts));
    section(&mut text, "Refused", counters(&found.refused));
    section(&mut text, "Log", found.log.iter().map(line));
    text
}

fn section(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    text.push_str(&format!("\n{title}\n"));
    for line in lines {
        text.push_str(&format!("  {line}\n"));
    }
}

fn counters(counters: &BTreeMap<String, u64>) -> impl Iterator<Item = String> + '_ {
    let counters = counters.iter().filter(|(_, count)| **count > 0);
    counters.map(|(reason, count)| format!("{} {count}", sanitize::line(reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_every_section() {
        let found = GetDiagnosticsResponse {
            version: "1.2.3".to_owned(),
            settings: vec!["relay.serve = true".to_owned()],
            refused: BTreeMap::from([("NOT_READING".to_owned(), 2), ("IDLE".to_owned(), 0)]),
            log: vec!["INFO ready".to_owned()],
            ..GetDiagnosticsResponse::default()
        };
        let text = report(&found);
        for expected in [
            "m2d 1.2.3",
            "  relay.serve = true\n",
            "  NOT_READING 2\n",
            "  INFO ready\n",
        ] {
            assert!(text.contains(expected), "{text}");
        }
        assert!(!text.contains("IDLE"));
    }
}
