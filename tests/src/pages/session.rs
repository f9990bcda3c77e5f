//! Runs the blocks of one page in order.

use super::artefacts;
use super::block::{Block, Page};
use super::formats;
use super::info::{Info, Kind};
use super::machine::{Call, Plan, contents};
use super::needs;
use super::network::{self, Network};
use super::output;
use super::report::{Outcome, Report};
use super::step::{self, Step};
use crate::harness::Binaries;
use crate::workspace;
use anyhow::{Context as _, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// What pages write in place of an invitation.
const INVITATION: &str = "m2://…";
/// What pages write in place of the version.
const VERSION: &str = "VERSION";

/// An address of documents (RFC 5737), which no daemon announces. The reader has another one.
const EXAMPLE: &str = "203.0.113.7";

/// Runs all blocks of a page. Later blocks are not reached after one that fails.
///
/// Errors: the source tree can't be used.
pub fn run(page: Page) -> anyhow::Result<Report> {
    let extra = workspace::target(&workspace::root()?).join("pages");
    fs::create_dir_all(extra.join("artefacts"))?;
    let mut session = Session {
        page: &page,
        extra: &extra,
        network: None,
        background: Vec::new(),
        output: String::new(),
        invitation: None,
        is_skipping: false,
    };
    let mut outcomes = Vec::new();
    for (index, block) in page.blocks.iter().enumerate() {
        let has_failed = outcomes.iter().any(|one| matches!(one, Outcome::Failed(_)));
        outcomes.push(match has_failed {
            true => Outcome::Unreached,
            false => session.outcome(index, block),
        });
    }
    session.end(&mut outcomes);
    drop(session);
    Ok(Report { page, outcomes })
}

struct Session<'a> {
    page: &'a Page,
    extra: &'a Path,
    network: Option<Network>,
    background: Vec<Background>,
    /// The output of the last block that was run.
    output: String,
    /// The last invitation that was printed.
    invitation: Option<String>,
    /// The last block that readers see was skipped.
    is_skipping: bool,
}

/// A block that goes on.
struct Background {
    block: usize,
    process: Child,
    file: File,
}

