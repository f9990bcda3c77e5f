//! The UDP addresses to bind: the configured ones, with the port of the previous run where the
//! configuration leaves the port open, so that peers still find this daemon at the address they
//! know.

use m2_store::{Store, StoreError};
use std::net::{SocketAddr, UdpSocket};

/// Replaces port 0 by the remembered port if it is free. If `are_default` is set, addresses that
/// can't be bound on this host are omitted.
pub fn choose(
    store: &Store,
    wanted: &[SocketAddr],
    are_default: bool,
) -> Result<Vec<SocketAddr>, StoreError> {
    let mut chosen = Vec::new();
    for (place, address) in wanted.iter().enumerate() {
        let mut address = *address;
        if address.port() == 0 {
            let remembered = SocketAddr::new(address.ip(), last_port(store, place)?);
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

/// Stores the ports of the bound addresses for the next run.
pub fn remember(store: &Store, bound: &[SocketAddr]) -> Result<(), StoreError> {
    for (place, address) in bound.iter().enumerate() {
        let (key, port) = (setting(place), i64::from(address.port()));
        if store.number(&key)? != Some(port) {
            store.set_number(&key, port)?;
        }
    }
    Ok(())
}

/// Returns the remembered port; 0 if there is none.
fn last_port(store: &Store, place: usize) -> Result<u16, StoreError> {
    let last = store.number(&setting(place))?.unwrap_or(0);
    Ok(u16::try_from(last).unwrap_or(0))
}

fn setting(place: usize) -> String {
    format!("port {place}")
}

/// Returns whether the address is free. Another program may take it before the daemon binds it; the
/// bind then fails.
fn can_bind(address: SocketAddr) -> bool {
    UdpSocket::bind(address).is_ok()
}
