//! The network between two daemons: a UDP proxy on the loopback interface that records datagrams
//! and decides the fate of each.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Maximum number of recorded datagrams; later ones are forwarded but not recorded.
const CAPTURE_LIMIT: usize = 200_000;

/// The largest UDP payload in bytes.
const LARGEST: usize = 65_535;

/// The direction of a datagram. The caller is the daemon that sends to [`Wire::address`]; the
/// target is the daemon at which the wire is aimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the caller to the target.
    ToTarget,
    /// From the target to the caller.
    ToCaller,
}

/// One datagram as it arrived, before its fate is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The direction in which the datagram was sent.
    pub direction: Direction,
    /// The UDP payload.
    pub bytes: Vec<u8>,
}

/// The fate of a datagram: the datagrams that are sent in its place, each after a delay. An empty
/// list drops it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate(Vec<(Duration, Vec<u8>)>);

impl Fate {
    /// Forwards the datagram unchanged.
    pub fn pass(bytes: &[u8]) -> Self {
        Self(vec![(Duration::ZERO, bytes.to_vec())])
    }

    /// Drops the datagram.
    pub fn lost() -> Self {
        Self(Vec::new())
    }

    /// Delays the datagram; later ones may overtake it.
    pub fn late(bytes: &[u8], delay: Duration) -> Self {
        Self(vec![(delay, bytes.to_vec())])
    }

    /// Duplicates the datagram.
    pub fn twice(bytes: &[u8]) -> Self {
        Self(vec![(Duration::ZERO, bytes.to_vec()); 2])
    }

    /// Flips one bit; `bit` counts from the lowest bit of the first byte and wraps around.
    pub fn flipped(bytes: &[u8], bit: usize) -> Self {
        let mut changed = bytes.to_vec();
        let length = changed.len().max(1);
        if let Some(byte) = changed.get_mut(bit / 8 % length) {
            *byte ^= 1 << (bit % 8);
        }
        Self(vec![(Duration::ZERO, changed)])
    }
}

type Decide = Box<dyn FnMut(Direction, &[u8]) -> Fate + Send>;

/// A UDP proxy between a caller and a target. It forwards everything unless told otherwise.
/// Dropping it stops it.
#[derive(Debug)]
pub struct Wire {
    shared: Arc<Shared>,
    address: SocketAddr,
    tasks: [JoinHandle<()>; 2],
}

struct Shared {
    /// The socket to which the caller sends.
    front: UdpSocket,
    /// The socket that the target sees as the caller.
    back: UdpSocket,
    state: Mutex<State>,
}

struct State {
    caller: Option<SocketAddr>,
    target: Option<SocketAddr>,
    captured: Vec<Captured>,
    decide: Decide,
}

impl Wire {
    /// Creates a wire without a target.
    ///
    /// Errors: no UDP socket can be bound on the loopback interface.
    pub async fn new() -> io::Result<Self> {
        let front = UdpSocket::bind("127.0.0.1:0").await?;
        let back = UdpSocket::bind("127.0.0.1:0").await?;
        let address = front.local_addr()?;
        let shared = Arc::new(Shared {
            front,
            back,
            state: Mutex::new(State {
                caller: None,
                target: None,
                captured: Vec::new(),
                decide: Box::new(|_, bytes| Fate::pass(bytes)),
            }),
        });
        let run = |direction| tokio::spawn(Arc::clone(&shared).run(direction));
        let tasks = [run(Direction::ToTarget), run(Direction::ToCaller)];
        Ok(Self {
            shared,
            address,
            tasks,
        })
    }

    /// Returns the address that stands for the target: announce it in the target's invitations.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the target for all later datagrams.
    pub fn aim(&self, target: SocketAddr) {
        self.shared.state().target = Some(target);
    }

    /// Sets the function that decides the fate of every later datagram.
    pub fn decide(&self, decide: impl FnMut(Direction, &[u8]) -> Fate + Send + 'static) {
        self.shared.state().decide = Box::new(decide);
    }

    /// Forwards everything again.
    pub fn pass_all(&self) {
        self.decide(|_, bytes| Fate::pass(bytes));
    }

    /// Drops everything.
    pub fn cut(&self) {
        self.decide(|_, _| Fate::lost());
    }

    /// Returns all recorded datagrams.
    pub fn captured(&self) -> Vec<Captured> {
        self.shared.state().captured.clone()
    }

    /// Discards all recorded datagrams.
    pub fn clear(&self) {
        self.shared.state().captured.clear();
    }

    /// Sends a datagram as if it came from the other side; it is not recorded.
    ///
    /// Errors: the socket's. A datagram to a side whose address is not known yet is silently
    /// dropped.
    pub async fn inject(&self, direction: Direction, bytes: &[u8]) -> io::Result<()> {
        self.shared.send(direction, bytes).await
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Shared {
    async fn run(self: Arc<Self>, direction: Direction) {
        let mut buffer = vec![0; LARGEST];
        loop {
            // An error here is an ICMP error for an earlier datagram that could not be delivered;
            // the wire continues.
            let Ok((length, from)) = self.input(direction).recv_from(&mut buffer).await else {
                continue;
            };
            let bytes = buffer.get(..length).unwrap_or_default();
            for (delay, bytes) in self.fate(direction, from, bytes).0 {
                if delay.is_zero() {
                    // A datagram that cannot be sent is lost, as in any network.
                    let _ = self.send(direction, &bytes).await;
                } else {
                    tokio::spawn(Arc::clone(&self).send_late(direction, bytes, delay));
                }
            }
        }
    }

    fn fate(&self, direction: Direction, from: SocketAddr, bytes: &[u8]) -> Fate {
        let mut state = self.state();
        if direction == Direction::ToTarget {
            state.caller = Some(from);
        }
        if state.captured.len() < CAPTURE_LIMIT {
            state.captured.push(Captured {
                direction,
                bytes: bytes.to_vec(),
            });
        }
        (state.decide)(direction, bytes)
    }

    async fn send_late(self: Arc<Self>, direction: Direction, bytes: Vec<u8>, delay: Duration) {
        sleep(delay).await;
        let _ = self.send(direction, &bytes).await;
    }

    async fn send(&self, direction: Direction, bytes: &[u8]) -> io::Result<()> {
        let (socket, to) = match direction {
            Direction::ToTarget => (&self.back, self.state().target),
            Direction::ToCaller => (&self.front, self.state().caller),
        };
        if let Some(to) = to {
            socket.send_to(bytes, to).await?;
        }
        Ok(())
    }

    fn input(&self, direction: Direction) -> &UdpSocket {
        match direction {
            Direction::ToTarget => &self.front,
            Direction::ToCaller => &self.back,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire(..)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[tokio::test]
    async fn datagrams_are_forwarded_recorded_and_changed() {
        let wire = Wire::new().await.unwrap();
        let target = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let caller = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        wire.aim(target.local_addr().unwrap());

        caller.send_to(b"ping", wire.address()).await.unwrap();
        let mut buffer = [0; 16];
        let (length, back) = target.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], b"ping");

        wire.decide(|_, bytes| Fate::flipped(bytes, 9));
        target.send_to(b"pong", back).await.unwrap();
        let length = caller.recv(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], b"pmng");

        let captured = wire.captured();
        assert_eq!(captured.len(), 2);
        assert_eq!(captured[1].direction, Direction::ToCaller);
        assert_eq!(captured[1].bytes, b"pong");
    }
}
