//! Runs Verifpal and reads its report.

use super::source::Verdict;
use anyhow::{Context as _, bail};
use serde_json::Value;
use std::process::Command;

pub(super) const PROGRAM: &str = "verifpal";

/// Verifpal's answer to one query.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The line of the query, from 1.
    pub(super) line: usize,
    pub(super) verdict: Verdict,
    /// The reason for an attack. Empty if there is none.
    pub(super) conclusion: String,
}

/// Analyses a model in which each principal runs `sessions` times.
///
/// Errors: Verifpal can't be started, rejects the model, or reports in another format.
pub(super) fn ask(model: &str, sessions: u8) -> anyhow::Result<Vec<Answer>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("model.vp");
    std::fs::write(&path, model)?;
    let mut command = Command::new(PROGRAM);
    command.args(["verify", "--format", "json", "--sessions"]);
    command.arg(sessions.to_string()).arg(&path);
    // Verifpal asks GitHub for a newer version at each run. No proxy listens on this port.
    command.env("ALL_PROXY", "http://127.0.0.1:9");
    let output = command
        .output()
        .with_context(|| format!("could not start {PROGRAM}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let report = String::from_utf8_lossy(&output.stdout);
    answers(&report).with_context(|| format!("{PROGRAM} ended with {}: {errors}", output.status))
}

/// Reads the answers from a report on one model.
fn answers(report: &str) -> anyhow::Result<Vec<Answer>> {
    const FORMAT: &str = "not a report of Verifpal 1.6 or later";
    let report: Value = serde_json::from_str(report).context(FORMAT)?;
    let model = report.pointer("/models/0").context(FORMAT)?;
    if let Some(error) = model.get("error").and_then(Value::as_str) {
        bail!("{error}");
    }
    let queries = model
        .pointer("/analysis/queries")
        .and_then(Value::as_array)
        .context(FORMAT)?;
    queries
        .iter()
        .map(|query| answer(query).context(FORMAT))
        .collect()
}

fn answer(query: &Value) -> Option<Answer> {
    let line = query.pointer("/range/line")?.as_u64()?;
    let verdict = match query.get("resolved")?.as_bool()? {
        true => Verdict::Attack,
        false => Verdict::Pass,
    };
    Some(Answer {
        line: usize::try_from(line).ok()?,
        verdict,
        conclusion: query.get("conclusion")?.as_str()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let report = r#"{"version":"1.1.0","ok":true,"models":[{"file":"m.vp","ok":true,"analysis":
            {"code":"c1e0","queries":[
            {"resolved":true,"conclusion":"m is obtained by Attacker.","range":{"line":7,"column":2}},
            {"resolved":false,"conclusion":"","range":{"line":8,"column":2}}]}}]}"#;
        let answers = answers(report).unwrap();
        let found: Vec<_> = answers.iter().map(|a| (a.line, a.verdict)).collect();
        assert_eq!(found, [(7, Verdict::Attack), (8, Verdict::Pass)]);
        assert_eq!(answers[0].conclusion, "m is obtained by Attacker.");
    }

    #[test]
    fn a_rejected_model_is_an_error_with_verifpals_text() {
        let report = r#"{"models":[{"file":"m.vp","ok":false,"error":"unknown constant x"}]}"#;
        let error = answers(report).unwrap_err().to_string();
        assert_eq!(error, "unknown constant x");
        assert!(answers(r#"{"models":[]}"#).is_err());
        assert!(answers("Verifpal 0.27").is_err());
    }
}
