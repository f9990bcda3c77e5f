//! `m2 network probe`

use m2_proto::api::v1::{ProbeContactRequest, ProbeContactResponse};

use super::{milliseconds, way_source};
use crate::context::{Context, call};
use crate::failure::Failure;
use crate::output::{Output, Style};
use crate::sanitize;

/// Prints the result of each attempt. Fails if none reached the contact.
pub(super) async fn run(contact: String, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let request = ProbeContactRequest { contact };
    let mut tried = call(client.network().probe_contact(request)).await?;
    let mut reached = false;
    while let Some(way) = tried.message().await? {
        reached |= way.reached;
        context.out.show(&way, |out| human(out, &way))?;
    }
    if reached {
        return Ok(());
    }
    Err(Failure::because(
        "NO_WAY",
        "No path to the contact works at present. Try again when the contact is online.",
    ))
}

fn human(out: &Output, way: &ProbeContactResponse) -> String {
    let result = if way.reached {
        out.paint("reached", Style::Good)
    } else {
        out.paint(&sanitize::line(&way.reason), Style::Warning)
    };
    let time = way.took.as_ref().map(milliseconds).unwrap_or_default();
    let source = way_source(way.source());
    let target = sanitize::line(&way.target);
    format!("{source:<8} {target:<28} {time:>9}  {result}")
}
