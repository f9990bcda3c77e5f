//! Texts generated from the definition of the commands: help, completions, man pages and the
//! reference in the documentation.

use std::io;

use clap::{Arg, Command};
use clap_complete::Shell;

/// The width in characters to which generated texts are wrapped.
const WIDTH: usize = 100;

/// Returns the completions for one shell.
#[must_use]
pub fn completions(command: Command, shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut built(command), "m2", &mut script);
    script
}

/// Returns the man pages of all commands, as file names and contents.
///
/// # Errors
/// Fails if a page can't be rendered.
pub fn man_pages(command: Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut pages = Vec::new();
    for command in all(command) {
        let mut page = Vec::new();
        let man = clap_mangen::Man::new(command)
            .source(concat!("m2 ", env!("CARGO_PKG_VERSION")))
            .manual("M2");
        man.render(&mut page)?;
        pages.push((man.get_filename(), page));
    }
    Ok(pages)
}

/// Returns the help texts of all commands, one after another.
#[must_use]
pub fn help(command: Command) -> String {
    let sections = all(command).into_iter().map(|mut command| {
        let line = command_line(&command);
        let help = command.render_long_help().to_string();
        let help: Vec<&str> = help.lines().map(str::trim_end).collect();
        format!("$ {line} --help\n\n{}\n", help.join("\n"))
    });
    sections.collect::<Vec<_>>().join("\n")
}

/// Returns the reference of all commands as Markdown.
#[must_use]
pub fn markdown(command: Command) -> String {
    let mut text = String::from(INTRODUCTION);
    for command in all(command) {
        section(&mut text, command);
    }
    text
}

const INTRODUCTION: &str = "\
<!-- Generated from the definition of the commands; change it there (clients/cli/src). -->

# `m2`: the command line

`m2` finds the daemon's socket by `--socket`, then `M2_SOCKET` (unless it is empty), then on the first
of these paths on which a daemon answers: `$XDG_RUNTIME_DIR/m2d/m2d.sock`, `/run/user/UID/m2d/m2d.sock`,
`~/.local/share/m2d/run/m2d.sock`. With `--json` it
prints one JSON object per line, in the proto3 JSON mapping: names in lowerCamelCase, 64-bit numbers
as strings, enums by their full name (`MESSAGE_STATE_DELIVERED`), bytes in base64, times in RFC
3339 with `Z`. Every field is present, even if it is false, zero or empty. Errors are an object
`{\"error\":{\"reason\",\"message\"}}` on stderr; the reasons are in the [API reference](api.md).

| exit code | meaning |
| --- | --- |
| 0 | success |
| 1 | the daemon refused the request, or a local operation failed |
| 2 | the command line is invalid |
| 3 | no daemon is running, or it stopped |
| 4 | a timeout |
";

fn section(text: &mut String, mut command: Command) {
    let line = command_line(&command);
    text.push_str(&format!("\n## `{line}`\n\n"));
    if let Some(about) = command.get_long_about().or(command.get_about()) {
        let about = about.to_string();
        let stop = if about.ends_with('…') { "" } else { "." };
        text.push_str(&format!("{about}{stop}\n\n"));
    }
    let usage = command.render_usage().to_string();
    text.push_str(&format!("```text\n{}\n```\n", usage.trim()));
    let is_root = !line.contains(' ');
    let shown: Vec<&Arg> = command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set() && (is_root || !arg.is_global_set()))
        .filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version"))
        .collect();
    if !shown.is_empty() {
        text.push('\n');
    }
    for arg in shown {
        text.push_str(&item(arg));
    }
    if let Some(after) = command.get_after_help() {
        text.push_str(&format!("\n{after}\n"));
    }
}

fn item(arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    let mut notes = Vec::new();
    let values: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|_| arg.get_action().takes_values() && !arg.is_hide_possible_values_set())
        .map(|value| match value.get_help() {
            Some(help) => format!("`{}` ({})", value.get_name(), lower(&help.to_string())),
            None => format!("`{}`", value.get_name()),
        })
        .collect();
    if !values.is_empty() {
        notes.push(values.join(", "));
    }
    if !arg.is_hide_default_value_set() && arg.get_action().takes_values() {
        let defaults = arg.get_default_values().iter();
        notes.extend(defaults.map(|value| format!("default `{}`", value.to_string_lossy())));
    }
    let notes = notes.iter().map(|note| format!("; {note}"));
    format!("- `{arg}`: {help}{}\n", notes.collect::<String>())
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_lowercase().to_string());
    format!("{}{}", first.unwrap_or_default(), chars.as_str())
}

/// Returns the command and all its subcommands, depth first.
fn all(command: Command) -> Vec<Command> {
    let mut found = Vec::new();
    collect(&built(command), &mut found);
    found
}

fn collect(command: &Command, found: &mut Vec<Command>) {
    found.push(command.clone());
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        collect(sub, found);
    }
}

fn built(command: Command) -> Command {
    let mut command = command.term_width(WIDTH).color(clap::ColorChoice::Never);
    command.build();
    command
}

/// Returns the words that invoke a command, such as `m2 contact add`.
fn command_line(command: &Command) -> String {
    command
        .get_bin_name()
        .unwrap_or_else(|| command.get_name())
        .to_owned()
}
