//! One step of the verification and its outcome.

use std::path::PathBuf;

/// The input of every step.
pub(super) struct Context {
    /// The top directory of the workspace.
    pub(super) root: PathBuf,
    /// Seconds of fuzzing for each target, after its corpus has been replayed.
    pub(super) fuzz_seconds: u32,
}

/// A named part of the verification.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) run: fn(&Context) -> anyhow::Result<Outcome>,
}

/// The outcome of a step. A step that runs tests counts each test; any other step counts each
/// command as one check.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) passed: u64,
    pub(super) failed: u64,
    /// Tests that reported themselves as skipped, and steps for which a program is missing.
    pub(super) skipped: u64,
    missing: Option<String>,
    failures: Vec<String>,
}

impl Outcome {
    /// Returns the outcome of one check that passed.
    pub(super) fn success() -> Self {
        Self {
            passed: 1,
            ..Self::default()
        }
    }

    /// Returns the outcome of one check that failed for `reason`.
    pub(super) fn failure(reason: impl Into<String>) -> Self {
        Self {
            failed: 1,
            failures: vec![reason.into()],
            ..Self::default()
        }
    }

    /// Returns the outcome of a step that cannot run on this machine, and prints the reason in a
    /// line that begins with `SKIPPED`.
    pub(super) fn skipped(reason: &str) -> Self {
        println!("SKIPPED: {reason}");
        Self {
            skipped: 1,
            missing: Some(reason.to_owned()),
            ..Self::default()
        }
    }

    /// Adds the counts and failures of another outcome to this one.
    pub(super) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.failures.extend(other.failures);
    }

    pub(super) fn word(&self) -> &'static str {
        match (self.failed, &self.missing) {
            (0, None) => "ok",
            (0, Some(_)) => "SKIPPED",
            _ => "FAILED",
        }
    }

    pub(super) fn remark(&self) -> String {
        match &self.missing {
            Some(reason) => reason.clone(),
            None if self.failed > 0 => self.failures.join("; "),
            None if self.skipped > 0 => {
                format!("{} passed, {} skipped", self.passed, self.skipped)
            }
            None if self.passed > 1 => format!("{} passed", self.passed),
            None => String::new(),
        }
    }
}
