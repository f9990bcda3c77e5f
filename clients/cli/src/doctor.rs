//! `m2 doctor`

mod check;
mod daemon;
mod facts;
mod host;
mod network;
mod people;

use std::path::PathBuf;

use clap::Args;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Output, Style};
use crate::{sanitize, table};
use check::{Check, Outcome};
use facts::{Answers, Facts};

/// The reason of the failure when problems were found.
const UNHEALTHY: &str = "UNHEALTHY";

/// The flags of `m2 doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print nothing; only the exit code says whether problems were found
    #[arg(long, short)]
    quiet: bool,
    /// The daemon's data directory, which is examined if no daemon answers [default: that of m2d]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

pub(crate) async fn run(args: DoctorArgs, context: &Context) -> Result<(), Failure> {
    let (checks, absent) = match facts::gather(args.data_dir, context).await {
        Facts::Answered(answers) => (judge(&answers), None),
        Facts::Absent(failure, host) => {
            let checks = host::judge(&failure.to_string(), &host);
            (checks, Some(failure))
        }
    };
    if !args.quiet {
        print(&checks, context)?;
    }
    match absent {
        Some(failure) => Err(failure),
        None => verdict(&checks),
    }
}

/// Judges what a daemon answered.
fn judge(answers: &Answers) -> Vec<Check> {
    let mut checks = daemon::judge(&answers.status, answers.now_ms);
    checks.extend(network::ports(
        &answers.status,
        &answers.network,
        &answers.lines,
    ));
    checks.extend(people::peers(&answers.contacts, answers.now_ms));
    checks.extend(network::relays(&answers.status, &answers.lines));
    checks.extend(people::boxes(&answers.mailboxes, &answers.contacts));
    checks.extend(network::privacy(&answers.privacy));
    checks
}

fn verdict(checks: &[Check]) -> Result<(), Failure> {
    let problems = checks.iter().filter(|it| it.result == Outcome::Problem);
    match problems.count() {
        0 => Ok(()),
        1 => Err(Failure::because(UNHEALTHY, "1 problem was found.")),
        count => {
            let text = format!("{count} problems were found.");
            Err(Failure::because(UNHEALTHY, text))
        }
    }
}

fn print(checks: &[Check], context: &Context) -> Result<(), Failure> {
    if context.out.is_json() {
        return checks.iter().try_for_each(|check| context.out.json(check));
    }
    context.out.text(&human(&context.out, checks))
}

fn human(out: &Output, checks: &[Check]) -> String {
    let margin = " ".repeat(check::WIDEST_RESULT + check::WIDEST_AREA + 4);
    let lines = checks.iter().map(|check| {
        let result = table::pad(check.result.as_str(), check::WIDEST_RESULT);
        let area = table::pad(check.area.as_str(), check::WIDEST_AREA);
        let line = format!(
            "{}  {}  {}",
            out.paint(&result, style(check.result)),
            out.paint(&area, Style::Strong),
            sanitize::line(&check.text)
        );
        if check.remedy.is_empty() {
            return line;
        }
        format!("{line}\n{margin}→ {}", sanitize::line(&check.remedy))
    });
    lines.collect::<Vec<_>>().join("\n")
}

const fn style(result: Outcome) -> Style {
    match result {
        Outcome::Ok => Style::Good,
        Outcome::Warning => Style::Warning,
        Outcome::Problem => Style::Bad,
        Outcome::NotChecked => Style::Faint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::ColorChoice;
    use check::Area;

    #[test]
    fn each_check_is_a_line_with_its_remedy_below() {
        let checks = [
            Check::ok(Area::Clock, "agrees with 2 contacts"),
            Check::problem(Area::Permissions, "x\u{1b}[2J").mended_by("chmod 600 /k"),
        ];
        let out = Output::new(false, ColorChoice::Never);
        assert_eq!(
            human(&out, &checks),
            "ok           clock        agrees with 2 contacts\n\
             problem      permissions  x[2J\n                          → chmod 600 /k"
        );
    }

    #[test]
    fn only_problems_are_a_failure() {
        let checks = [
            Check::ok(Area::Clock, ""),
            Check::warning(Area::Disk, ""),
            Check::not_checked(Area::Peers, ""),
        ];
        assert!(verdict(&checks).is_ok());
        let failure = verdict(&[Check::problem(Area::Key, "")]).unwrap_err();
        assert_eq!((failure.exit_code(), failure.reason()), (1, UNHEALTHY));
    }
}
