//! The allowed dependencies between the crates, and the settings that every member inherits.

use super::files::SourceFile;
use anyhow::Context as _;
use toml::{Table, Value};

/// Each package of the workspace with the packages of the workspace that it may depend on
/// (docs/architecture.md). `m2-tests` may depend on all of them.
const ARROWS: [(&str, &[&str]); 24] = [
    ("m2-backup", &["m2-crypto", "m2-sqlite"]),
    ("m2-crypto", &[]),
    ("m2-proto", &["m2-windows"]),
    ("m2-windows", &[]),
    ("m2-delivery", &["m2-crypto", "m2-limits", "m2-proto"]),
    ("m2-discovery", &["m2-crypto"]),
    ("m2-limits", &[]),
    ("m2-sqlite", &["m2-crypto", "m2-limits", "m2-proto"]),
    (
        "m2-net",
        &[
            "m2-crypto",
            "m2-delivery",
            "m2-limits",
            "m2-proto",
            "m2-wire",
        ],
    ),
    ("m2-wire", &["m2-crypto", "m2-delivery", "m2-proto"]),
    (
        "m2-core",
        &["m2-crypto", "m2-delivery", "m2-limits", "m2-wire"],
    ),
    (
        "m2-relay",
        &["m2-crypto", "m2-discovery", "m2-limits", "m2-net"],
    ),
    (
        "m2-mailbox",
        &["m2-crypto", "m2-limits", "m2-net", "m2-sqlite"],
    ),
    (
        "m2d",
        &[
            "m2-backup",
            "m2-core",
            "m2-crypto",
            "m2-delivery",
            "m2-discovery",
            "m2-engine",
            "m2-limits",
            "m2-mailbox",
            "m2-net",
            "m2-proto",
            "m2-relay",
            "m2-sqlite",
            "m2-store",
            "m2-windows",
            "m2-wire",
        ],
    ),
    (
        "m2-engine",
        &[
            "m2-core",
            "m2-crypto",
            "m2-delivery",
            "m2-limits",
            "m2-proto",
            "m2-sqlite",
            "m2-store",
            "m2-wire",
        ],
    ),
    (
        "m2-store",
        &[
            "m2-backup",
            "m2-core",
            "m2-crypto",
            "m2-delivery",
            "m2-limits",
            "m2-sqlite",
            "m2-windows",
            "m2-wire",
        ],
    ),
    ("m2-cli", &["m2-backup", "m2-proto"]),
    ("m2-http", &["m2-limits", "m2-proto"]),
    ("m2-mcp", &["m2-proto"]),
    ("m2-mqtt", &["m2-limits", "m2-proto"]),
    (
        "m2-tests",
        &[
            "m2-backup",
            "m2-core",
            "m2-crypto",
            "m2-delivery",
            "m2-discovery",
            "m2-harness",
            "m2-mailbox",
            "m2-net",
            "m2-proto",
            "m2-packaging",
            "m2-store",
            "m2d",
            "m2-cli",
            "m2-http",
            "m2-mcp",
            "m2-mqtt",
            "m2-verify",
        ],
    ),
    ("m2-harness", &["m2-proto", "m2-verify"]),
    ("m2-packaging", &["m2-verify"]),
    ("m2-verify", &[]),
];

const DEPENDENCY_TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

const INHERITED: [&str; 5] = ["version", "edition", "rust-version", "license", "publish"];

/// Packages that are separate workspaces, with the reason.
const NOT_MEMBERS: [&str; 2] = [
    // Built with instrumentation.
    "tests/fuzz/Cargo.toml",
    // Depends on TLS, which M2's dependency tree must not contain.
    "tests/benches/stock-quinn/Cargo.toml",
];

/// A member of the workspace with its manifest.
struct Member<'a> {
    path: &'a str,
    manifest: Table,
}

/// Returns the dependencies between crates of the workspace that `ARROWS` does not allow.
///
/// Errors: a manifest is not valid TOML.
pub fn arrows(files: &[SourceFile]) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for member in members(files)? {
        let name = member.name();
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            findings.push(format!(
                "{}: {name} has no entry in ARROWS; an ADR decides its dependencies",
                member.path
            ));
            continue;
        };
        for used in member.ours() {
            if !allowed.contains(&used.as_str()) {
                findings.push(format!("{}: {name} may not use {used}", member.path));
            }
        }
    }
    Ok(findings)
}

