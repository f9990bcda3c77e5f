//! Datagrams of no use to anybody, and whether one got an answer.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io;
use tokio::net::UdpSocket;
use tokio::time::sleep;

/// Datagrams that leave a socket in one go: more would be lost in the receiver's buffer, unseen.
const BURST: usize = 40;

/// Addresses that datagrams are sent from in turn.
const ADDRESSES: usize = 100;

/// How long an answer is waited for after the last datagram.
const LISTEN: Duration = Duration::from_millis(500);

/// A small generator (xorshift*): tests need variety that can be had again, not secrecy.
#[derive(Debug, Clone)]
pub struct Noise(u64);

impl Noise {
    /// The noise of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below a bound.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap_or(1);
        usize::try_from((self.next() >> 8) % bound).unwrap_or(0)
    }

    /// So many bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| (self.next() >> 32) as u8).collect()
    }

    /// A copy with one bit changed.
    pub fn flipped(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut copy = bytes.to_vec();
        let bit = self.below(8 * bytes.len());
        if let Some(byte) = copy.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
        copy
    }

    /// A copy that ends too early.
    pub fn cut(&mut self, bytes: &[u8]) -> Vec<u8> {
        let length = self.below(bytes.len());
        bytes.get(..length).unwrap_or_default().to_vec()
    }
}

/// Sends datagrams from fresh addresses, in turn, and gives how many bytes came back to them.
///
/// Errors: no socket.
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
            // What can't be sent is lost, as in any network.
            let _ = socket.send_to(&datagram, to).await;
        }
        if number % BURST == BURST - 1 {
            sleep(Duration::from_millis(1)).await;
        }
    }
    sleep(LISTEN).await;
    Ok(sockets.iter().map(received).sum())
}

fn received(socket: &UdpSocket) -> usize {
    let mut buffer = vec![0; 65_535];
    let datagrams = std::iter::from_fn(|| socket.try_recv(&mut buffer).ok());
    datagrams.sum()
}
