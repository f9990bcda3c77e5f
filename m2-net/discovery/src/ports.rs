//! Port mappings on the gateway: PCP, NAT-PMP and UPnP-IGD (docs/spec/reach.md#where-one-is).
//!
//! Requests go to the default gateway and, for UPnP, to the SSDP multicast group and to the device
//! that answers from a network that this host is in. Nothing else is sent. IPv4 only: IPv6 hosts
//! need no mapping, and no pinhole is requested.

mod mapping;

use m2_crypto::address::NamedAddress;
use mapping::Mapping;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::num::NonZeroU16;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

/// The first and the longest pause before a retry. The pause doubles each time.
const FIRST_RETRY: Duration = Duration::from_secs(60);
const LAST_RETRY: Duration = Duration::from_secs(16 * 60);
/// The timeout for removing a mapping.
const FAREWELL: Duration = Duration::from_secs(3);

/// The requested mapping.
#[derive(Debug, Clone, Copy)]
pub struct PortsConfig {
    /// The UDP port of this host.
    pub port: NonZeroU16,
    /// The gateway for PCP and NAT-PMP; `None` for that of the default route.
    pub gateway: Option<Ipv4Addr>,
    /// The address to which UPnP searches are sent.
    pub ssdp: SocketAddrV4,
}

impl PortsConfig {
    /// Returns the default configuration for a port.
    pub const fn new(port: NonZeroU16) -> Self {
        Self {
            port,
            gateway: None,
            ssdp: SocketAddrV4::new(Ipv4Addr::new(239, 255, 255, 250), 1900),
        }
    }
}

/// The protocol by which a mapping was obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Port Control Protocol, RFC 6887.
    Pcp,
    /// NAT Port Mapping Protocol, RFC 6886.
    NatPmp,
    /// UPnP Internet Gateway Device.
    Upnp,
}

/// Why there is no mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoMapping {
    /// This host has no IPv4 gateway.
    NoGateway,
    /// No gateway speaks any of the protocols.
    NoAnswer,
    /// A gateway answered and refused.
    Refused,
}

/// The state of the port mapping.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PortStatus {
    /// The gateway is being asked.
    Asking,
    /// The port is mapped.
    Mapped {
        /// The gateway's external address and port. If the address is private or shared, there is
        /// another NAT behind the gateway.
        external: NamedAddress,
        /// The protocol of the mapping.
        by: Protocol,
    },
    /// The port is not mapped. The next attempt follows a change of this host's addresses, or a
    /// pause.
    Unmapped(NoMapping),
}

impl PortStatus {
    /// Returns a word for status output.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Asking => "asking",
            Self::Mapped { by, .. } => match by {
                Protocol::Pcp => "pcp",
                Protocol::NatPmp => "nat-pmp",
                Protocol::Upnp => "upnp",
            },
            Self::Unmapped(NoMapping::NoGateway) => "no-gateway",
            Self::Unmapped(NoMapping::NoAnswer) => "no-answer",
            Self::Unmapped(NoMapping::Refused) => "refused",
        }
    }
}

impl fmt::Debug for PortStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PortStatus({})", self.word())
    }
}

/// Keeps a port of the gateway mapped. When it is dropped, a task that lives some seconds longer
/// removes the mapping, if the runtime is still there.
#[derive(Debug)]
pub struct Ports {
    status: watch::Receiver<PortStatus>,
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Ports {
    /// Requests a mapping, and again whenever `addresses` (see
    /// [`Interfaces`](super::interfaces::Interfaces)) change. Must be called within a tokio
    /// runtime.
    pub fn start(config: PortsConfig, addresses: watch::Receiver<Vec<IpAddr>>) -> Self {
        let (sender, status) = watch::channel(PortStatus::Asking);
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let keeper = Keeper {
            config,
            addresses,
            status: sender,
        };
        tokio::spawn(async move {
            keeper.run(stopped).await;
            drop(end);
        });
        Self {
            status,
            stop,
            ended,
        }
    }

    /// Returns the current state. The receiver is notified of changes.
    pub fn status(&self) -> watch::Receiver<PortStatus> {
        self.status.clone()
    }

    /// Removes the mapping and waits until that is done, 3 seconds at most.
    pub async fn stop(self) {
        drop(self.stop);
        let _ = self.ended.await;
    }
}

struct Keeper {
    config: PortsConfig,
    addresses: watch::Receiver<Vec<IpAddr>>,
    status: watch::Sender<PortStatus>,
}

impl Keeper {
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let mut held: Option<Mapping> = None;
        tokio::select! {
            () = self.keep(&mut held) => {}
            _ = &mut stopped => {}
        }
        if let Some(mapping) = held {
            // A mapping that can't be removed expires.
            let _ = timeout(FAREWELL, mapping.give_up()).await;
        }
    }

    /// Obtains and renews mappings. `held` is the mapping to remove at the end. Never returns.
    async fn keep(&mut self, held: &mut Option<Mapping>) {
        let mut retry = FIRST_RETRY;
        loop {
            self.addresses.mark_unchanged();
            match Mapping::ask(&self.config).await {
                Ok(mapping) => {
                    retry = FIRST_RETRY;
                    let mapping = held.insert(mapping);
                    hold(mapping, &mut self.addresses, &self.status).await;
                }
                Err(why) => {
                    *held = None;
                    self.tell(PortStatus::Unmapped(why));
                    tokio::select! {
                        () = changed(&mut self.addresses) => retry = FIRST_RETRY,
                        () = sleep(retry) => retry = LAST_RETRY.min(retry * 2),
                    }
                }
            }
            self.tell(PortStatus::Asking);
        }
    }

    fn tell(&self, status: PortStatus) {
        tell(&self.status, status);
    }
}

/// Renews a mapping until that fails or the host's addresses change.
async fn hold(
    mapping: &mut Mapping,
    addresses: &mut watch::Receiver<Vec<IpAddr>>,
    status: &watch::Sender<PortStatus>,
) {
    loop {
        tell(
            status,
            PortStatus::Mapped {
                external: mapping.external(),
                by: mapping.protocol(),
            },
        );
        tokio::select! {
            () = changed(addresses) => return,
            () = sleep(mapping.renew_in()) => {
                if mapping.renew().await.is_err() {
                    return;
                }
            }
        }
    }
}

fn tell(sender: &watch::Sender<PortStatus>, status: PortStatus) {
    sender.send_if_modified(|known| {
        let changed = *known != status;
        *known = status;
        changed
    });
}

/// Waits for a change of the addresses. Never returns if their watcher is gone.
async fn changed(addresses: &mut watch::Receiver<Vec<IpAddr>>) {
    if addresses.changed().await.is_err() {
        std::future::pending().await
    }
}
