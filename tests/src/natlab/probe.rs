//! Verifies with plain sockets that a network behaves as described: NAT mapping, NAT filtering, and
//! whether hole punching works.

use super::net::{FAR, Net, RELAY, SIDES, ipv6};
use super::topology::{Access, Change, Place};
use crate::harness::RemoteSocket;
use anyhow::{Context as _, bail, ensure};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

/// Timeout for an expected datagram; generous, for loaded machines. Datagrams that must not arrive
/// are awaited for `BRIEFLY` only.
const PATIENCE: Duration = Duration::from_secs(20);

/// The time for which something is attempted that must not succeed.
const BRIEFLY: Duration = Duration::from_millis(600);

/// The interval between two attempts.
const PAUSE: Duration = Duration::from_millis(60);

/// Number of times that a datagram is sent that must not arrive, in case some are lost.
const TIMES: usize = 6;

/// Rounds of hole punching where it must not succeed.
const ROUNDS: usize = 8;

/// The port of the sockets on hosts with public addresses.
const PORT: u16 = 1_111;

/// The first ports of the two sides' sockets. They differ, because two hosts behind one router
/// cannot both keep the same port.
const PORTS: [u16; 2] = [4_400, 4_500];

/// The group for the multicast probe.
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 77, 77);

/// Number of datagrams sent to measure the loss rate.
const COUNTED: usize = 2_000;

/// Verifies that a network behaves as its topology describes.
///
/// Errors: the network does not, or a socket cannot be bound.
pub async fn prove(net: &Net) -> anyhow::Result<()> {
    let mut open = Open::bind(net).await?;
    for (side, at) in SIDES.into_iter().zip(PORTS).enumerate() {
        let access = net.topology().access(side);
        let kept = of_side(net, at, access, &mut open).await;
        kept.with_context(|| format!("{}'s access", at.0))?;
    }
    let punched = punch(net, &mut open).await?;
    let expected = net.topology().punches;
    ensure!(
        punched == expected,
        "two that sent to each other at the same time came through: {punched}"
    );
    match net.topology().place {
        Place::Together => multicast(net).await.context("the network of both")?,
        Place::Apart(Access::Mapping, _) => mapping(net, &mut open).await?,
        Place::Apart(..) => {}
    }
    if net.topology().speaks_ipv6() {
        by_ipv6(net).await.context("IPv6")?;
    }
    if net.topology().loss > 0 {
        loss(net, &mut open).await?;
    }
    if matches!(net.topology().change, Change::Rebind | Change::Sleep) {
        // Repeating the change later is harmless: it assigns yet other ports.
        rebinding(net, &mut open).await?;
    }
    Ok(())
}

/// The sockets on the two hosts with public addresses.
struct Open {
    relay: RemoteSocket,
    far: RemoteSocket,
}

impl Open {
    async fn bind(net: &Net) -> anyhow::Result<Self> {
        let bind = async |host, address: Ipv4Addr| {
            let address = SocketAddr::from((address, PORT));
            RemoteSocket::bind(net.lab(), host, address, None).await
        };
        Ok(Self {
            relay: bind("relay", RELAY).await?,
            far: bind("far", FAR).await?,
        })
    }
}

/// Binds a socket on a side's host.
async fn socket(net: &Net, host: &str, port: u16) -> anyhow::Result<RemoteSocket> {
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    RemoteSocket::bind(net.lab(), host, any, None).await
}

async fn of_side(
    net: &Net,
    (host, port): (&str, u16),
    access: Access,
    open: &mut Open,
) -> anyhow::Result<()> {
    let mut near = socket(net, host, port).await?;
    let seen = seen_by(&mut near, &mut open.relay).await?;
    let limit = if access.reaches_all() {
        PATIENCE
    } else {
        BRIEFLY
    };
    let elsewhere = seen_within(limit, &mut near, &mut open.far).await?;
    let reached = elsewhere.is_some();
    ensure!(reached == access.reaches_all(), "reaches all: {reached}");
    let alike = elsewhere.is_none_or(|elsewhere| elsewhere == seen);
    ensure!(alike == access.maps_alike(), "one port for all: {alike}");
    let own = seen.port() == near.address().port();
    ensure!(own == access.maps_alike(), "keeps the socket's port: {own}");
    let mut fresh = socket(net, host, port + 1).await?;
    let let_in = lets_in(&mut fresh, open, access.lets_in()).await?;
    ensure!(let_in == access.lets_in(), "lets anybody in: {let_in}");
    Ok(())
}

