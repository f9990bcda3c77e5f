//! The network status for front-ends: the daemon's addresses, and the paths to contacts.

use crate::api::convert;
use crate::api::session::Ready;
use crate::config::IpMode;
use crate::lookup::LookupState;
use crate::reach::{Known, NatStatus, Reachability, Source};
use m2_delivery::Path;
use m2_engine::ContactPaths;
use m2_engine::Query;
use m2_proto::api::v1 as pb;
use pbjson_types::Duration;
use tonic::Status;

/// Returns the complete network status.
pub(super) async fn status(ready: &Ready) -> Result<pb::GetNetworkStatusResponse, Status> {
    let ways = ready.engine.read(Query::AllPaths).await?;
    let mode = ready.config.privacy.ip;
    let known = match mode {
        IpMode::LineOnly => Vec::new(),
        IpMode::Direct | IpMode::PreferLine => ready.reach.known(),
    };
    let lookup = ready.lookup.states().into_iter().map(lookup_state);
    Ok(pb::GetNetworkStatusResponse {
        ip: convert::ip_mode(Some(mode)).into(),
        reachability: reachability(mode, &ready.reach).into(),
        addresses: known.into_iter().map(address).collect(),
        lookup: lookup.collect(),
        contacts: ways.into_iter().map(|ways| contact(ready, ways)).collect(),
    })
}

/// Converts a source of addresses, or the gateway.
pub(super) const fn way_source(source: crate::lookup::StateOf) -> pb::WaySource {
    use crate::lookup::StateOf;
    match source {
        StateOf::Lan => pb::WaySource::Lan,
        StateOf::Dht => pb::WaySource::Dht,
        StateOf::Gateway => pb::WaySource::Gateway,
    }
}

fn lookup_state(state: LookupState) -> pb::LookupState {
    pb::LookupState {
        source: way_source(state.source).into(),
        enabled: state.enabled,
        works: state.works,
        about: state.about,
    }
}

fn reachability(mode: IpMode, reach: &Reachability) -> pb::Reachability {
    if mode == IpMode::LineOnly {
        return pb::Reachability::Hidden;
    }
    match reach.standing() {
        NatStatus::Unknown => pb::Reachability::Unknown,
        NatStatus::Open => pb::Reachability::Open,
        NatStatus::Mapped => pb::Reachability::Mapped,
        NatStatus::Nat => pb::Reachability::Nat,
        NatStatus::SymmetricNat => pb::Reachability::NatSymmetric,
    }
}

fn address(known: Known) -> pb::KnownAddress {
    let source = match known.source {
        Source::Announced => pb::AddressSource::Announced,
        Source::Mapped => pb::AddressSource::Mapped,
        Source::Relay => pb::AddressSource::Relay,
        Source::Contact => pb::AddressSource::Contact,
        Source::Interface => pb::AddressSource::Interface,
    };
    pb::KnownAddress {
        address: known.address.to_string(),
        source: source.into(),
    }
}

fn contact(ready: &Ready, ways: ContactPaths) -> pb::ContactPath {
    let session = ways.session.and_then(|(_, id)| ready.links.get(id));
    let path = match ways.session {
        None => pb::Path::None,
        Some((Path::Direct, _)) => pb::Path::Direct,
        Some((Path::Line, _)) => pb::Path::Line,
    };
    pb::ContactPath {
        peer_id: ways.peer.to_string(),
        name: ways.name,
        path: path.into(),
        round_trip: session.map(|link| duration(link.round_trip())),
        known_addresses: count(&ways.known),
        lan_addresses: count(&ways.lan),
        dht_addresses: count(&ways.dht),
        lines: count(&ways.lines),
    }
}

pub(super) fn duration(time: std::time::Duration) -> Duration {
    Duration {
        seconds: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(time.subsec_nanos()).unwrap_or_default(),
    }
}

fn count<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}
