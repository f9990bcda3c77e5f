//! One port mapping, obtained by any of the protocols.

use super::{NoMapping, PortsConfig, Protocol};
use crate::{gateway, interfaces};
use crab_nat::{
    GatewayAddress, InternetProtocol, MappingFailure, PortMapping, PortMappingOptions,
    PortMappingType, TimeoutConfig, natpmp,
};
use igd_next::aio::Gateway;
use igd_next::aio::tokio::{Tokio, search_gateway};
use igd_next::{AddPortError, GatewayIpVersion, PortMappingProtocol, SearchOptions};
use m2_crypto::address::NamedAddress;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

/// The requested lifetime, in seconds.
const LIFETIME_S: u32 = 7_200;
/// The timeout of the search for UPnP devices.
const SEARCH: Duration = Duration::from_secs(3);
/// Bounds of the time between two renewals, whatever lifetime the gateway reports.
const SOONEST: Duration = Duration::from_secs(60);
const LATEST: Duration = Duration::from_secs(3_600);
/// The description in the gateway's list of mappings. It does not reveal the program or the user.
const DESCRIPTION: &str = "UDP";
/// Four datagrams in less than three seconds.
const PATIENCE: TimeoutConfig = TimeoutConfig {
    initial_timeout: Duration::from_millis(250),
    max_retries: 3,
    max_retry_timeout: Some(Duration::from_secs(1)),
};

/// A mapped port of a gateway.
pub(super) enum Mapping {
    /// Obtained by PCP or NAT-PMP.
    Small(PortMapping, NamedAddress),
    /// Obtained by UPnP.
    Upnp(Box<Upnp>),
}

pub(super) struct Upnp {
    gateway: Gateway<Tokio>,
    local: SocketAddr,
    external: SocketAddr,
    lease_s: u32,
}

impl Mapping {
    /// Requests a mapping by one protocol after the other.
    pub(super) async fn ask(config: &PortsConfig) -> Result<Self, NoMapping> {
        let gateway = config.gateway.or_else(gateway::default_gateway);
        let by_pcp = match gateway {
            Some(gateway) => ask_small(gateway, config.port).await,
            None => Err(NoMapping::NoGateway),
        };
        let Err(why) = by_pcp else { return by_pcp };
        // A mapping refused by one protocol may be granted by the other.
        let by_upnp = Upnp::ask(config, gateway).await;
        by_upnp.map_err(|other| match (why, other) {
            (NoMapping::NoGateway, NoMapping::NoAnswer) => NoMapping::NoGateway,
            (NoMapping::Refused, _) => NoMapping::Refused,
            _ => other,
        })
    }

    pub(super) const fn external(&self) -> NamedAddress {
        match self {
            Self::Small(_, external) => *external,
            Self::Upnp(upnp) => NamedAddress::new(upnp.external),
        }
    }

    pub(super) fn protocol(&self) -> Protocol {
        match self {
            Self::Small(mapping, _) => match mapping.mapping_type() {
                PortMappingType::NatPmp => Protocol::NatPmp,
                PortMappingType::Pcp { .. } => Protocol::Pcp,
            },
            Self::Upnp(_) => Protocol::Upnp,
        }
    }

    pub(super) fn renew_in(&self) -> Duration {
        let lifetime = match self {
            Self::Small(mapping, _) => mapping.lifetime(),
            Self::Upnp(_) => LIFETIME_S,
        };
        Duration::from_secs(u64::from(lifetime / 2)).clamp(SOONEST, LATEST)
    }

    pub(super) async fn renew(&mut self) -> Result<(), NoMapping> {
        match self {
            Self::Small(mapping, external) => {
                mapping.renew().await.map_err(|error| refusal(&error))?;
                *external = external_of(mapping).await?;
            }
            Self::Upnp(upnp) => upnp.map(upnp.external.port()).await?,
        }
        Ok(())
    }

    /// Removes the mapping. If that fails, it expires, unless the gateway supports only permanent
    /// leases.
    pub(super) async fn give_up(self) {
        match self {
            Self::Small(mapping, _) => {
                let _ = mapping.try_drop().await;
            }
            Self::Upnp(upnp) => {
                let port = upnp.external.port();
                let _ = upnp
                    .gateway
                    .remove_port(PortMappingProtocol::UDP, port)
                    .await;
            }
        }
    }
}

/// Requests a mapping by PCP, or by NAT-PMP if the gateway does not support PCP.
async fn ask_small(gateway: Ipv4Addr, port: NonZeroU16) -> Result<Mapping, NoMapping> {
    let local = gateway::source_for(gateway).ok_or(NoMapping::NoGateway)?;
    let options = PortMappingOptions {
        external_port: Some(port),
        lifetime_seconds: Some(LIFETIME_S),
        timeout_config: Some(PATIENCE),
    };
    let server = GatewayAddress::IpV4(gateway);
    let asked = PortMapping::new(server, local.into(), InternetProtocol::Udp, port, options).await;
    let mapping = asked.map_err(|error| refusal(&error))?;
    let external = external_of(&mapping).await?;
    Ok(Mapping::Small(mapping, external))
}

