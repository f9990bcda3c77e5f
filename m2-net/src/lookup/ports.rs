//! Ports of the gateway that lead to this host: PCP, NAT-PMP and UPnP-IGD (spec §8).
//!
//! What is asked goes to the default gateway, and for UPnP to the multicast group of SSDP and to
//! the device that answers from a network that this host is in. Nothing else is sent. IPv4 only:
//! IPv6 hosts need no mapping, and no pinhole is asked for.

mod mapping;

use m2_crypto::address::NamedAddress;
use mapping::Mapping;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::num::NonZeroU16;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

/// Pauses after which it is tried again: the first, and the longest.
const FIRST_RETRY: Duration = Duration::from_secs(60);
const LAST_RETRY: Duration = Duration::from_secs(16 * 60);
/// How long giving a mapping up may take.
const FAREWELL: Duration = Duration::from_secs(3);

/// What to ask for.
#[derive(Debug, Clone, Copy)]
pub struct PortsConfig {
    /// The UDP port of this host.
    pub port: NonZeroU16,
    /// The gateway to ask by PCP and NAT-PMP; none for the one of the default route.
    pub gateway: Option<Ipv4Addr>,
    /// Where UPnP devices are looked for.
    pub ssdp: SocketAddrV4,
}

impl PortsConfig {
    /// The usual for a port.
    pub const fn new(port: NonZeroU16) -> Self {
        Self {
            port,
            gateway: None,
            ssdp: SocketAddrV4::new(Ipv4Addr::new(239, 255, 255, 250), 1900),
        }
    }
}

/// How a mapping was got.
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
    /// This host has no way out, or needs none.
    NoGateway,
    /// No gateway speaks any of the protocols.
    NoAnswer,
    /// A gateway does, and did not do it.
    Refused,
}

/// How it stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PortStatus {
    /// The gateway is being asked.
    Asking,
    /// The port is mapped.
    Mapped {
        /// The gateway's address and port. It may be private or of a provider's network: there
        /// is another NAT behind it then.
        external: NamedAddress,
        /// By what.
        by: Protocol,
    },
    /// It is not. It is tried again when this host's addresses change, and after a while.
    Unmapped(NoMapping),
}

impl PortStatus {
    /// A word for status output.
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

/// Keeps a port of the gateway. When it is dropped, the mapping is given up by a task that lives
/// some seconds longer, if the runtime does.
#[derive(Debug)]
pub struct Ports {
    status: watch::Receiver<PortStatus>,
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Ports {
    /// Begins to ask, and asks anew whenever `addresses` (see
    /// [`Interfaces`](super::interfaces::Interfaces)) change. Call it within a tokio runtime.
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

    /// How it stands, now and whenever it changes.
    pub fn status(&self) -> watch::Receiver<PortStatus> {
        self.status.clone()
    }

    /// Gives the mapping up and waits until that is done, 3 seconds at most.
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
            // What can't be given up runs out.
            let _ = timeout(FAREWELL, mapping.give_up()).await;
        }
    }

    /// `held` is what there is to give up. Does not end.
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

/// Where nobody watches any more, nothing changes.
async fn changed(addresses: &mut watch::Receiver<Vec<IpAddr>>) {
    if addresses.changed().await.is_err() {
        std::future::pending().await
    }
}
