//! The licences of the dependencies against those that `deny.toml` allows. `cargo deny` does
//! this better; this needs nothing installed.

use super::files::SourceFile;
use crate::workspace;
use anyhow::{Context as _, bail};
use serde::Deserialize;
use std::process::Command;

/// Dependencies with a licence that is not allowed, and crates that are banned.
///
/// Errors: cargo can't list the dependencies, or `deny.toml` is broken.
pub fn check(files: &[SourceFile]) -> anyhow::Result<Vec<String>> {
    let file = files
        .iter()
        .find(|file| file.path == "deny.toml")
        .context("deny.toml is missing")?;
    let policy: Policy = toml::from_str(&file.text).context("deny.toml")?;
    let mut findings = Vec::new();
    for platform in &policy.graph.targets {
        for package in packages(platform)? {
            findings.extend(policy.findings(&package));
        }
    }
    findings.sort();
    findings.dedup();
    Ok(findings)
}

/// The part of `deny.toml` that counts here.
#[derive(Deserialize)]
struct Policy {
    graph: Graph,
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Banned>,
}

#[derive(Deserialize)]
struct Banned {
    #[serde(rename = "crate")]
    name: String,
}

/// What `cargo metadata` says of a package, as far as it counts here.
#[derive(Deserialize)]
struct Package {
    name: String,
    license: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

impl Policy {
    fn findings(&self, package: &Package) -> Vec<String> {
        let name = &package.name;
        let licence = package.license.as_deref().unwrap_or("none");
        let mut findings = Vec::new();
        if !Expression::of(licence).is_met_by(&self.allowed(name)) {
            findings.push(format!("{name}: licence {licence} is not in deny.toml"));
        }
        if self.bans.deny.iter().any(|banned| banned.name == *name) {
            findings.push(format!("{name}: banned by deny.toml"));
        }
        findings
    }

    fn allowed(&self, package: &str) -> Vec<&str> {
        let exceptions = self.licenses.exceptions.iter();
        exceptions
            .filter(|exception| exception.name == package)
            .flat_map(|exception| &exception.allow)
            .chain(&self.licenses.allow)
            .map(String::as_str)
            .collect()
    }
}

/// An SPDX expression: `OR` binds weaker than `AND`, `/` is an old `OR`.
struct Expression {
    tokens: Vec<String>,
}

impl Expression {
    fn of(text: &str) -> Self {
        let spaced = text
            .replace('/', " OR ")
            .replace('(', " ( ")
            .replace(')', " ) ");
        Self {
            tokens: spaced.split_whitespace().map(str::to_owned).collect(),
        }
    }

    fn is_met_by(&self, allowed: &[&str]) -> bool {
        let mut rest = self.tokens.as_slice();
        any(&mut rest, allowed) && rest.is_empty()
    }
}

fn any(rest: &mut &[String], allowed: &[&str]) -> bool {
    let mut met = every(rest, allowed);
    while take(rest, "OR") {
        met |= every(rest, allowed);
    }
    met
}

fn every(rest: &mut &[String], allowed: &[&str]) -> bool {
    let mut met = one(rest, allowed);
    while take(rest, "AND") {
        met &= one(rest, allowed);
    }
    met
}

fn one(rest: &mut &[String], allowed: &[&str]) -> bool {
    if take(rest, "(") {
        let met = any(rest, allowed);
        return take(rest, ")") && met;
    }
    let Some(mut name) = next(rest) else {
        return false;
    };
    if take(rest, "WITH") {
        let exception = next(rest).unwrap_or_default();
        name = format!("{name} WITH {exception}");
    }
    allowed.contains(&name.as_str())
}

fn next(rest: &mut &[String]) -> Option<String> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    Some(first.clone())
}

fn take(rest: &mut &[String], word: &str) -> bool {
    match rest.split_first() {
        Some((first, after)) if first == word => {
            *rest = after;
            true
        }
        _ => false,
    }
}

/// Every package that cargo would build for `platform`.
fn packages(platform: &str) -> anyhow::Result<Vec<Package>> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version=1", "--locked"])
        .args(["--filter-platform", platform])
        .current_dir(workspace::root()?)
        .output()
        .context("could not start cargo metadata")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    Ok(metadata.packages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let list = ["MIT", "Apache-2.0 WITH LLVM-exception"];
        for allowed in [
            "MIT",
            "GPL-3.0 OR MIT",
            "MIT/GPL-3.0",
            "(GPL-3.0 OR MIT) AND MIT",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(Expression::of(allowed).is_met_by(&list), "{allowed}");
        }
        for refused in [
            "",
            "none",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "Apache-2.0",
            "(MIT",
        ] {
            assert!(!Expression::of(refused).is_met_by(&list), "{refused}");
        }
    }
}
