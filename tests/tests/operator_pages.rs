//! Runs every code block of the operator's pages. Each block is one test, named by its page and line:
//! `cargo test -p m2-tests --test operator_pages -- scripting.md` runs one page.

use m2_tests::harness::Lab;
use m2_tests::pages::{self, Outcome, Page, Report};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

/// Blocks that no machine of these tests can run may be this many.
const MOST_NOT_RUN: usize = 22;

/// Pages that run at once.
const AT_ONCE: usize = 4;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("test pages ... FAILED\n{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the pages whose path contains one of the arguments, or all. Returns whether all blocks passed.
fn run(arguments: &[String]) -> anyhow::Result<bool> {
    let start = Instant::now();
    let filters: Vec<&String> = arguments
        .iter()
        .filter(|argument| argument.ends_with(".md"))
        .collect();
    let mut pages = pages::all()?;
    limit(&pages)?;
    pages.retain(|page| filters.is_empty() || filters.iter().any(|part| page.path.contains(*part)));
    let can_run = Lab::is_possible();
    if !can_run {
        pages.clear();
    }
    println!(
        "\nrunning {} tests",
        pages.iter().map(|page| page.blocks.len()).sum::<usize>()
    );
    let reports = in_parallel(pages)?;
    let count = |select: fn(&Outcome) -> bool| -> usize {
        reports.iter().map(|report| report.count(select)).sum()
    };
    let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
    let unreached = count(|outcome| *outcome == Outcome::Unreached);
    let passed = count(|outcome| matches!(outcome, Outcome::Passed | Outcome::Skipped(_)));
    println!(
        "\ntest result: {}. {} passed; {failed} failed; {unreached} ignored; 0 measured; 0 filtered out; \
         finished in {:.2}s\n",
        if failed == 0 { "ok" } else { "FAILED" },
        passed + usize::from(!can_run),
        start.elapsed().as_secs_f64()
    );
    Ok(failed == 0)
}

/// Fails if more blocks are marked as not to be run than are allowed.
fn limit(pages: &[Page]) -> anyhow::Result<()> {
    let blocks = pages.iter().flat_map(|page| &page.blocks);
    let count = blocks.filter(|block| block.info.norun.is_some()).count();
    anyhow::ensure!(
        count <= MOST_NOT_RUN,
        "{count} blocks are marked with norun, and {MOST_NOT_RUN} may be"
    );
    Ok(())
}

/// Runs pages, a few at once, and prints the report of each when it is complete.
fn in_parallel(pages: Vec<Page>) -> anyhow::Result<Vec<Report>> {
    let next = AtomicUsize::new(0);
    let reports = Mutex::new(Vec::new());
    let work = || -> anyhow::Result<()> {
        while let Some(page) = pages.get(next.fetch_add(1, Ordering::Relaxed)) {
            let report = pages::run(page.clone())?;
            let mut reports = reports
                .lock()
                .map_err(|_| anyhow::anyhow!("a page panicked"))?;
            report.print();
            reports.push(report);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let result = worker.join();
            result.map_err(|_| anyhow::anyhow!("a page panicked"))??;
        }
        anyhow::Ok(())
    })?;
    reports
        .into_inner()
        .map_err(|_| anyhow::anyhow!("a page panicked"))
}
