//! The thread of `mdns-sd`, the services registered with it, and the parsing of those it finds.

use super::{LanConfig, LanError, MAX_ADDRESSES, Seen};
use crate::interfaces;
use m2_crypto::address::NamedAddress;
use m2_crypto::presence::Announcement;
use mdns_sd::{
    IfKind, Receiver, ResolvedService, ServiceDaemon, ServiceEvent, ServiceInfo, TxtProperty,
};
use rand_core::{Rng as _, UnwrapErr};
use std::net::{IpAddr, SocketAddr};

/// The DNS-SD service type.
pub(super) const SERVICE: &str = "_m2._udp.local.";
/// Bytes of the announcement in each string of a TXT record. A string holds 255 bytes with its key.
const PIECE: usize = 200;
/// The keys of the strings of a TXT record.
const KEYS: [&str; 4] = ["0", "1", "2", "3"];
/// The number of timers above which the thread counts as flooded. Each record that it stores has at
/// least two timers.
const MAX_TIMERS: i64 = 16_384;

/// The `mdns-sd` thread. It ends when this is dropped, and withdraws its registrations.
pub(super) struct Responder {
    daemon: ServiceDaemon,
    loopback: bool,
}

/// One registered service.
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

    /// Prepares a registration under new random names.
    pub(super) fn prepare(
        &self,
        port: u16,
        announcement: &Announcement,
    ) -> Result<Registration, LanError> {
        let host = format!("{}.local.", random_name());
        let texts = texts(announcement);
        let mut info = ServiceInfo::new(SERVICE, &random_name(), &host, (), port, texts)?;
        info = info.enable_addr_auto();
        // A name of 64 random bits is unique: no need to probe, which takes 750 ms.
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

    /// Returns whether the thread is flooded. It does not report its number of records, but that of
    /// their timers.
    pub(super) async fn is_full(&self) -> bool {
        let Ok(answer) = self.daemon.get_metrics() else {
            return true;
        };
        let metrics = answer.recv_async().await.unwrap_or_default();
        metrics.get("timer").copied().unwrap_or_default() > MAX_TIMERS
    }

    /// Parses a discovered service. Returns `None` if it is not an M2 announcement or not
    /// reachable.
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
        // If the thread no longer listens, it has already ended.
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

/// An IPv6 link-local address would need the name of its link.
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
