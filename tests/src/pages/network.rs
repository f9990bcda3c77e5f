//! The machines of a page, and the network between them.

use super::block::Page;
use super::info::Place;
use super::machine::{Call, Machine, Plan, Printed};
use super::step::{self, PERSONS};
use crate::harness::Lab;
use anyhow::{Context as _, bail};
use std::fs;
use std::path::Path;

/// The host that connects the machines.
const HUB: &str = "hub";

/// The address of the reader's machine.
pub(super) const READER: &str = "11.7.0.1";

/// The committed test identities of the persons.
const IDENTITIES: [&str; 3] = ["bob", "alice", "carol"];

/// Settings of Cem's daemon, which serves others.
const SERVES: &str = "[mailbox]\nserve = true\n[relay]\nserve = true\n";

/// The machines of all persons that a page speaks of.
#[derive(Debug)]
pub(super) struct Network {
    machines: Vec<(&'static str, Machine)>,
    _lab: Lab,
}

impl Network {
    /// Starts the machines of a page, with the daemons that its setup names.
    ///
    /// Errors: this system does not permit it, or a daemon does not start.
    pub(super) fn start(page: &Page, plan: &Plan<'_>) -> anyhow::Result<Self> {
        let persons = persons(page);
        let mut hosts = vec![HUB];
        hosts.extend(&persons);
        let lab = Lab::new(&hosts)?;
        let addresses = (1..).map(|number| format!("11.7.0.{number}/24"));
        let addresses: Vec<String> = addresses.take(persons.len()).collect();
        let hosts: Vec<(&str, &str)> = persons
            .iter()
            .zip(&addresses)
            .map(|(person, address)| (*person, address.as_str()))
            .collect();
        lab.bridge(HUB, &hosts)?;
        let mut machines = Vec::new();
        for person in persons {
            lab.default_route(person, "11.7.0.254")?;
            machines.push((person, Machine::start(&lab, person, plan)?));
        }
        let network = Self {
            machines,
            _lab: lab,
        };
        if page.needs_machines() {
            network.set_up(&page.setup)?;
        }
        Ok(network)
    }

    /// Returns a person's machine.
    ///
    /// Errors: the page does not speak of this person.
    pub(super) fn machine(&self, person: &str) -> anyhow::Result<&Machine> {
        let found = self.machines.iter().find(|(owner, _)| *owner == person);
        Ok(&found.with_context(|| format!("{person} has no machine"))?.1)
    }

    /// Returns the ends of the logs of all machines.
    pub(super) fn logs(&self) -> String {
        self.machines
            .iter()
            .map(|(_, machine)| machine.log())
            .collect()
    }

    fn set_up(&self, setup: &[String]) -> anyhow::Result<()> {
        let has = |word: &str| setup.iter().any(|one| one == word);
        if let Some(unknown) = setup.iter().find(|word| !SETUPS.contains(&word.as_str())) {
            bail!("`{unknown}` is no setup");
        }
        if has("none") {
            return Ok(());
        }
        for (person, machine) in &self.machines {
            start_daemon(person, machine)?;
        }
        if has("contacts") {
            self.befriend("ann")?;
        }
        if has("cem") {
            self.befriend("cem")?;
        }
        Ok(())
    }

    /// Makes a person and the reader contacts.
    fn befriend(&self, person: &str) -> anyhow::Result<()> {
        let made = self.sh(person, "m2 invite create --name ben")?;
        let uri = uri(&made.output).context("no invitation")?;
        let add = format!("m2 contact add {uri} --name {person}");
        self.sh("ben", &add)?;
        for (owner, other) in [("ben", person), (person, "ben")] {
            let line = format!(
                "until m2 contact list --state contact | grep -qw {other}; do sleep 0.1; done"
            );
            self.sh(owner, &line)?;
        }
        Ok(())
    }

    fn sh(&self, person: &str, line: &str) -> anyhow::Result<Printed> {
        sh(person, self.machine(person)?, line)
    }
}

/// The words of a setup.
const SETUPS: [&str; 4] = ["none", "daemons", "contacts", "cem"];

/// Returns the last invitation in a text.
pub(super) fn uri(text: &str) -> Option<&str> {
    let mut words = text.split(|end: char| end.is_whitespace() || end == '"');
    words.rfind(|word| word.starts_with("m2://") && word.len() > 20)
}

/// Returns the persons of a page: the reader, those of its setup, and those that its prompts name.
fn persons(page: &Page) -> Vec<&'static str> {
    let has = |word: &str| page.setup.iter().any(|one| one == word);
    let steps = page.blocks.iter().filter(|block| block.is_run());
    let steps: Vec<_> = steps
        .flat_map(|block| step::of(&block.info, &block.text))
        .collect();
    let is_needed = |person: &&str| match *person {
        "ben" => true,
        "ann" if has("contacts") || has("daemons") => true,
        person => has(person) || steps.iter().any(|step| step.person == person),
    };
    PERSONS.into_iter().filter(is_needed).collect()
}

/// Returns whether a block of the page needs a machine with systemd.
pub(super) fn has_systemd(page: &Page) -> bool {
    let mut run = page.blocks.iter().filter(|block| block.is_run());
    run.any(|block| block.info.place == Place::Systemd)
}

/// Gives a person an identity, and starts the daemon of the person's login.
fn start_daemon(person: &str, machine: &Machine) -> anyhow::Result<()> {
    let position = PERSONS.iter().position(|one| *one == person).unwrap_or(0);
    let name = IDENTITIES.get(position).context("no identity")?;
    let source = Path::new("/opt/m2/source/tests/vectors/identities").join(format!("{name}.pem"));
    let settings = if person == "cem" { SERVES } else { "" };
    fs::write(machine.path("/tmp/settings"), settings)?;
    let line = format!(
        "mkdir -p ~/.config/m2d ~/.local/share && mkdir -m 700 ~/.local/share/m2d && \
         install -m 600 {} ~/.local/share/m2d/identity.pem && cp /tmp/settings ~/.config/m2d/m2d.toml && \
         {{ setsid m2d run > ~/m2d.log 2>&1 < /dev/null & }}; \
         for i in $(seq 300); do m2 status --quiet && exit 0; sleep 0.1; done; cat ~/m2d.log; exit 1",
        source.display()
    );
    sh(person, machine, &line)?;
    Ok(())
}

fn sh(person: &str, machine: &Machine, line: &str) -> anyhow::Result<Printed> {
    let printed = machine.run(&Call {
        person,
        is_root: false,
        directory: None,
        typed: &[],
        is_background: false,
        command: &["bash", "-c", line],
    })?;
    if printed.code != Some(0) {
        bail!("{person}: `{line}`: {:?}\n{}", printed.code, printed.output);
    }
    Ok(printed)
}