/// Returns the source address that `other` sees for datagrams from `near`.
///
/// Errors: no datagram arrives.
async fn seen_by(near: &mut RemoteSocket, other: &mut RemoteSocket) -> anyhow::Result<SocketAddr> {
    let seen = seen_within(PATIENCE, near, other).await?;
    seen.with_context(|| format!("{} is unreachable", other.address()))
}

/// Returns the source address that `other` sees for datagrams from `near`; `None` if none arrives
/// within `limit`.
async fn seen_within(
    limit: Duration,
    near: &mut RemoteSocket,
    other: &mut RemoteSocket,
) -> anyhow::Result<Option<SocketAddr>> {
    let word = near.address().port().to_be_bytes();
    let end = Instant::now() + limit;
    while Instant::now() < end {
        near.send(other.address(), &word).await?;
        while let Some((from, bytes)) = other.receive(2 * PAUSE).await? {
            if bytes == word {
                return Ok(Some(from));
            }
        }
    }
    Ok(None)
}

/// Returns whether a datagram from a third host reaches a socket that has only sent to the relay.
/// If none should, a later datagram from the relay ends the wait.
async fn lets_in(near: &mut RemoteSocket, open: &mut Open, shall: bool) -> anyhow::Result<bool> {
    let seen = seen_by(near, &mut open.relay).await?;
    for _ in 0..TIMES {
        open.far.send(seen, b"unasked").await?;
        tokio::time::sleep(PAUSE / 4).await;
    }
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        open.relay.send(seen, b"asked").await?;
        match near.receive(2 * PAUSE).await? {
            Some((_, bytes)) if bytes == b"unasked" => return Ok(true),
            Some((_, bytes)) if bytes == b"asked" && !shall => return Ok(false),
            _ => {}
        }
    }
    Ok(false)
}

