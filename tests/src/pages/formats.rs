//! Blocks that no shell runs: TOML, JSON, YAML and units of systemd.

use crate::workspace;
use anyhow::{Context as _, bail, ensure};
use saphyr::{LoadableYamlNode as _, Yaml};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Checks that a text is one JSON value.
pub(super) fn json(text: &str) -> anyhow::Result<()> {
    serde_json::from_str::<serde_json::Value>(text)?;
    Ok(())
}

/// Checks that a text is TOML.
pub(super) fn toml(text: &str) -> anyhow::Result<()> {
    text.parse::<toml::Table>()?;
    Ok(())
}

/// Checks that a text is one YAML document.
pub(super) fn yaml(text: &str) -> anyhow::Result<()> {
    let documents = Yaml::load_from_str(text)?;
    ensure!(documents.len() == 1, "{} documents", documents.len());
    Ok(())
}

/// Checks a unit with systemd: a drop-in for a unit of the project, or a unit of its own.
pub(super) fn unit(name: &str, text: &str) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let units = workspace::root()?.join("m2d/packaging/systemd/system");
    for entry in fs::read_dir(units)? {
        let entry = entry?;
        copy(
            &fs::read_to_string(entry.path())?,
            &directory.path().join(entry.file_name()),
        )?;
    }
    let unit = directory.path().join(name);
    if unit.exists() {
        let drop_ins = directory.path().join(format!("{name}.d"));
        fs::create_dir(&drop_ins)?;
        copy(text, &drop_ins.join("page.conf"))?;
    } else {
        copy(text, &unit)?;
    }
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=yes"])
        .arg(&unit)
        .output()
        .context("systemd-analyze can't be run")?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    let place = directory.path().to_string_lossy();
    if !output.status.success() || complaints.contains(&*place) || complaints.contains(name) {
        bail!("{complaints}");
    }
    Ok(())
}

/// Writes a unit whose programs need not be installed: `/bin/true` replaces them.
fn copy(text: &str, to: &Path) -> anyhow::Result<()> {
    let lines = text.lines().map(|line| match line.split_once('=') {
        Some((key, _)) if key.starts_with("Exec") => format!("{key}=/bin/true\n"),
        _ => format!("{line}\n"),
    });
    fs::write(to, lines.collect::<String>())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_json_or_yaml_is_refused() {
        assert!(json("{\"a\": 1}").is_ok());
        assert!(json("{\"a\": 1,}").is_err());
        assert!(yaml("a:\n  - b: [c, {d: e}]\n").is_ok());
        assert!(yaml("a: [b\n").is_err());
        assert!(yaml("a: 1\n---\nb: 2\n").is_err());
    }
}
