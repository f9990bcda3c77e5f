//! The host's own addresses and their changes (docs/spec/lookup.md).
//!
//! The system is polled every two seconds: one call of some ten microseconds, and half a wake-up
//! per second. Notifications would need netlink, routing sockets or COM, depending on the system
//! (docs/adr/0009). A dedicated thread polls, because a timer of the runtime wakes two or three of
//! its threads each time.

use if_addrs::{IfAddr, Interface, get_if_addrs};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};
use std::{fmt, io};
use tokio::sync::watch;

/// The largest number of addresses returned.
pub const MAX_ADDRESSES: usize = 32;
/// The polling interval.
const PERIOD: Duration = Duration::from_secs(2);
/// A poll that is late by more than this means that the thread, and so the host, was suspended, as
/// laptops are.
const SLEPT: Duration = Duration::from_secs(10);

/// Watches the host's addresses until it is dropped.
pub struct Interfaces {
    addresses: watch::Receiver<Vec<IpAddr>>,
    /// The thread ends when this sender is dropped.
    _stop: mpsc::Sender<()>,
}

impl Interfaces {
    /// Starts to watch. With `loopback`, loopback addresses are included.
    ///
    /// Errors: the thread could not be started.
    pub fn watch(loopback: bool) -> io::Result<Self> {
        let (sender, addresses) = watch::channel(usable(loopback));
        let (_stop, stopped) = mpsc::channel();
        thread::Builder::new()
            .name("m2-interfaces".to_owned())
            .spawn(move || follow(loopback, &sender, &stopped))?;
        Ok(Self { addresses, _stop })
    }

    /// Returns the current addresses (see [`usable`]). The receiver is notified whenever they
    /// change and whenever the host was suspended: it may then be in another network with the same
    /// addresses.
    pub fn addresses(&self) -> watch::Receiver<Vec<IpAddr>> {
        self.addresses.clone()
    }
}

impl fmt::Debug for Interfaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interfaces(..)")
    }
}

/// Returns the addresses at which other hosts may reach this one: IPv4 first, then temporary IPv6
/// addresses (RFC 8981), then other IPv6 ones, then IPv4 link-local ones. Omits IPv6 addresses that
/// are link-local, deprecated or tentative. Empty if the system does not provide them.
pub fn usable(loopback: bool) -> Vec<IpAddr> {
    let flags = v6_flags();
    let interfaces = get_if_addrs().unwrap_or_default();
    let mut ranked: Vec<(u8, IpAddr)> = interfaces
        .iter()
        .map(Interface::ip)
        .filter(|ip| !ip.is_unspecified() && (loopback || !ip.is_loopback()))
        .filter_map(|ip| Some((rank(ip, &flags)?, ip)))
        .collect();
    ranked.sort_unstable();
    ranked.dedup();
    ranked.truncate(MAX_ADDRESSES);
    ranked.into_iter().map(|(_, ip)| ip).collect()
}

/// Removes addresses that are in no network of this host's interfaces.
pub fn retain_on_link(addresses: &mut Vec<IpAddr>) {
    let interfaces = get_if_addrs().unwrap_or_default();
    addresses.retain(|ip| {
        let mut networks = interfaces.iter();
        networks.any(|network| covers(&network.addr, *ip))
    });
}

fn follow(loopback: bool, sender: &watch::Sender<Vec<IpAddr>>, stopped: &mpsc::Receiver<()>) {
    let mut looked = (Instant::now(), SystemTime::now());
    while stopped.recv_timeout(PERIOD) == Err(mpsc::RecvTimeoutError::Timeout) {
        let now = usable(loopback);
        let slept = has_slept(looked.0.elapsed(), looked.1.elapsed().unwrap_or_default());
        sender.send_if_modified(|known| {
            let changed = *known != now;
            *known = now;
            changed || slept
        });
        looked = (Instant::now(), SystemTime::now());
    }
}

/// Returns whether the host was suspended during a period, judged by the monotonic clock, which may
/// stop while the host sleeps, and by the wall clock.
fn has_slept(running: Duration, of_day: Duration) -> bool {
    running.max(of_day) > PERIOD + SLEPT
}

