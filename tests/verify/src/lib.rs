//! The steps of `cargo verify`, and how they run: all of them, in order, even after one fails, so
//! that one run reports everything. This is a separate crate, so that the first step begins before
//! the rest of the workspace is built.

mod command;
mod fuzz;
mod model;
mod programs;
mod python;
mod quickstart;
mod step;
mod steps;
pub mod workspace;

pub use command::installed;
pub use quickstart::quickstart;

use anyhow::bail;
use clap::Parser;
use std::time::{Duration, Instant};
use step::{Outcome, Step};

/// The environment variable that is set when the programs under test are already built, so that
/// tests do not build them again.
pub const PREBUILT: &str = "M2_TESTS_PREBUILT";
/// The first word of the line that a skipped test prints.
pub const SKIPPED: &str = "SKIPPED";

/// Runs formatting, lints, every test, the documentation, the repository checks and the fuzz
/// targets.
#[derive(Debug, Parser)]
#[command(name = "cargo verify", version)]
pub struct Options {
    /// Runs only this step; may be given more than once.
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Lists the steps and exits.
    #[arg(long)]
    list: bool,
    /// Seconds of fuzzing for each target, after its corpus has been replayed.
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    fuzz_seconds: u32,
}

/// Runs the chosen steps and returns whether all of them passed.
///
/// Errors: a step is unknown, or the workspace is not found.
pub fn run(options: &Options) -> anyhow::Result<bool> {
    let steps = chosen(steps::all(), &options.only)?;
    if options.list {
        for step in &steps {
            println!("{:<12} {}", step.name, step.about);
        }
        return Ok(true);
    }
    let root = workspace::root()?;
    let context = step::Context {
        root,
        fuzz_seconds: options.fuzz_seconds,
    };
    let reports: Vec<Report> = steps
        .into_iter()
        .map(|step| Report::of(step, &context))
        .collect();
    Ok(summarise(&reports))
}

fn chosen(all: Vec<Step>, only: &[String]) -> anyhow::Result<Vec<Step>> {
    if only.is_empty() {
        return Ok(all);
    }
    if let Some(unknown) = only
        .iter()
        .find(|name| !all.iter().any(|step| step.name == name.as_str()))
    {
        bail!("unknown step {unknown}; `cargo verify --list` lists the steps");
    }
    Ok(all
        .into_iter()
        .filter(|step| only.iter().any(|name| name == step.name))
        .collect())
}

struct Report {
    step: Step,
    outcome: Outcome,
    took: Duration,
}

impl Report {
    fn of(step: Step, context: &step::Context) -> Self {
        println!("\n==> {}: {}", step.name, step.about);
        let start = Instant::now();
        let outcome =
            (step.run)(context).unwrap_or_else(|error| Outcome::failure(format!("{error:#}")));
        let took = start.elapsed();
        println!("<== {}: {} ({})", step.name, outcome.word(), seconds(took));
        Self {
            step,
            outcome,
            took,
        }
    }
}

/// Prints one line per step and a total, and returns whether all checks passed.
fn summarise(reports: &[Report]) -> bool {
    let total: Duration = reports.iter().map(|report| report.took).sum();
    println!("\nSummary ({} in total)", seconds(total));
    for report in reports {
        println!(
            "  {:<8} {:<12} {:>8}  {}",
            report.outcome.word(),
            report.step.name,
            seconds(report.took),
            report.outcome.remark()
        );
    }
    let passed: u64 = reports.iter().map(|report| report.outcome.passed).sum();
    let failed: u64 = reports.iter().map(|report| report.outcome.failed).sum();
    let skipped: u64 = reports.iter().map(|report| report.outcome.skipped).sum();
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    failed == 0
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
