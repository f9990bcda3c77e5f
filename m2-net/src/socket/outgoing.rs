//! Obfuscates datagrams on their way out, and gives those at the start of a session random sizes.

use super::has_long_header;
use super::medium::Medium;
use crate::gate::Gate;
use crate::start_padding;
use m2_crypto::obfuscation::Obfuscator;
use quinn::udp::Transmit;
use rand_core::{Rng, UnwrapErr};
use std::cell::RefCell;
use std::io;

thread_local! {
    /// The buffer in which an outgoing batch is obfuscated, because QUIC lends its bytes read-only.
    static OUTGOING: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The way of an engine's datagrams to the medium.
pub(super) struct Outgoing<'a> {
    pub(super) medium: &'a Medium,
    pub(super) gate: &'a Gate,
    pub(super) key: &'a Obfuscator,
    /// The largest size to which a datagram may be padded, in addition to the medium's limit.
    pub(super) largest: &'a dyn Fn() -> usize,
    /// Whether a datagram of a handshake of this size may be sent.
    pub(super) allows: &'a dyn Fn(usize) -> bool,
    /// Told the size of each datagram of a handshake.
    pub(super) sent: &'a dyn Fn(usize),
}

impl Outgoing<'_> {
    /// Obfuscates and sends a batch.
    ///
    /// Errors: those of the medium. A part of the batch may have been sent.
    pub(super) fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len());
        tracing::trace!(bytes = transmit.contents.len(), segment, "datagrams leave");
        let datagrams = transmit.contents.chunks(segment.max(1));
        OUTGOING.with_borrow_mut(|buffer| {
            if datagrams.clone().any(has_long_header) {
                return self.send_one_by_one(datagrams, transmit, buffer);
            }
            buffer.clear();
            buffer.extend_from_slice(transmit.contents);
            for datagram in buffer.chunks_mut(segment.max(1)) {
                self.key.apply(datagram);
            }
            self.medium.send(&with_contents(transmit, buffer))
        })
    }

    /// Sends a batch of a handshake. Datagrams of different sizes can't be sent as one.
    ///
    /// QUIC would send the whole batch again if the medium had no room for a part of it. So that part
    /// is lost, as on a full path.
    fn send_one_by_one<'b>(
        &self,
        datagrams: impl Iterator<Item = &'b [u8]>,
        transmit: &Transmit<'_>,
        buffer: &mut Vec<u8>,
    ) -> io::Result<()> {
        for (number, datagram) in datagrams.enumerate() {
            match self.send_of_handshake(datagram, transmit, buffer) {
                Err(error) if number > 0 && error.kind() == io::ErrorKind::WouldBlock => break,
                sent => sent?,
            }
        }
        Ok(())
    }

    fn send_of_handshake(
        &self,
        datagram: &[u8],
        transmit: &Transmit<'_>,
        buffer: &mut Vec<u8>,
    ) -> io::Result<()> {
        buffer.clear();
        buffer.extend_from_slice(datagram);
        if let Some(age_ms) = self.gate.note_sent(datagram) {
            self.pad(buffer, start_padding::is_first_transmission(age_ms));
        }
        if !(self.allows)(buffer.len()) {
            tracing::trace!("a datagram is lost: its destination has not proved its address");
            return Ok(());
        }
        self.key.apply(buffer);
        self.medium.send(&Transmit {
            segment_size: None,
            ..with_contents(transmit, buffer)
        })?;
        (self.sent)(buffer.len());
        Ok(())
    }

    fn pad(&self, datagram: &mut Vec<u8>, is_first_transmission: bool) {
        if !start_padding::may_follow(datagram) {
            return;
        }
        let largest = self.medium.largest_padded(is_first_transmission);
        let largest = largest.min((self.largest)());
        let mut rng = UnwrapErr(getrandom::SysRng);
        let padding = start_padding::length(datagram.len(), largest, rng.next_u32());
        let from = datagram.len();
        datagram.resize(from + padding, 0);
        let padding = datagram.get_mut(from..).unwrap_or_default();
        rng.fill_bytes(padding);
        if let Some(first) = padding.first_mut() {
            *first &= !start_padding::FIXED_BIT;
        }
    }
}

fn with_contents<'a>(transmit: &Transmit<'_>, contents: &'a [u8]) -> Transmit<'a> {
    Transmit {
        destination: transmit.destination,
        ecn: transmit.ecn,
        contents,
        segment_size: transmit.segment_size,
        src_ip: transmit.src_ip,
    }
}
