//! The model step: runs Verifpal on the models of the protocol in `docs/spec/model`, and on the
//! variants of each, and compares the result of every query with the one that the model states.
//! `docs/spec/model/README.md` describes the annotations.

mod source;
mod verifpal;

use super::command::installed;
use super::step::{Context, Outcome};
use anyhow::{Context as _, bail};
use source::{Model, Query, Verdict};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

const DIRECTORY: &str = "docs/spec/model";
const MISSING: &str = "verifpal is not installed (cargo install --locked verifpal)";

pub(super) fn run(context: &Context) -> anyhow::Result<Outcome> {
    let models = read_all(&context.root.join(DIRECTORY))?;
    if !installed(verifpal::PROGRAM) {
        return Ok(Outcome::skipped(MISSING));
    }
    let mut outcome = Outcome::default();
    for (name, model) in models {
        for variant in model.variants() {
            outcome.add(verify(&name, &model, variant)?);
        }
    }
    Ok(outcome)
}

/// Reads the models of a directory, sorted by name.
fn read_all(directory: &Path) -> anyhow::Result<Vec<(String, Model)>> {
    let mut models = Vec::new();
    for path in paths(directory)? {
        let text = fs::read_to_string(&path)?;
        let model = Model::parse(&text).with_context(|| path.display().to_string())?;
        let name = path.file_stem().unwrap_or_default();
        models.push((name.to_string_lossy().into_owned(), model));
    }
    if models.is_empty() {
        bail!("no models in {}", directory.display());
    }
    Ok(models)
}

fn paths(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "vp") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Runs one variant of a model. Each query counts as one check.
fn verify(name: &str, model: &Model, variant: Option<&str>) -> anyhow::Result<Outcome> {
    let shown = variant.map_or_else(|| name.to_owned(), |variant| format!("{name}/{variant}"));
    let queries = model.queries(variant)?;
    let began = Instant::now();
    let answers = verifpal::ask(&model.text(variant), model.sessions(variant))
        .with_context(|| shown.clone())?;
    let mut outcome = Outcome::default();
    if answers.len() != queries.len() {
        let (found, expected) = (answers.len(), queries.len());
        bail!("{shown}: Verifpal answered {found} queries, the model has {expected}");
    }
    for query in &queries {
        let Some(answer) = answers.iter().find(|answer| answer.line == query.line) else {
            bail!("{shown}: Verifpal did not answer `{}`", query.text);
        };
        outcome.add(compare(&shown, query, answer));
    }
    let took = began.elapsed().as_secs_f64();
    println!("    {shown}: {} queries, {took:.1} s", queries.len());
    Ok(outcome)
}

/// Compares an answer with the expected one. Prints Verifpal's reason for an unexpected attack.
fn compare(shown: &str, query: &Query, answer: &verifpal::Answer) -> Outcome {
    if answer.verdict == query.expected {
        return Outcome::success();
    }
    if answer.verdict == Verdict::Attack {
        println!("{}", answer.conclusion);
    }
    Outcome::failure(format!(
        "{shown}: `{}` gave {}, expected {}",
        query.text, answer.verdict, query.expected
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(expected: Verdict) -> Query {
        Query {
            line: 1,
            text: "confidentiality? m".to_owned(),
            expected,
        }
    }

    fn answer(verdict: Verdict) -> verifpal::Answer {
        verifpal::Answer {
            line: 1,
            verdict,
            conclusion: "m is obtained by Attacker.".to_owned(),
        }
    }

    #[test]
    fn an_attack_fails_unless_it_is_expected_and_so_does_a_missing_one() {
        use Verdict::{Attack, Pass};
        let failed = |expected, found| compare("x", &query(expected), &answer(found)).failed;
        assert_eq!(failed(Pass, Pass), 0);
        assert_eq!(failed(Attack, Attack), 0);
        assert_eq!(failed(Pass, Attack), 1);
        assert_eq!(failed(Attack, Pass), 1);
    }

    #[test]
    fn the_models_of_the_repository_are_annotated() {
        let root = crate::workspace::root().unwrap();
        let models = read_all(&root.join(DIRECTORY)).unwrap();
        let variants: usize = models
            .iter()
            .map(|(_, model)| model.variants().count())
            .sum();
        assert!(variants > models.len());
    }

    #[test]
    fn a_directory_without_models_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        assert!(read_all(directory.path()).is_err());
        assert!(read_all(&directory.path().join("missing")).is_err());
    }
}