fn covers(network: &IfAddr, ip: IpAddr) -> bool {
    match (network, ip) {
        (IfAddr::V4(network), IpAddr::V4(ip)) => same_v4(network.ip, ip, network.netmask),
        (IfAddr::V6(network), IpAddr::V6(ip)) => same_v6(network.ip, ip, network.netmask),
        _ => false,
    }
}

fn same_v4(one: Ipv4Addr, other: Ipv4Addr, mask: Ipv4Addr) -> bool {
    one & mask == other & mask
}

fn same_v6(one: Ipv6Addr, other: Ipv6Addr, mask: Ipv6Addr) -> bool {
    one & mask == other & mask
}

/// The kernel's flag of a temporary IPv6 address (`IFA_F_TEMPORARY`).
const TEMPORARY: u8 = 0x01;
const USELESS: u8 = 0x08 | 0x20 | 0x40; // Duplicate, deprecated, tentative.

/// Returns the rank of an address, lower is better; `None` if it is not usable.
fn rank(ip: IpAddr, flags: &HashMap<Ipv6Addr, u8>) -> Option<u8> {
    let ip = match ip {
        IpAddr::V4(ip) => return Some(u8::from(ip.is_link_local()) * 3),
        IpAddr::V6(ip) => ip,
    };
    let flags = flags.get(&ip).copied().unwrap_or_default();
    if ip.is_unicast_link_local() || ip.is_multicast() || flags & USELESS != 0 {
        return None;
    }
    Some(if flags & TEMPORARY != 0 { 1 } else { 2 })
}

/// Returns the flags of IPv6 addresses. Empty if the system does not provide them: all rank equal
/// then.
fn v6_flags() -> HashMap<Ipv6Addr, u8> {
    #[cfg(target_os = "linux")]
    let text = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    #[cfg(not(target_os = "linux"))]
    let text = String::new();
    text.lines().filter_map(read_v6).collect()
}

/// Parses a line of `/proc/net/if_inet6`: address, index, prefix length, scope, flags, name.
fn read_v6(line: &str) -> Option<(Ipv6Addr, u8)> {
    let mut fields = line.split_ascii_whitespace();
    let address = u128::from_str_radix(fields.next()?, 16).ok()?;
    let flags = u8::from_str_radix(fields.nth(3)?, 16).ok()?;
    Some((Ipv6Addr::from_bits(address), flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_has_loopback_when_asked() {
        let loopback = IpAddr::from([127, 0, 0, 1]);
        assert!(usable(true).contains(&loopback));
        assert!(!usable(false).iter().any(IpAddr::is_loopback));
        let mut addresses = vec![IpAddr::from([127, 5, 6, 7]), IpAddr::from([192, 0, 2, 1])];
        retain_on_link(&mut addresses);
        assert!(addresses.contains(&IpAddr::from([127, 5, 6, 7])));
        let watched = Interfaces::watch(true).unwrap();
        assert!(watched.addresses().borrow().contains(&loopback));
    }

    #[test]
    fn addresses_are_ranked() {
        let temporary = "2001:db8::1".parse().unwrap();
        let old = "2001:db8::2".parse().unwrap();
        let flags = HashMap::from([(temporary, TEMPORARY), (old, 0x20)]);
        let rank = |text: &str| rank(text.parse().unwrap(), &flags);
        assert!(rank("192.0.2.1") < rank("2001:db8::1"));
        assert!(rank("2001:db8::1") < rank("2001:db8::3"));
        assert!(rank("2001:db8::3") < rank("169.254.0.1"));
        assert_eq!(rank("2001:db8::2"), None);
        assert_eq!(rank("fe80::1"), None);
    }

    #[test]
    fn sleep_is_seen_by_either_clock() {
        let long = Duration::from_secs(60);
        assert!(has_slept(PERIOD, long) && has_slept(long, PERIOD));
        assert!(!has_slept(PERIOD * 2, PERIOD));
        assert!(!has_slept(PERIOD, Duration::ZERO), "the clock was set back");
    }

    #[test]
    fn flags_are_read() {
        let line = "20010db8000000000000000000000001 04 40 00 21     eth0";
        assert_eq!(read_v6(line), Some(("2001:db8::1".parse().unwrap(), 0x21)));
        for broken in ["", "x", "20010db8000000000000000000000001 04 40"] {
            assert_eq!(read_v6(broken), None);
        }
    }
}