/// Returns whether hole punching works: both hosts send at the same time to the address at which
/// the relay sees the other.
async fn punch(net: &Net, open: &mut Open) -> anyhow::Result<bool> {
    let [host, other] = SIDES;
    let mut alice = socket(net, host, 4_402).await?;
    let mut bob = socket(net, other, 4_403).await?;
    let to_alice = seen_by(&mut alice, &mut open.relay).await?;
    let to_bob = seen_by(&mut bob, &mut open.relay).await?;
    // Behind one router the relay sees both under the router's address, so they use their local
    // addresses.
    let (to_alice, to_bob) = match net.topology().place {
        Place::Apart(..) => (to_alice, to_bob),
        Place::Together => (in_lan(2, &alice), in_lan(3, &bob)),
    };
    let rounds = match net.topology().punches {
        true => PATIENCE.as_millis() / PAUSE.as_millis() / 2,
        false => ROUNDS as u128,
    };
    let (mut at_alice, mut at_bob) = (false, false);
    for _ in 0..rounds {
        alice.send(to_bob, b"punch").await?;
        bob.send(to_alice, b"punch").await?;
        at_alice |= alice.receive(PAUSE).await?.is_some();
        at_bob |= bob.receive(PAUSE).await?.is_some();
        if at_alice && at_bob {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Verifies that unsolicited IPv6 datagrams are dropped, and that two hosts that send to each other
/// get through, each with its own address.
async fn by_ipv6(net: &Net) -> anyhow::Result<()> {
    let bind = async |host, port| {
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        RemoteSocket::bind(net.lab(), host, any, None).await
    };
    let [host, other] = SIDES;
    let mut alice = bind(host, 4_410).await?;
    let mut bob = bind(other, 4_411).await?;
    let (to_alice, to_bob) = ((ipv6(0), 4_410).into(), (ipv6(1), 4_411).into());
    for _ in 0..TIMES {
        bob.send(to_alice, b"unasked").await?;
    }
    let unasked = alice.receive(BRIEFLY).await?;
    ensure!(unasked.is_none(), "unsolicited datagrams are let in");
    let end = Instant::now() + PATIENCE;
    let (mut at_alice, mut at_bob) = (None, None);
    while (at_alice.is_none() || at_bob.is_none()) && Instant::now() < end {
        alice.send(to_bob, b"punch").await?;
        bob.send(to_alice, b"punch").await?;
        at_alice = alice.receive(PAUSE).await?.or(at_alice);
        at_bob = bob.receive(PAUSE).await?.or(at_bob);
    }
    ensure!(
        at_alice.is_some() && at_bob.is_some(),
        "hole punching fails"
    );
    Ok(())
}

fn in_lan(number: u8, socket: &RemoteSocket) -> SocketAddr {
    SocketAddr::from(([192, 168, 1, number], socket.address().port()))
}

/// Verifies that a datagram from bob to a multicast group reaches alice, who has joined it.
async fn multicast(net: &Net) -> anyhow::Result<()> {
    let [host, other] = SIDES;
    let own = SocketAddr::from(([0, 0, 0, 0], 4_404));
    let mut alice = RemoteSocket::bind(net.lab(), host, own, Some(GROUP)).await?;
    let mut bob = socket(net, other, 4_405).await?;
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        bob.send(SocketAddr::from((GROUP, 4_404)), b"all").await?;
        if alice.receive(PAUSE).await?.is_some() {
            return Ok(());
        }
    }
    bail!("no multicast datagram arrives")
}

/// Verifies that alice's router maps a port on a NAT-PMP request (RFC 6886), and that unsolicited
/// datagrams to this port then reach her.
async fn mapping(net: &Net, open: &mut Open) -> anyhow::Result<()> {
    let mut alice = socket(net, "alice", 4_406).await?;
    let [high, low] = alice.address().port().to_be_bytes();
    let ask = [0, 1, 0, 0, high, low, high, low, 0, 0, 0, 120];
    let gateway = SocketAddr::from(([192, 168, 1, 1], 5_351));
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        alice.send(gateway, &ask).await?;
        let answer = alice.receive(2 * PAUSE).await?;
        let Some((_, bytes)) = answer.filter(|(from, _)| *from == gateway) else {
            continue;
        };
        let [0, 129, 0, 0, _, _, _, _, _, _, high, low, ..] = bytes[..] else {
            bail!("the router refuses: {bytes:?}\n{}", net.gateway_log());
        };
        let port = u16::from_be_bytes([high, low]);
        open.far
            .send(SocketAddr::from(([11, 9, 0, 21], port)), b"unasked")
            .await?;
        while let Some((from, _)) = alice.receive(PATIENCE).await? {
            if from.ip() == FAR {
                return Ok(());
            }
        }
        bail!("no datagram arrives through the mapped port");
    }
    bail!("the router does not answer:\n{}", net.gateway_log())
}

/// Verifies that the loss rate in each direction is about that of the topology.
async fn loss(net: &Net, open: &mut Open) -> anyhow::Result<()> {
    let mut alice = socket(net, "alice", 4_407).await?;
    let seen = seen_by(&mut alice, &mut open.relay).await?;
    let relay = open.relay.address();
    let outward = lost(&mut alice, &mut open.relay, relay).await?;
    let inward = lost(&mut open.relay, &mut alice, seen).await?;
    let expected = COUNTED as f64 * f64::from(net.topology().loss) / 100.0;
    for lost in [outward, inward] {
        let rate = f64::from(u32::try_from(lost)?);
        // Seven standard deviations at 1 %, the rate at which they are widest relative to the
        // expected value.
        let near =
            (expected - 7.0 * expected.sqrt()..expected + 7.0 * expected.sqrt()).contains(&rate);
        ensure!(near && lost > 0, "{lost} of {COUNTED} datagrams were lost");
    }
    Ok(())
}

/// Returns how many of `COUNTED` datagrams are lost. They are sent in bursts of 100, so that no
/// buffer overflows.
async fn lost(
    from: &mut RemoteSocket,
    to: &mut RemoteSocket,
    address: SocketAddr,
) -> anyhow::Result<usize> {
    let mut received = 0;
    for _ in 0..COUNTED / 100 {
        for _ in 0..100 {
            from.send(address, b"one of many").await?;
        }
        while let Some((_, bytes)) = to.receive(PAUSE).await? {
            received += usize::from(bytes == b"one of many");
        }
    }
    // The last datagrams may be late on a loaded machine.
    while let Some((_, bytes)) = to.receive(BRIEFLY).await? {
        received += usize::from(bytes == b"one of many");
    }
    Ok(COUNTED.saturating_sub(received))
}

/// Verifies that the change gives a socket another external port, and that datagrams to the old one
/// are lost.
async fn rebinding(net: &Net, open: &mut Open) -> anyhow::Result<()> {
    let mut bob = socket(net, "bob", 4_408).await?;
    let before = seen_by(&mut bob, &mut open.relay).await?;
    net.change()?;
    let after = seen_by(&mut bob, &mut open.relay).await?;
    ensure!(before != after, "the same port as before: {before}");
    for _ in 0..TIMES {
        open.relay.send(before, b"old").await?;
    }
    tokio::time::sleep(PAUSE).await;
    open.relay.send(after, b"new").await?;
    let first = bob.receive(PATIENCE).await?;
    let new = first.is_some_and(|(_, bytes)| bytes == b"new");
    ensure!(new, "datagrams to the old port still arrive");
    Ok(())
}
