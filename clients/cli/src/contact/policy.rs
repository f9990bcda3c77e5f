//! `m2 contact policy`

use clap::{Args, ValueEnum};
use m2_proto::api::v1::{ContactPolicy, IpMode, SetContactPolicyRequest};
use m2_proto::client::Client;
use std::time::Duration;

use super::{One, human, present};
use crate::context::{Context, call};
use crate::failure::Failure;
use crate::time;

/// Flags of `m2 contact policy`.
#[derive(Debug, Args)]
#[command(
    after_help = "A message waits in a mailbox only if its sender has --mailbox-use on and its \
                  receiver --mailbox-grant. Without flags the policy is shown."
)]
pub(super) struct PolicyArgs {
    #[command(flatten)]
    one: One,
    /// Both of the following
    #[arg(long, value_enum, conflicts_with_all = ["mailbox_grant", "mailbox_use"])]
    mailbox: Option<Switch>,
    /// Whether the contact may leave messages in your mailboxes
    #[arg(long, value_enum)]
    mailbox_grant: Option<Switch>,
    /// Whether what you send to the contact may wait in its mailboxes
    #[arg(long, value_enum)]
    mailbox_use: Option<Switch>,
    /// Which ways sessions with the contact take: only stricter than [privacy] ip
    #[arg(long, value_enum, value_name = "WAY")]
    ip: Option<IpArg>,
    /// How long messages are kept, such as 30d or 12h; default: as [store] keep_days says, which it
    /// only makes shorter
    #[arg(long, value_name = "TIME", value_parser = parse_keep)]
    keep: Option<Duration>,
}

/// A time that messages are kept; zero for the profile's.
fn parse_keep(text: &str) -> Result<Duration, String> {
    match text {
        "default" => Ok(Duration::ZERO),
        _ => time::parse_duration(text),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum IpArg {
    /// From socket to socket, and over lines where that fails
    Direct,
    /// Over lines, and from socket to socket where that fails
    PreferLine,
    /// Over lines alone
    LineOnly,
    /// As [privacy] ip says
    Default,
}

impl IpArg {
    const fn to_api(self) -> IpMode {
        match self {
            Self::Direct => IpMode::Direct,
            Self::PreferLine => IpMode::PreferLine,
            Self::LineOnly => IpMode::LineOnly,
            Self::Default => IpMode::Unspecified,
        }
    }
}

pub(super) async fn run(
    args: PolicyArgs,
    client: &Client,
    context: &Context,
) -> Result<(), Failure> {
    let is_on = |switch: Option<Switch>| switch.map(|switch| switch == Switch::On);
    let request = SetContactPolicyRequest {
        contact: args.one.contact,
        mailbox_grant: is_on(args.mailbox.or(args.mailbox_grant)),
        mailbox_use: is_on(args.mailbox.or(args.mailbox_use)),
        ip: args.ip.map(|mode| mode.to_api().into()),
        keep: args.keep.map(time::to_proto),
    };
    let answer = call(client.contacts().set_contact_policy(request)).await?;
    let contact = present(answer.contact)?;
    context
        .out
        .show(&contact, |out| human::policy(out, &contact))
}

/// `on`, `off`, or which of both.
pub(super) fn words(policy: &ContactPolicy) -> &'static str {
    match (policy.mailbox_grant, policy.mailbox_use) {
        (true, true) => "on",
        (true, false) => "it may use mine",
        (false, true) => "I use its",
        (false, false) => "off",
    }
}
