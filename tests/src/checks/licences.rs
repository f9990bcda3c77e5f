//! Checks the licences of the dependencies against those that `deny.toml` allows. `cargo deny`
//! checks more; this check needs no additional program.

use super::files::SourceFile;
use crate::workspace;
use anyhow::{Context as _, bail};
use serde::Deserialize;
use std::collections::HashSet;
use std::process::Command;

/// Returns the dependencies whose licence is not allowed, and those that are banned.
///
/// Errors: cargo cannot list the dependencies, or `deny.toml` is missing or malformed.
pub fn check(files: &[SourceFile]) -> anyhow::Result<Vec<String>> {
    let file = files
        .iter()
        .find(|file| file.path == "deny.toml")
        .context("deny.toml is missing")?;
    let policy: Policy = toml::from_str(&file.text).context("deny.toml")?;
    let mut findings = Vec::new();
    for platform in &policy.graph.targets {
        let metadata = metadata(platform)?;
        for package in &metadata.packages {
            findings.extend(policy.findings(package, &metadata));
        }
    }
    findings.sort();
    findings.dedup();
    Ok(findings)
}

/// The parts of `deny.toml` that are checked here.
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
    /// The only crates that may depend on the banned crate directly; none if empty.
    #[serde(default)]
    wrappers: Vec<String>,
}

/// The fields of a package in the output of `cargo metadata` that are used here.
#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    license: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

/// A package and its dependencies, by their ids.
#[derive(Deserialize)]
struct Node {
    id: String,
    dependencies: Vec<String>,
}

impl Metadata {
    /// Returns the names of the packages that depend on `package`.
    fn dependents(&self, package: &Package) -> Vec<&str> {
        let nodes = self.resolve.nodes.iter();
        let ids: Vec<&String> = nodes
            .filter(|node| node.dependencies.contains(&package.id))
            .map(|node| &node.id)
            .collect();
        let packages = self.packages.iter();
        packages
            .filter(|other| ids.contains(&&other.id))
            .map(|other| other.name.as_str())
            .collect()
    }
}

impl Policy {
    fn findings(&self, package: &Package, metadata: &Metadata) -> Vec<String> {
        let name = &package.name;
        let licence = package.license.as_deref().unwrap_or("none");
        let mut findings = Vec::new();
        if !Expression::of(licence).is_met_by(&self.allowed(name)) {
            findings.push(format!("{name}: licence {licence} is not in deny.toml"));
        }
        for banned in self.bans.deny.iter().filter(|banned| banned.name == *name) {
            if banned.wrappers.is_empty() {
                findings.push(format!("{name}: banned by deny.toml"));
                continue;
            }
            let dependents = metadata.dependents(package).into_iter();
            let others = dependents.filter(|user| !banned.wrappers.iter().any(|w| w == user));
            findings.extend(others.map(|user| format!("{name}: banned by deny.toml for {user}")));
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

/// An SPDX expression. `OR` binds less tightly than `AND`; `/` is an old form of `OR`.
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

/// Returns every package that cargo would build for `platform`.
///
/// `cargo metadata` also lists optional packages that a weak feature (`ring?/std`) mentions but
/// that no feature enables; `cargo tree` does not, so its list is used as a filter.
fn metadata(platform: &str) -> anyhow::Result<Metadata> {
    let filter = ["--format-version=1", "--filter-platform", platform];
    let mut metadata: Metadata = serde_json::from_slice(&cargo("metadata", &filter)?)?;
    let plain = [
        "--workspace",
        "--prefix=none",
        "--format={p}",
        "--target",
        platform,
    ];
    let built = String::from_utf8(cargo("tree", &plain)?)?;
    let built: HashSet<&str> = built
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let packages = &mut metadata.packages;
    packages.retain(|package| built.contains(package.name.as_str()));
    Ok(metadata)
}

/// Returns a finding if a daemon without the feature `jetstream` is built with the NATS client.
///
/// Errors: cargo fails.
pub fn optional_nats() -> anyhow::Result<Vec<String>> {
    let tree = |features: &[&str]| -> anyhow::Result<bool> {
        let arguments = ["-p", "m2d", "-e", "normal", "--prefix", "none"];
        let tree = cargo("tree", &[&arguments, features].concat())?;
        Ok(String::from_utf8(tree)?.contains("async-nats"))
    };
    let mut findings = Vec::new();
    if tree(&["--no-default-features"])? {
        findings.push("m2d/Cargo.toml: async-nats is built without the feature jetstream".into());
    }
    if !tree(&[])? {
        findings.push("m2d/Cargo.toml: async-nats is not built with the feature jetstream".into());
    }
    Ok(findings)
}

fn cargo(command: &str, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([command, "--locked"])
        .args(arguments)
        .current_dir(workspace::root()?)
        .output()
        .with_context(|| format!("could not start cargo {command}"))?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_expressions_are_evaluated() {
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
