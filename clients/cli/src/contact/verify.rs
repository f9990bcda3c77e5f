//! `m2 contact verify`

use std::io::{self, BufRead, IsTerminal, Write};

use clap::Args;
use m2_proto::api::v1::{VerifyContactRequest, VerifyContactResponse};
use m2_proto::client::Client;

use crate::context::{Context, call};
use crate::failure::Failure;
use crate::output::{Output, Style};
use crate::sanitize;

/// The number of groups of digits per line.
const GROUPS_A_LINE: usize = 4;

/// The flags of `m2 contact verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Name, peer id, or the beginning of a peer id
    contact: String,
    /// Record that both sides read the same digits
    #[arg(long)]
    matched: bool,
    /// Record that the digits differ, or revoke an earlier match
    #[arg(long, conflicts_with = "matched")]
    mismatched: bool,
}

/// Shows the code. Asks on a terminal whether it matched, otherwise uses the flags.
pub(super) async fn run(
    args: VerifyArgs,
    client: &Client,
    context: &Context,
) -> Result<(), Failure> {
    if args.matched || args.mismatched {
        return decide(args.contact, args.matched, client, context).await;
    }
    let code = verify(args.contact.clone(), None, client).await?;
    context.out.show(&code, |out| human(out, &code))?;
    if context.out.is_json() || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        context
            .out
            .note("If the other side reads the same digits, run it again with --matched.");
        return Ok(());
    }
    match ask()? {
        Some(matched) => decide(args.contact, matched, client, context).await,
        None => Ok(()),
    }
}

async fn decide(
    contact: String,
    matched: bool,
    client: &Client,
    context: &Context,
) -> Result<(), Failure> {
    let answer = verify(contact, Some(matched), client).await?;
    context.out.show(&answer, |out| {
        if answer.verified {
            out.paint("Verified.", Style::Good)
        } else {
            let text = "Not verified. If the digits differ, an attacker may sit between you: \
                        trust no message of this contact.";
            out.paint(text, Style::Warning)
        }
    })
}

async fn verify(
    contact: String,
    matched: Option<bool>,
    client: &Client,
) -> Result<VerifyContactResponse, Failure> {
    let request = VerifyContactRequest { contact, matched };
    call(client.contacts().verify_contact(request)).await
}

fn human(out: &Output, code: &VerifyContactResponse) -> String {
    let digits = sanitize::line(&code.code);
    let groups: Vec<&str> = digits.split_whitespace().collect();
    let mut lines: Vec<String> = groups
        .chunks(GROUPS_A_LINE)
        .map(|chunk| out.paint(&format!("  {}", chunk.join(" ")), Style::Strong))
        .collect();
    if code.verified {
        lines.push("Verified before.".to_owned());
    }
    lines.join("\n")
}

/// Asks the user. Returns `None` if the user decides later.
fn ask() -> Result<Option<bool>, Failure> {
    let trouble = |error| Failure::Local(format!("Can't ask on the terminal: {error}."));
    let mut stderr = io::stderr();
    write!(
        stderr,
        "Does the other side read the same digits? [y/n, Enter to decide later] "
    )
    .and_then(|()| stderr.flush())
    .map_err(trouble)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(trouble)?;
    Ok(match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Some(true),
        "n" | "no" => Some(false),
        _ => None,
    })
}
