//! The part of a Containerfile that describes an image: what `podman build` would make of it.

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};
use std::str::FromStr;

/// The instructions that come first. The rest describes the image.
const BEGINNING: [&str; 2] = ["FROM scratch", "ADD rootfs.tar /"];

/// What containers of an image have by default.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Containerfile {
    config: Map<String, Value>,
}

impl Containerfile {
    /// Returns the `config` object of the image's configuration.
    pub(crate) fn config(self) -> Value {
        Value::Object(self.config)
    }

    fn add(&mut self, instruction: &str, rest: &str) -> anyhow::Result<()> {
        let (key, value) = match instruction {
            "ENV" => ("Env", rest.split_whitespace().collect()),
            "VOLUME" => ("Volumes", json!({ rest: {} })),
            "HEALTHCHECK" => ("Healthcheck", health_check(rest)?),
            "ENTRYPOINT" => ("Entrypoint", list(rest)?),
            "CMD" => ("Cmd", list(rest)?),
            _ => bail!("{instruction} is not known here"),
        };
        if self.config.insert(key.to_owned(), value).is_some() {
            bail!("{instruction} is there twice");
        }
        Ok(())
    }
}

impl FromStr for Containerfile {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let mut lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        for expected in BEGINNING {
            if lines.next() != Some(expected) {
                bail!("it must begin with {}", BEGINNING.join(", "));
            }
        }
        let mut file = Self::default();
        for line in lines {
            let (instruction, rest) = line.split_once(' ').context(line.to_owned())?;
            file.add(instruction, rest)
                .with_context(|| line.to_owned())?;
        }
        Ok(file)
    }
}

/// Reads the list of a program and its arguments, without a shell.
fn list(text: &str) -> anyhow::Result<Value> {
    let words: Vec<String> = serde_json::from_str(text)?;
    Ok(words.into())
}

/// Reads `--interval=60s … CMD ["PROGRAM", …]`.
fn health_check(text: &str) -> anyhow::Result<Value> {
    let (options, program) = text.split_once(" CMD ").context("no CMD")?;
    let words: Vec<String> = serde_json::from_str(program)?;
    let test: Vec<String> = std::iter::once("CMD".to_owned()).chain(words).collect();
    let mut check = Map::from_iter([("Test".to_owned(), test.into())]);
    for option in options.split_whitespace() {
        let (name, value) = option
            .split_once('=')
            .context("an option without a value")?;
        let name = match name {
            "--interval" => "Interval",
            "--timeout" => "Timeout",
            "--start-period" => "StartPeriod",
            _ => bail!("{name} is not known here"),
        };
        let seconds: u64 = value.strip_suffix('s').context("give seconds")?.parse()?;
        check.insert(name.to_owned(), (seconds * 1_000_000_000).into());
    }
    Ok(check.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rest: &str) -> anyhow::Result<Value> {
        let text = format!("# comment\nFROM scratch\nADD rootfs.tar /\n{rest}\n");
        text.parse().map(Containerfile::config)
    }

    #[test]
    fn instructions_become_the_configuration() {
        let health = "HEALTHCHECK --interval=60s --timeout=10s CMD [\"/m2\", \"status\"]";
        let config = read(&format!(
            "ENV A=1 B=2\nVOLUME /data\n{health}\nCMD [\"run\"]"
        ))
        .unwrap();
        let expected = json!({
            "Env": ["A=1", "B=2"],
            "Volumes": { "/data": {} },
            "Healthcheck": {
                "Test": ["CMD", "/m2", "status"],
                "Interval": 60_000_000_000_u64,
                "Timeout": 10_000_000_000_u64,
            },
            "Cmd": ["run"],
        });
        assert_eq!(config, expected);
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for wrong in [
            "RUN true",
            "CMD run",
            "ENTRYPOINT",
            "CMD [\"a\"]\nCMD [\"b\"]",
            "HEALTHCHECK --retries=3 CMD [\"a\"]",
            "HEALTHCHECK NONE",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!("FROM debian\n".parse::<Containerfile>().is_err());
    }

    #[test]
    fn the_projects_file_is_understood() {
        let config: Containerfile = include_str!("../container/Containerfile").parse().unwrap();
        let config = config.config();
        assert_eq!(config["Entrypoint"], json!(["/usr/bin/m2-container"]));
        assert_eq!(config["Healthcheck"]["Test"][1], "/usr/bin/m2");
    }
}
