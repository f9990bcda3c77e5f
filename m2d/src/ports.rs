//! Which UDP addresses to bind: the configured ones, with the port of the last run where any
//! port will do, so that peers find this daemon where they left it.

use crate::store::{Store, StoreError};
use std::net::{SocketAddr, UdpSocket};

/// Fills in remembered ports. Addresses that this host does not have are left out when they
/// are only the default.
pub fn choose(
    store: &Store,
    wanted: &[SocketAddr],
    are_default: bool,
) -> Result<Vec<SocketAddr>, StoreError> {
    let mut chosen = Vec::new();
    for (place, address) in wanted.iter().enumerate() {
        let mut address = *address;
        if address.port() == 0 {
            let last = store.number(&setting(place))?.unwrap_or(0);
            let remembered = SocketAddr::new(address.ip(), u16::try_from(last).unwrap_or(0));
            if can_bind(remembered) {
                address = remembered;
            }
        }
        if !are_default || can_bind(address) {
            chosen.push(address);
        }
    }
    Ok(chosen)
}

/// Remembers which ports were bound.
pub fn remember(store: &Store, bound: &[SocketAddr]) -> Result<(), StoreError> {
    for (place, address) in bound.iter().enumerate() {
        let (key, port) = (setting(place), i64::from(address.port()));
        if store.number(&key)? != Some(port) {
            store.set_number(&key, port)?;
        }
    }
    Ok(())
}

fn setting(place: usize) -> String {
    format!("port {place}")
}

/// Whether the address is free. Another program may take it before we do; then binding says so.
fn can_bind(address: SocketAddr) -> bool {
    UdpSocket::bind(address).is_ok()
}
