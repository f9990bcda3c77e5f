//! One step of the verification and what came of it.

use std::path::PathBuf;

/// What every step gets.
pub(super) struct Context {
    /// The workspace's top directory.
    pub(super) root: PathBuf,
    /// Seconds of new fuzzing for each target.
    pub(super) fuzz_seconds: u32,
}

/// A named part of the verification.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) run: fn(&Context) -> anyhow::Result<Outcome>,
}

/// What a step found: a step of many tests counts each of them, any other counts as one.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) passed: u64,
    pub(super) failed: u64,
    /// Tests that printed that they can't run here, and steps for which a program is missing.
    pub(super) skipped: u64,
    missing: Option<String>,
    failures: Vec<String>,
}

impl Outcome {
    /// One check passed.
    pub(super) fn success() -> Self {
        Self {
            passed: 1,
            ..Self::default()
        }
    }

    /// One check failed, for this reason.
    pub(super) fn failure(reason: impl Into<String>) -> Self {
        Self {
            failed: 1,
            failures: vec![reason.into()],
            ..Self::default()
        }
    }

    /// The step can't run here, for this reason. Prints it in capitals, so that it is seen.
    pub(super) fn skipped(reason: &str) -> Self {
        println!("SKIPPED: {reason}");
        Self {
            skipped: 1,
            missing: Some(reason.to_owned()),
            ..Self::default()
        }
    }

    /// Adds another outcome's counts to this one's.
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