async fn external_of(mapping: &PortMapping) -> Result<NamedAddress, NoMapping> {
    let ip = match mapping.mapping_type() {
        PortMappingType::Pcp { external_ip, .. } => external_ip.to_canonical(),
        PortMappingType::NatPmp => natpmp::external_address(mapping.gateway(), Some(PATIENCE))
            .await
            .map_err(|error| refusal(&error.into()))?
            .into(),
    };
    check(SocketAddr::new(ip, mapping.external_port().get()))
}

impl Upnp {
    async fn ask(config: &PortsConfig, gateway: Option<Ipv4Addr>) -> Result<Mapping, NoMapping> {
        let gateway = search(config, gateway).await?;
        let IpAddr::V4(ip) = gateway.addr.ip() else {
            return Err(NoMapping::NoAnswer);
        };
        let local = gateway::source_for(ip).ok_or(NoMapping::NoGateway)?;
        let external = gateway.get_external_ip().await;
        let external = external.map_err(|_| NoMapping::Refused)?;
        let external = SocketAddr::new(external, config.port.get());
        check(external)?;
        let mut upnp = Self {
            gateway,
            local: SocketAddr::new(local.into(), config.port.get()),
            external,
            lease_s: LIFETIME_S,
        };
        if upnp.map(config.port.get()).await.is_err() {
            upnp.map_any().await?;
        }
        Ok(Mapping::Upnp(Box::new(upnp)))
    }

    /// Requests or renews the mapping of a port.
    async fn map(&mut self, port: u16) -> Result<(), NoMapping> {
        match self.add(port).await {
            Err(AddPortError::OnlyPermanentLeasesSupported) => {
                self.lease_s = 0;
                self.add(port).await.map_err(|_| NoMapping::Refused)
            }
            other => other.map_err(|_| NoMapping::Refused),
        }
    }

    async fn add(&self, port: u16) -> Result<(), AddPortError> {
        let udp = PortMappingProtocol::UDP;
        self.gateway
            .add_port(udp, port, self.local, self.lease_s, DESCRIPTION)
            .await
    }

    /// Maps a port of the gateway's choice, because the preferred one belongs to another host.
    async fn map_any(&mut self) -> Result<(), NoMapping> {
        let udp = PortMappingProtocol::UDP;
        let added = self
            .gateway
            .add_any_port(udp, self.local, self.lease_s, DESCRIPTION)
            .await;
        let port = added.map_err(|_| NoMapping::Refused)?;
        self.external.set_port(port);
        check(self.external).map(|_| ())
    }
}

/// Searches for a UPnP device that declares itself a gateway. Its answer must come from the gateway
/// or from a network that this host is in, and references to other hosts are not followed.
async fn search(
    config: &PortsConfig,
    gateway: Option<Ipv4Addr>,
) -> Result<Gateway<Tokio>, NoMapping> {
    let mut options = SearchOptions::default();
    let source = gateway.and_then(gateway::source_for);
    options.bind_addr = (source.unwrap_or(Ipv4Addr::UNSPECIFIED), 0).into();
    options.broadcast_address = config.ssdp.into();
    options.timeout = Some(SEARCH);
    options.single_search_timeout = Some(SEARCH);
    options.gateway_ip_version = GatewayIpVersion::V4;
    // A configured gateway may be on loopback; otherwise devices there are ignored.
    options.allowed_gateway_ips = config.gateway.into_iter().map(IpAddr::V4).collect();
    let found = search_gateway(options).await;
    let found = found.map_err(|_| NoMapping::NoAnswer)?;
    let ip = found.addr.ip();
    let mut on_link = vec![ip];
    interfaces::retain_on_link(&mut on_link);
    if on_link.is_empty() && gateway.is_none_or(|gateway| ip != gateway) {
        return Err(NoMapping::NoAnswer);
    }
    Ok(found)
}

/// Rejects external addresses at which no peer can reach this host.
fn check(external: SocketAddr) -> Result<NamedAddress, NoMapping> {
    let named = NamedAddress::new(external);
    let is_possible = named.scope().is_some();
    is_possible.then_some(named).ok_or(NoMapping::Refused)
}

fn refusal(error: &MappingFailure) -> NoMapping {
    use crab_nat::pcp;
    match error {
        MappingFailure::NatPmp(natpmp::Failure::Timeout | natpmp::Failure::Socket(_))
        | MappingFailure::Pcp(pcp::Failure::Timeout | pcp::Failure::Socket(_)) => {
            NoMapping::NoAnswer
        }
        _ => NoMapping::Refused,
    }
}