/// Returns the crates without a README, and the crates and rooms of the daemon that the architecture page
/// does not link to.
///
/// Errors: a manifest is not valid TOML.
pub fn undocumented(files: &[SourceFile]) -> anyhow::Result<Vec<String>> {
    let text = |path: &str| files.iter().find(|file| file.path == path);
    let page = text("docs/architecture.md").map_or("", |page| page.text.as_str());
    let mut findings = Vec::new();
    for member in members(files)? {
        let readme = member.path.replace("Cargo.toml", "README.md");
        if text(&readme).is_none() {
            findings.push(format!("{readme}: missing"));
        }
        if !page.contains(&format!("(../{readme})")) {
            findings.push(format!("docs/architecture.md: no link to {readme}"));
        }
    }
    for file in files {
        let room = file.path.strip_prefix("m2d/src/").unwrap_or_default();
        let has_folder = room.strip_suffix(".rs").is_some_and(|name| {
            let folder = format!("m2d/src/{name}/");
            files.iter().any(|file| file.path.starts_with(&folder))
        });
        if has_folder && !room.contains('/') && !page.contains(&format!("(../m2d/src/{room})")) {
            findings.push(format!("docs/architecture.md: no link to m2d/src/{room}"));
        }
    }
    Ok(findings)
}

/// Returns the sources of m2-net that use any part of m2-proto other than the wire messages.
pub fn wire_only(files: &[SourceFile]) -> Vec<String> {
    files
        .iter()
        .filter(|file| file.path.starts_with("m2-net/") && file.is("rs"))
        .filter(|file| file.text.contains("m2_proto::api"))
        .map(|file| format!("{}: m2-net may use only m2_proto::wire", file.path))
        .collect()
}

/// Returns the members that do not inherit the workspace's lints, version, edition, Rust version,
/// licence or `publish`.
///
/// Errors: a manifest is not valid TOML.
pub fn inheritance(files: &[SourceFile]) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for member in members(files)? {
        if !inherits(member.manifest.get("lints")) {
            findings.push(format!("{}: [lints] workspace = true", member.path));
        }
        let package = member.manifest.get("package");
        for key in INHERITED {
            if !inherits(package.and_then(|package| package.get(key))) {
                findings.push(format!("{}: {key}.workspace = true", member.path));
            }
        }
    }
    Ok(findings)
}

/// Returns the dependencies whose version is set in a member instead of in
/// `[workspace.dependencies]`.
///
/// Errors: a manifest is not valid TOML.
pub fn versions(files: &[SourceFile]) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for member in members(files)? {
        for (name, value) in member.dependencies() {
            if !inherits(Some(value)) {
                findings.push(format!(
                    "{}: {name} belongs in [workspace.dependencies]",
                    member.path
                ));
            }
        }
    }
    Ok(findings)
}

impl Member<'_> {
    fn name(&self) -> &str {
        self.manifest
            .get("package")
            .and_then(|package| package.get("name"))
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    fn dependencies(&self) -> impl Iterator<Item = (&String, &Value)> {
        // Dependencies of one system are in tables of their own.
        let targets = self.manifest.get("target").and_then(Value::as_table);
        let targets = targets.into_iter().flatten();
        let targets = targets.filter_map(|(_, target)| target.as_table());
        std::iter::once(&self.manifest)
            .chain(targets)
            .flat_map(|tables| {
                DEPENDENCY_TABLES
                    .iter()
                    .filter_map(|table| tables.get(*table)?.as_table())
            })
            .flatten()
    }

    fn ours(&self) -> impl Iterator<Item = &String> {
        self.dependencies()
            .map(|(name, _)| name)
            .filter(|name| ARROWS.iter().any(|(known, _)| known == name))
    }
}

fn members(files: &[SourceFile]) -> anyhow::Result<Vec<Member<'_>>> {
    files
        .iter()
        .filter(|file| file.path.ends_with("/Cargo.toml"))
        .filter(|file| !NOT_MEMBERS.contains(&file.path.as_str()))
        .map(|file| {
            Ok(Member {
                path: &file.path,
                manifest: file.text.parse().with_context(|| file.path.clone())?,
            })
        })
        .collect()
}

/// Returns whether a value is `{ workspace = true }`, with or without other keys.
fn inherits(value: Option<&Value>) -> bool {
    value.and_then(|value| value.get("workspace")) == Some(&Value::Boolean(true))
}
