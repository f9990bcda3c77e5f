//! `m2 network status`

use m2_proto::api::v1::{
    AddressSource, ContactPath, GetNetworkStatusRequest, GetNetworkStatusResponse, KnownAddress,
    LookupState, Reachability,
};

use super::way_source;
use crate::context::{Context, call};
use crate::failure::Failure;
use crate::names::{ip_mode, path};
use crate::output::{Output, Style};
use crate::{sanitize, table};

pub(super) async fn run(context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let request = GetNetworkStatusRequest {};
    let answer = call(client.network().get_network_status(request)).await?;
    context.out.show(&answer, |out| human(out, &answer))
}

fn human(out: &Output, status: &GetNetworkStatusResponse) -> String {
    let mut blocks = vec![format!(
        "Mode: {}. {}",
        ip_mode(status.ip),
        sentence(status.reachability())
    )];
    if !status.addresses.is_empty() {
        let rows: Vec<Vec<String>> = status.addresses.iter().map(address).collect();
        let title = out.paint("Where contacts can reach this daemon", Style::Strong);
        let rows = table::columns(out, &["ADDRESS", "KNOWN BY"], &rows);
        blocks.push(format!("{title}\n{rows}"));
    }
    if !status.lookup.is_empty() {
        let rows: Vec<Vec<String>> = status.lookup.iter().map(lookup).collect();
        let title = out.paint("Look-up", Style::Strong);
        let rows = table::columns(out, &["SOURCE", "STATE", "ABOUT"], &rows);
        blocks.push(format!("{title}\n{rows}"));
    }
    if !status.contacts.is_empty() {
        let rows: Vec<Vec<String>> = status.contacts.iter().map(contact).collect();
        let header = [
            "CONTACT",
            "PATH",
            "ROUND TRIP",
            "KNOWN",
            "LAN",
            "DHT",
            "LINES",
        ];
        let title = out.paint("Contacts", Style::Strong);
        let rows = table::columns(out, &header, &rows);
        blocks.push(format!("{title}\n{rows}"));
    }
    blocks.join("\n\n")
}

const fn sentence(reachability: Reachability) -> &'static str {
    match reachability {
        Reachability::Unspecified | Reachability::Unknown => {
            "It is not known yet at which address this daemon is seen from outside."
        }
        Reachability::Hidden => "This daemon is reached only over lines.",
        Reachability::Open => "Others can reach this daemon directly.",
        Reachability::Mapped => {
            "The gateway forwards a port: others can reach this daemon directly."
        }
        Reachability::Nat => {
            "A NAT is in front of this daemon: contacts reach it directly after meeting on a \
             line."
        }
        Reachability::NatSymmetric => {
            "A symmetric NAT is in front of this daemon, which shows each peer another port: many \
             contacts reach it only over lines."
        }
    }
}

fn address(known: &KnownAddress) -> Vec<String> {
    let source = match known.source() {
        AddressSource::Unspecified => "",
        AddressSource::Announced => "configuration",
        AddressSource::Mapped => "gateway",
        AddressSource::Relay => "relay",
        AddressSource::Contact => "contact",
        AddressSource::Interface => "interface",
    };
    vec![sanitize::line(&known.address), source.to_owned()]
}

fn lookup(state: &LookupState) -> Vec<String> {
    let word = match (state.enabled, state.works) {
        (false, _) => "off",
        (true, false) => "waiting",
        (true, true) => "works",
    };
    vec![
        way_source(state.source()).to_owned(),
        word.to_owned(),
        sanitize::line(&state.about),
    ]
}

fn contact(contact: &ContactPath) -> Vec<String> {
    let time = contact.round_trip.as_ref();
    vec![
        sanitize::line(&contact.name),
        path(contact.path),
        time.map(super::milliseconds).unwrap_or_default(),
        contact.known_addresses.to_string(),
        contact.lan_addresses.to_string(),
        contact.dht_addresses.to_string(),
        contact.lines.to_string(),
    ]
}
