//! The thread of `mdns-sd`, what is registered with it, and what its words mean.

use super::{LanConfig, LanError, MAX_ADDRESSES, Seen};
use crate::lookup::interfaces;
use m2_crypto::address::NamedAddress;
use m2_crypto::presence::Announcement;
use mdns_sd::{
    IfKind, Receiver, ResolvedService, ServiceDaemon, ServiceEvent, ServiceInfo, TxtProperty,
};
use rand_core::{Rng as _, UnwrapErr};
use std::net::{IpAddr, SocketAddr};

/// The service type.
pub(super) const SERVICE: &str = "_m2._udp.local.";
/// Bytes of the announcement in each string of a TXT record, which holds 255 with its key.
const PIECE: usize = 200;
/// Keys of the strings of a TXT record.
const KEYS: [&str; 4] = ["0", "1", "2", "3"];
/// Of a thread that leads a usual life. Each record that it keeps has two timers at least.
const MAX_TIMERS: i64 = 16_384;

/// The thread. It ends with this, and says goodbye for what is registered.
pub(super) struct Responder {
    daemon: ServiceDaemon,
    loopback: bool,
}

/// One registration.
pub(super) struct Registration {
    info: ServiceInfo,
}

impl Responder {
    pub(super) fn start(config: LanConfig) -> Result<(Self, Receiver<ServiceEvent>), LanError> {
        let responder = Self {
            daemon: ServiceDaemon::new_with_port(config.port)?,
            loopback: config.loopback,
        };
        let daemon = &responder.daemon;
        if config.loopback {
            daemon.disable_interface(IfKind::All)?;
            daemon.enable_interface(IfKind::LoopbackV4)?;
        } else {
            daemon.disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])?;
        }
        let events = daemon.browse(SERVICE)?;
        Ok((responder, events))
    }

    /// A registration under new random names.
    pub(super) fn prepare(
        &self,
        port: u16,
        announcement: &Announcement,
    ) -> Result<Registration, LanError> {
        let host = format!("{}.local.", random_name());
        let texts = texts(announcement);
        let mut info = ServiceInfo::new(SERVICE, &random_name(), &host, (), port, texts)?;
        info = info.enable_addr_auto();
        // Nobody else has 64 random bits: no need to ask, which takes 750 ms.
        info.set_requires_probe(false);
        if self.loopback {
            info.set_interfaces(vec![IfKind::LoopbackV4]);
        }
        Ok(Registration { info })
    }

    pub(super) fn register(&self, registration: &Registration) -> Result<(), LanError> {
        Ok(self.daemon.register(registration.info.clone())?)
    }

    pub(super) fn unregister(&self, registration: &Registration) -> Result<(), LanError> {
        self.daemon.unregister(registration.info.get_fullname())?;
        Ok(())
    }

    /// Whether somebody fills it. Records are not counted, but their timers are.
    pub(super) async fn is_full(&self) -> bool {
        let Ok(answer) = self.daemon.get_metrics() else {
            return true;
        };
        let metrics = answer.recv_async().await.unwrap_or_default();
        metrics.get("timer").copied().unwrap_or_default() > MAX_TIMERS
    }

    /// What a service says, if it is one of ours and can be reached.
    pub(super) fn read(&self, service: &ResolvedService) -> Option<Seen> {
        let announcement = read_texts(service)?;
        let mut ips: Vec<IpAddr> = service
            .addresses
            .iter()
            .map(mdns_sd::ScopedIp::to_ip_addr)
            .filter(|ip| is_useful(*ip) && ip.is_loopback() == self.loopback)
            .collect();
        interfaces::retain_on_link(&mut ips);
        ips.sort_unstable();
        ips.truncate(MAX_ADDRESSES);
        let port = Some(service.port).filter(|port| *port != 0)?;
        let addresses: Vec<_> = ips
            .into_iter()
            .map(|ip| NamedAddress::new(SocketAddr::new(ip, port)))
            .collect();
        (!addresses.is_empty()).then_some(Seen {
            addresses,
            announcement,
        })
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        // If it does not listen any more, there is nothing to end.
        let _ = self.daemon.shutdown();
    }
}

impl Registration {
    pub(super) fn name(&self) -> &str {
        self.info.get_fullname()
    }
}

fn random_name() -> String {
    let number = UnwrapErr(getrandom::SysRng).next_u64();
    format!("{number:016x}")
}

fn texts(announcement: &Announcement) -> Vec<TxtProperty> {
    let bytes = announcement.to_bytes();
    let pieces = KEYS.iter().zip(bytes.chunks(PIECE));
    pieces.map(TxtProperty::from).collect()
}

fn read_texts(service: &ResolvedService) -> Option<Announcement> {
    let mut bytes = Vec::new();
    for key in KEYS {
        let piece = service.get_property_val(key)??;
        bytes.extend_from_slice(piece);
    }
    Announcement::parse(&bytes).ok()
}

/// An IPv6 address of one link would need the name of the link.
const fn is_useful(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast(),
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_multicast() && !ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use m2_crypto::presence::ANNOUNCEMENT_BYTES;

    #[test]
    fn an_announcement_fits_into_the_texts() {
        const { assert!(ANNOUNCEMENT_BYTES <= PIECE * KEYS.len()) };
        const { assert!(ANNOUNCEMENT_BYTES > PIECE * (KEYS.len() - 1)) };
    }
}
