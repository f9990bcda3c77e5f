//! `m2 contact policy`

use clap::{Args, ValueEnum};
use m2_proto::api::v1::{ContactPolicy, IpMode, SetContactPolicyRequest};
use m2_proto::client::Client;
use std::time::Duration;

use super::{One, human, present};
use crate::context::{Context, call};
use crate::failure::Failure;
use crate::time;

/// The shortest time for which messages can be kept.
const LEAST: Duration = Duration::from_secs(3_600);

/// The flags of `m2 contact policy`.
#[derive(Debug, Args)]
#[command(
    after_help = "A message waits in a mailbox only if its sender has --mailbox-use on and its \
                  receiver --mailbox-grant. Without flags the policy is shown."
)]
pub(super) struct PolicyArgs {
    #[command(flatten)]
    one: One,
    /// Set both of the following
    #[arg(long, value_enum, conflicts_with_all = ["mailbox_grant", "mailbox_use"])]
    mailbox: Option<Switch>,
    /// Allow the contact to leave messages in your mailboxes
    #[arg(long, value_enum)]
    mailbox_grant: Option<Switch>,
    /// Allow your messages to the contact to wait in its mailboxes
    #[arg(long, value_enum)]
    mailbox_use: Option<Switch>,
    /// The ways that sessions with the contact may take; can only be stricter than [privacy] ip
    #[arg(long, value_enum, value_name = "WAY")]
    ip: Option<IpArg>,
    /// How long messages are kept, such as 30d or 12h, or `default` for [store] keep_days; can only
    /// shorten it
    #[arg(long, value_name = "TIME", value_parser = parse_keep)]
    keep: Option<Duration>,
}

/// Parses how long messages are kept; zero stands for the profile's setting.
fn parse_keep(text: &str) -> Result<Duration, String> {
    if text == "default" {
        return Ok(Duration::ZERO);
    }
    let keep = time::parse_duration(text).ok();
    keep.filter(|keep| *keep >= LEAST).ok_or_else(|| {
        "write at least 1h, such as 12h or 30d, or `default` for [store] keep_days".to_owned()
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum IpArg {
    /// Directly, and over lines if that fails
    Direct,
    /// Over lines, and directly if that fails
    PreferLine,
    /// Only over lines
    LineOnly,
    /// As set by [privacy] ip
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

/// Returns `on`, `off`, or the direction that is on.
pub(super) fn words(policy: &ContactPolicy) -> &'static str {
    match (policy.mailbox_grant, policy.mailbox_use) {
        (true, true) => "on",
        (true, false) => "it may use mine",
        (false, true) => "I use its",
        (false, false) => "off",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_keeps_nothing_is_refused_with_the_word_to_write() {
        assert_eq!(parse_keep("default"), Ok(Duration::ZERO));
        assert_eq!(parse_keep("1h"), Ok(LEAST));
        for text in ["0d", "0s", "59m"] {
            assert!(
                parse_keep(text).unwrap_err().contains("`default`"),
                "{text}"
            );
        }
    }
}