impl Session<'_> {
    fn outcome(&mut self, index: usize, block: &Block) -> Outcome {
        if let Some(reason) = &block.info.norun {
            return match parses(block) {
                Ok(()) => Outcome::Skipped(format!("not run: {reason}")),
                Err(error) => Outcome::Failed(format!("{error:#}")),
            };
        }
        if block.is_hidden && self.is_skipping {
            return Outcome::Skipped("the block before it was skipped".to_owned());
        }
        let missing = needs::missing(block, self.extra);
        self.is_skipping = missing.is_some();
        if let Some(missing) = missing {
            return Outcome::Skipped(missing);
        }
        match self.check(index, block) {
            Ok(()) => Outcome::Passed,
            Err(error) => Outcome::Failed(format!("{}\n{error:#}\n{}", block.text, self.logs())),
        }
    }

    fn check(&mut self, index: usize, block: &Block) -> anyhow::Result<()> {
        let info = &block.info;
        let text = block.text.replace(VERSION, env!("CARGO_PKG_VERSION"));
        let text = text.replace(EXAMPLE, network::READER);
        if let Some(path) = &info.file {
            self.write(path, &text)?;
        }
        match info.kind {
            Kind::Shell if info.file.is_some() => parses(block),
            Kind::Shell => {
                let steps = step::of(info, &text);
                self.run_steps(index, info, &steps)
            }
            Kind::Node => self.script(index, info, "node", "js", &text),
            Kind::Python => self.script(index, info, "python3", "py", &text),
            Kind::Output => self.compare(&text, info.is_like),
            Kind::Toml if info.file.is_some() => formats::toml(&text),
            Kind::Toml => self.configuration(&text),
            Kind::Json => formats::json(&text),
            Kind::Yaml => formats::yaml(&text),
            Kind::Unit => {
                let name = info.unit.as_deref().context("`unit=` is missing")?;
                formats::unit(name, &text)
            }
        }
    }

    fn run_steps(&mut self, index: usize, info: &Info, steps: &[Step]) -> anyhow::Result<()> {
        self.output.clear();
        let last = steps.len().saturating_sub(1);
        for (number, step) in steps.iter().enumerate() {
            let exit = if number == last { info.exit } else { 0 };
            self.run_step(index, info, step, exit)?;
        }
        Ok(())
    }

    fn run_step(
        &mut self,
        index: usize,
        info: &Info,
        step: &Step,
        exit: i32,
    ) -> anyhow::Result<()> {
        let commands = with_invitation(&step.commands, self.invitation.as_deref())?;
        let prelude = match info.artefacts.is_empty() {
            true => "",
            false => "ln -sf /opt/m2/extra/artefacts/m2* . && ",
        };
        let commands = format!("{prelude}:\n{commands}");
        let call = Call {
            person: step.person,
            is_root: step.is_root,
            directory: info.in_source.then_some("/usr/src/m2"),
            typed: &info.typed,
            is_background: info.is_background,
            command: &["bash", "-eo", "pipefail", "-c", &commands],
        };
        if info.is_background {
            let file = tempfile::tempfile()?;
            let process = self.network()?.machine(step.person)?.spawn(&call, &file)?;
            self.background.push(Background {
                block: index,
                process,
                file,
            });
            return Ok(());
        }
        let printed = self.network()?.machine(step.person)?.run(&call)?;
        if let Some(uri) = network::uri(&printed.output) {
            self.invitation = Some(uri.to_owned());
        }
        self.output.push_str(&printed.output);
        if printed.code != Some(exit) {
            bail!(
                "{} ends with {:?}:\n{}",
                step.person,
                printed.code,
                printed.output
            );
        }
        Ok(())
    }

    fn script(
        &mut self,
        index: usize,
        info: &Info,
        program: &str,
        extension: &str,
        text: &str,
    ) -> anyhow::Result<()> {
        // A script of an earlier block may not have been read yet.
        let path = format!("/tmp/page-{index}.{extension}");
        self.write(&path, text)?;
        let step = Step {
            person: "ben",
            is_root: false,
            commands: format!("exec {program} {path}"),
        };
        self.run_steps(index, info, &[step])
    }

    /// Writes a file on the reader's machine, as the reader.
    fn write(&mut self, path: &str, text: &str) -> anyhow::Result<()> {
        let machine = self.network()?.machine("ben")?;
        fs::write(machine.path("/tmp/page-block"), text)?;
        let line = format!("install -D -m 755 /tmp/page-block {path}");
        let printed = machine.run(&Call {
            person: "ben",
            is_root: false,
            directory: None,
            typed: &[],
            is_background: false,
            command: &["bash", "-c", &line],
        })?;
        (printed.code == Some(0))
            .then_some(())
            .with_context(|| printed.output)
    }

    fn compare(&self, text: &str, is_like: bool) -> anyhow::Result<()> {
        let missing = match is_like {
            true => output::missing_heading(text, &self.output),
            false => output::missing(text, &self.output)?,
        };
        match missing {
            None => Ok(()),
            Some(line) => bail!("no line like `{line}` in:\n{}", self.output),
        }
    }

    /// Lets the daemon check a configuration.
    fn configuration(&mut self, text: &str) -> anyhow::Result<()> {
        self.write("/tmp/page.toml", text)?;
        let step = Step {
            person: "ben",
            is_root: false,
            commands: "chmod 600 /tmp/page.toml; m2d check-config --config /tmp/page.toml"
                .to_owned(),
        };
        let info = Info::parse("sh")?;
        self.run_step(0, &info, &step, 0)
    }

    /// Returns the machines, which are started when the first block needs one.
    fn network(&mut self) -> anyhow::Result<&Network> {
        if self.network.is_none() {
            let kinds = self
                .page
                .blocks
                .iter()
                .flat_map(|block| &block.info.artefacts);
            let can_make = |kind: &&String| *kind != "deb" || needs::is_installed("cargo-deb");
            let kinds: Vec<String> = kinds.filter(can_make).cloned().collect();
            artefacts::make(&kinds, &self.extra.join("artefacts"))?;
            let root = workspace::root()?;
            let programs: PathBuf = Binaries::get()?.m2d.clone();
            let plan = Plan {
                source: &root,
                programs: programs.parent().context("no programs")?,
                extra: self.extra,
                has_systemd: network::has_systemd(self.page),
            };
            self.network = Some(Network::start(self.page, &plan)?);
        }
        self.network.as_ref().context("no machines")
    }

    fn logs(&self) -> String {
        self.network.as_ref().map(Network::logs).unwrap_or_default()
    }

    /// Fails blocks that should have gone on and did not.
    fn end(&mut self, outcomes: &mut [Outcome]) {
        for background in &mut self.background {
            let ended = background.process.try_wait().ok().flatten();
            let has_failed = ended.is_some_and(|status| !status.success());
            if let (true, Some(outcome)) = (has_failed, outcomes.get_mut(background.block)) {
                let output = contents(&mut background.file).unwrap_or_default();
                *outcome = Outcome::Failed(format!("it ended: {ended:?}\n{output}"));
            }
        }
    }
}

/// Checks the syntax of a block that is not run.
fn parses(block: &Block) -> anyhow::Result<()> {
    if block.info.kind != Kind::Shell {
        return Ok(());
    }
    let steps = step::of(&block.info, &block.text);
    let commands: String = steps.iter().map(|step| step.commands.as_str()).collect();
    let output = Command::new("bash")
        .args(["-n", "-c", &commands])
        .output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Replaces the invitation in commands, but not in comments.
fn with_invitation(commands: &str, invitation: Option<&str>) -> anyhow::Result<String> {
    let mut text = String::new();
    for line in commands.lines() {
        let end = line
            .find(" # ")
            .or_else(|| line.find("\t# "))
            .unwrap_or(line.len());
        let (command, comment) = line.split_at(end);
        if command.contains(INVITATION) {
            let uri = invitation.context("no invitation was made before this block")?;
            text.push_str(&command.replace(INVITATION, uri));
        } else {
            text.push_str(command);
        }
        text.push_str(comment);
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn invitations_are_filled_in_except_in_comments() {
        let text = "m2 invite create   # prints m2://…\nm2 contact add m2://… --name ann";
        let filled = with_invitation(text, Some("m2://abc")).unwrap();
        assert_eq!(
            filled,
            "m2 invite create   # prints m2://…\nm2 contact add m2://abc --name ann\n"
        );
        assert!(with_invitation(text, None).is_err());
    }
}
