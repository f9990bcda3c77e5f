//! Datagrams that no daemon accepts, and a check for answers to them.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io;
use tokio::net::UdpSocket;
use tokio::time::sleep;

/// Number of datagrams sent without a pause: more would overflow the receiver's buffer and be lost
/// unnoticed.
const BURST: usize = 40;

/// Number of source addresses, used in turn.
const ADDRESSES: usize = 100;

/// The time for which answers are awaited after the last datagram.
const LISTEN: Duration = Duration::from_millis(500);

/// A small pseudo-random generator (xorshift*): tests need reproducible variety, not secrecy.
#[derive(Debug, Clone)]
pub struct Noise(u64);

impl Noise {
    /// Creates the generator for a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// Returns the next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Returns a number below `bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap_or(1);
        usize::try_from((self.next() >> 8) % bound).unwrap_or(0)
    }

    /// Returns `length` bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| (self.next() >> 32) as u8).collect()
    }

    /// Returns a copy with one random bit flipped.
    pub fn flipped(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut copy = bytes.to_vec();
        let bit = self.below(8 * bytes.len());
        if let Some(byte) = copy.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
        copy
    }

    /// Returns a copy truncated to a random length.
    pub fn cut(&mut self, bytes: &[u8]) -> Vec<u8> {
        let length = self.below(bytes.len());
        bytes.get(..length).unwrap_or_default().to_vec()
    }
}

/// Sends datagrams from new addresses in turn, and returns the number of bytes received in
/// response.
///
/// Errors: no socket can be bound.
pub async fn answers(
    to: SocketAddr,
    datagrams: impl IntoIterator<Item = Vec<u8>>,
) -> io::Result<usize> {
    let mut sockets = Vec::new();
    for (number, datagram) in datagrams.into_iter().enumerate() {
        if sockets.len() < ADDRESSES {
            sockets.push(UdpSocket::bind("127.0.0.1:0").await?);
        }
        if let Some(socket) = sockets.get(number % ADDRESSES) {
            // A datagram that cannot be sent is lost, as in any network.
            let _ = socket.send_to(&datagram, to).await;
        }
        if number % BURST == BURST - 1 {
            sleep(Duration::from_millis(1)).await;
        }
    }
    sleep(LISTEN).await;
    let received = |socket| received(socket, to);
    Ok(sockets.iter().map(received).sum())
}

/// Returns the number of bytes that a socket received from an address. Datagrams from others may be meant for
/// an earlier socket with the same port.
fn received(socket: &UdpSocket, from: SocketAddr) -> usize {
    let mut buffer = vec![0; 65_535];
    let datagrams = std::iter::from_fn(|| socket.try_recv_from(&mut buffer).ok());
    let answers = datagrams.filter(|(_, source)| *source == from);
    answers.map(|(length, _)| length).sum()
}
