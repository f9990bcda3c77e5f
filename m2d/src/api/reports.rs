//! What named clients report to fail: kept in memory, shown by ListClients and in the daemon's status.

use m2_engine::Refusal;
use m2_proto::reason::Reason;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The maximum number of clients that report a failure.
const MOST: usize = 256;
/// The maximum length of a failure, in bytes.
const MOST_BYTES: usize = 256;
/// The number of clients that the warning describes; it counts the others.
const SHOWN: usize = 5;

/// A failure that a client reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report {
    /// What fails.
    pub(super) failure: String,
    /// The time of the first report without a break, in Unix milliseconds.
    pub(super) since_ms: u64,
}

/// The failures of all clients, by name.
#[derive(Debug, Default)]
pub(super) struct Reports(Mutex<BTreeMap<String, Report>>);

impl Reports {
    /// Records what a client reports at `now_ms`; an empty failure ends the previous one.
    ///
    /// Errors: INVALID_ARGUMENT, LIMIT_REACHED.
    pub(super) fn set(&self, client: &str, failure: String, now_ms: u64) -> Result<(), Refusal> {
        check(&failure)?;
        let mut reports = self.reports();
        if failure.is_empty() {
            reports.remove(client);
        } else if let Some(report) = reports.get_mut(client) {
            report.failure = failure;
        } else if reports.len() < MOST {
            let since_ms = now_ms;
            reports.insert(client.to_owned(), Report { failure, since_ms });
        } else {
            return Err(Refusal::because(
                Reason::LimitReached,
                "256 front-ends report failures already. `m2 client list` shows them.",
            ));
        }
        Ok(())
    }

    /// Forgets the report of a client.
    pub(super) fn remove(&self, client: &str) {
        self.reports().remove(client);
    }

    /// Returns what a client reports to fail.
    pub(super) fn of(&self, client: &str) -> Option<Report> {
        self.reports().get(client).cloned()
    }

    /// Returns whether no client reports a failure.
    pub(super) fn is_empty(&self) -> bool {
        self.reports().is_empty()
    }

    /// Forgets the reports of clients that are not in `lags`, which has the number of waiting events of each client, and
    /// returns a warning for each of the first others.
    pub(super) fn warnings(&self, lags: &BTreeMap<String, u64>, now_ms: u64) -> Vec<String> {
        let mut reports = self.reports();
        reports.retain(|client, _| lags.contains_key(client));
        let shown = reports.iter().take(SHOWN);
        let mut warnings: Vec<String> = shown
            .map(|(client, report)| {
                let lag = lags.get(client).copied().unwrap_or(0);
                warning(client, report, lag, now_ms)
            })
            .collect();
        if let Some(more) = reports.len().checked_sub(SHOWN).filter(|more| *more > 0)
            && let Some(last) = warnings.last_mut()
        {
            let _ = write!(
                last,
                " {more} more front-ends report failures: `m2 client list`."
            );
        }
        warnings
    }

    fn reports(&self) -> MutexGuard<'_, BTreeMap<String, Report>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check(failure: &str) -> Result<(), Refusal> {
    if failure.len() > MOST_BYTES {
        return Err(Refusal::argument(
            "failure",
            "256 bytes",
            "The failure has at most 256 bytes. Give a shorter one.",
        ));
    }
    if failure.chars().any(char::is_control) {
        return Err(Refusal::argument(
            "failure",
            "no control characters",
            "The failure has a line break or another control character. Give one line of text.",
        ));
    }
    Ok(())
}

fn warning(client: &str, report: &Report, lag: u64, now_ms: u64) -> String {
    let minutes = now_ms.saturating_sub(report.since_ms) / 60_000;
    format!(
        "The front-end {client} has reported for {minutes} min that it can't hand its events on, of which {lag} wait: \
         \u{201c}{}\u{201d} If it is not in use any more, `m2 client remove {client}` forgets it.",
        report.failure
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lags(names: &[&str]) -> BTreeMap<String, u64> {
        names.iter().map(|name| ((*name).to_owned(), 3)).collect()
    }

    #[test]
    fn a_failure_lasts_from_its_first_report_to_the_next_success() {
        let reports = Reports::default();
        reports
            .set("hook", "Status 500.".to_owned(), 60_000)
            .unwrap();
        reports.set("hook", "Timeout.".to_owned(), 120_000).unwrap();
        let report = reports.of("hook").unwrap();
        assert_eq!(
            (report.failure.as_str(), report.since_ms),
            ("Timeout.", 60_000)
        );
        let warnings = reports.warnings(&lags(&["hook"]), 360_000);
        assert_eq!(warnings.len(), 1);
        for part in ["hook", "5 min", "3 wait", "Timeout."] {
            assert!(warnings[0].contains(part), "{part}: {warnings:?}");
        }
        reports.set("hook", String::new(), 180_000).unwrap();
        assert!(reports.is_empty());
    }

    #[test]
    fn reports_are_bounded_and_end_with_their_client() {
        let reports = Reports::default();
        for number in 0..MOST {
            reports.set(&number.to_string(), "x".to_owned(), 0).unwrap();
        }
        let refused = reports.set("one-more", "x".to_owned(), 0).unwrap_err();
        assert_eq!(refused.reason, Reason::LimitReached);
        reports.set("7", "y".to_owned(), 0).unwrap();
        let warnings = reports.warnings(&lags(&["1", "2", "3", "4", "5", "6", "7"]), 0);
        assert_eq!(warnings.len(), SHOWN);
        assert!(warnings[SHOWN - 1].contains("2 more"), "{warnings:?}");
        assert!(reports.of("8").is_none(), "the client 8 does not exist");
        for wrong in ["a\nb".to_owned(), "\u{1b}[2J".to_owned(), "x".repeat(257)] {
            let refused = reports.set("1", wrong, 0).unwrap_err();
            assert_eq!(refused.reason, Reason::InvalidArgument);
        }
    }
}
