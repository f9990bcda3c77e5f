//! The steps of a block: the commands of one person each.

use super::info::{Info, Place};

/// The persons that pages speak of. The first one is the reader.
pub(super) const PERSONS: [&str; 3] = ["ben", "ann", "cem"];

/// Commands that one person runs in one shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) person: &'static str,
    pub(super) is_root: bool,
    pub(super) commands: String,
}

/// Splits a block at its prompts, such as `ann$ ` and `ben# `. A block without prompts is one step of the
/// reader.
pub(super) fn of(info: &Info, text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines() {
        let prompt = prompt(line);
        if prompt.is_some() || steps.is_empty() {
            steps.push(Step {
                person: prompt.map_or("ben", |(person, ..)| person),
                is_root: prompt.map_or(info.place != Place::User, |(_, is_root, _)| is_root),
                commands: String::new(),
            });
        }
        if let Some(step) = steps.last_mut() {
            step.commands
                .push_str(prompt.map_or(line, |(.., rest)| rest));
            step.commands.push('\n');
        }
    }
    steps
}

fn prompt(line: &str) -> Option<(&'static str, bool, &str)> {
    PERSONS.iter().find_map(|person| {
        let rest = line.strip_prefix(person)?;
        let user = rest.strip_prefix("$ ").map(|rest| (*person, false, rest));
        user.or_else(|| rest.strip_prefix("# ").map(|rest| (*person, true, rest)))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn prompts_name_the_person() {
        let info = Info::parse("sh").unwrap();
        let steps = of(&info, "ann# apt x\nben$ m2 id\nmore\n");
        let found: Vec<_> = steps
            .iter()
            .map(|step| (step.person, step.is_root, step.commands.as_str()))
            .collect();
        assert_eq!(
            found,
            [("ann", true, "apt x\n"), ("ben", false, "m2 id\nmore\n")]
        );
    }

    #[test]
    fn without_a_prompt_the_reader_runs_everything() {
        let info = Info::parse("sh root").unwrap();
        let steps = of(&info, "a\nannex$ b\n");
        assert_eq!(steps.len(), 1);
        assert!(
            steps
                .iter()
                .all(|step| step.is_root && step.person == "ben")
        );
    }
}
