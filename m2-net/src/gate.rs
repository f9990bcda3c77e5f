//! The gate: decides which datagrams reach QUIC (docs/spec/obfuscation.md#the-gate).
//!
//! QUIC engines answer some packets before they have authenticated them. So the gate passes nothing
//! that a stranger could have made: no noise, no probe from outside the circle, no connection
//! attempt by a party that does not know the local peer id. A dropped datagram gets no answer.

use crate::callers::{Callers, FirstPacket};
use crate::clock::Clock;
use crate::connection_id::ConnectionIds;
use crate::counters::Counter;
use crate::own_handshakes::OwnHandshakes;
use crate::retry_token::RetryTokens;
use m2_crypto::connection_id;
use m2_crypto::initial::{
    InitialKeys, LongHeader, MAX_CID_LEN, QUIC_VERSION, day_from_dcid, open_initial,
};
use m2_crypto::{CircleId, PeerId, Provider};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The minimum size of a datagram with a first packet (RFC 9000, section 14.1).
const MIN_FIRST_DATAGRAM: usize = 1200;
/// The shortest packet from which a header protection sample can be taken: first byte, connection
/// id, 4 bytes of number, 16 of sample.
const MIN_SHORT_PACKET: usize = 1 + connection_id::LENGTH + 4 + 16;

/// The number of packets in which a Hello is sent first. Further ones are retransmissions.
const HELLO_PACKETS: u64 = 2;

/// The bytes of a datagram that contain the destination id, if it has the length of a local one: first
/// byte, version, length of the id, id.
const START: usize = 1 + 4 + 1 + connection_id::LENGTH;

const LONG_HEADER: u8 = 0x80;
const FIXED_BIT: u8 = 0x40;

/// Checks deobfuscated datagrams.
///
/// QUIC answers some first packets before it authenticates them: those with a Retry token that came
/// from another address, for instance. So an Initial packet passes only if it was opened here, or
/// if it belongs to a pending handshake of this endpoint, whose packets QUIC authenticates.
pub struct Gate {
    circle: CircleId,
    own_id: PeerId,
    provider: &'static dyn Provider,
    ids: ConnectionIds,
    clock: Clock,
    closing: AtomicBool,
    dials_only: bool,
    handshakes: OwnHandshakes,
    retries: Option<Arc<RetryTokens>>,
    callers: Arc<Callers>,
}

impl Gate {
    /// Creates the gate of the daemon `own_id`, for datagrams to connection ids issued by `ids`.
    pub fn new(
        circle: CircleId,
        own_id: PeerId,
        provider: &'static dyn Provider,
        ids: ConnectionIds,
        clock: Clock,
    ) -> Self {
        Self {
            circle,
            own_id,
            provider,
            ids,
            clock,
            closing: AtomicBool::new(false),
            dials_only: false,
            handshakes: OwnHandshakes::default(),
            retries: None,
            callers: Arc::default(),
        }
    }

    /// Accepts answers to Retries that carry one of these tokens. Without them no such answer
    /// passes.
    #[must_use]
    pub(crate) fn retries(mut self, tokens: Arc<RetryTokens>) -> Self {
        self.retries = Some(tokens);
        self
    }

    /// Records the connection attempts of these contacts.
    #[must_use]
    pub(crate) fn callers(mut self, callers: Arc<Callers>) -> Self {
        self.callers = callers;
        self
    }

    /// Rejects all connection attempts: only answers to this side's dials pass.
    #[must_use]
    pub const fn dials_only(mut self, dials_only: bool) -> Self {
        self.dials_only = dials_only;
        self
    }

    /// Records an outgoing datagram, before it is obfuscated. Returns the milliseconds since the
    /// first datagram of its handshake; `None` if it belongs to no handshake.
    pub fn note_sent(&self, datagram: &[u8]) -> Option<u64> {
        let first = datagram.first()?;
        if first & LONG_HEADER == 0 {
            return None;
        }
        self.handshakes.note(datagram, self.clock.unix_ms())
    }

    /// Returns whether a datagram begins with a header of M2 with a local connection id as the
    /// destination. This decides whether the key under which it was revealed is the right one.
    pub(crate) fn is_to_local_id(&self, datagram: &[u8]) -> bool {
        let Some([first, rest @ ..]) = datagram.first_chunk::<START>() else {
            return false;
        };
        let id = match (first & FIXED_BIT, first & LONG_HEADER) {
            (0, _) => None,
            (_, 0) => rest.get(..connection_id::LENGTH),
            _ => long_destination(rest),
        };
        id.is_some_and(|id| self.ids.is_ours(id))
    }

    /// Checks the beginning of a datagram, so that most noise costs no more than this. What passes must be
    /// [checked](Self::check) as a whole.
    ///
    /// Errors: the counter for the dropped datagram.
    pub(crate) fn check_start(&self, start: &[u8]) -> Result<(), Counter> {
        let Some((first, rest)) = start.split_first() else {
            return Ok(());
        };
        match (first & FIXED_BIT, first & LONG_HEADER) {
            (0, _) => Err(Counter::DatagramMalformed),
            (_, 0) => match rest.get(..connection_id::LENGTH) {
                Some(id) if !self.ids.is_ours(id) => Err(Counter::DatagramForeignId),
                _ => Ok(()),
            },
            _ => match rest.first_chunk() {
                Some(version) if *version != QUIC_VERSION.to_be_bytes() => {
                    Err(Counter::DatagramVersion)
                }
                _ => Ok(()),
            },
        }
    }

    /// Checks whether a datagram from `source` may go on to QUIC.
    ///
    /// Errors: the counter for the dropped datagram.
    pub fn check(&self, datagram: &[u8], source: SocketAddr) -> Result<(), Counter> {
        match datagram.first() {
            None => Err(Counter::DatagramTooShort),
            Some(first) if first & FIXED_BIT == 0 => Err(Counter::DatagramMalformed),
            Some(first) if first & LONG_HEADER == 0 => self.check_short(datagram),
            Some(_) => self.check_long(datagram, source),
        }
    }

    /// Rejects all further Initial packets. Established sessions continue.
    pub fn close_to_callers(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    fn check_short(&self, datagram: &[u8]) -> Result<(), Counter> {
        if datagram.len() < MIN_SHORT_PACKET {
            return Err(Counter::DatagramTooShort);
        }
        match datagram.get(1..=connection_id::LENGTH) {
            Some(id) if self.ids.is_ours(id) => Ok(()),
            _ => Err(Counter::DatagramForeignId),
        }
    }

    fn check_long(&self, datagram: &[u8], source: SocketAddr) -> Result<(), Counter> {
        let header = LongHeader::parse(datagram).ok_or(Counter::DatagramMalformed)?;
        if header.version != QUIC_VERSION {
            // There is only one version, so Version Negotiation (version 0) is dropped here too.
            return Err(Counter::DatagramVersion);
        }
        // QUIC refuses connection attempts while it closes, and a refusal is an answer.
        if header.is_initial() && self.closing.load(Ordering::Relaxed) {
            return Err(Counter::DatagramClosing);
        }
        if self.ids.is_ours(header.dcid) {
            return self.check_own_id(&header, datagram, source);
        }
        if self.dials_only {
            return Err(Counter::DatagramClosing);
        }
        if !header.is_initial() || header.dcid.len() != MAX_CID_LEN {
            return Err(Counter::DatagramForeignId);
        }
        self.check_first(&header, datagram)
    }

    /// Checks a packet to a local id: it must belong to a pending handshake or answer a Retry.
    fn check_own_id(
        &self,
        header: &LongHeader<'_>,
        datagram: &[u8],
        source: SocketAddr,
    ) -> Result<(), Counter> {
        if !header.is_initial() {
            // QUIC silently drops such a packet if it belongs to no connection.
            return Ok(());
        }
        let token = self.retry_token(header);
        let under_way = self
            .handshakes
            .is_under_way(header.dcid, self.clock.unix_s());
        match token {
            // If the connection is gone, QUIC takes this packet for a connection attempt, and its
            // token for that of another attempt. QUIC must not see such a packet.
            Some((_, false)) if under_way => Err(Counter::DatagramRetryToken),
            _ if under_way => Ok(()),
            _ if self.dials_only => Err(Counter::DatagramClosing),
            Some((address, _)) if address == source => self.open(header, datagram).map(|_| ()),
            Some(_) => Err(Counter::DatagramRetryToken),
            None => Err(Counter::DatagramForeignId),
        }
    }

    /// Returns the address that a packet's Retry token proves, and whether its attempt was
    /// accepted.
    fn retry_token(&self, header: &LongHeader<'_>) -> Option<(SocketAddr, bool)> {
        let tokens = self.retries.as_ref()?;
        let token = tokens.open(header.token()?)?;
        Some((token.address, tokens.is_spent(&token)))
    }

    /// Checks a first packet: only a party that knows the circle and the local peer id can have
    /// made it.
    fn check_first(&self, header: &LongHeader<'_>, datagram: &[u8]) -> Result<(), Counter> {
        // A Retry is answered at the id that it names.
        if self.retry_token(header).is_some() {
            return Err(Counter::DatagramRetryToken);
        }
        let number = self.open(header, datagram)?;
        if let Some(token) = header.token() {
            let packet = FirstPacket {
                to: header.dcid,
                token,
                is_repeated: number >= HELLO_PACKETS,
            };
            let now_s = self.clock.unix_s();
            self.callers.note(&self.own_id, &packet, now_s);
        }
        Ok(())
    }

    /// Opens a first packet and returns its packet number.
    fn open(&self, header: &LongHeader<'_>, datagram: &[u8]) -> Result<u64, Counter> {
        if datagram.len() < MIN_FIRST_DATAGRAM {
            return Err(Counter::DatagramTooShort);
        }
        let day = day_from_dcid(header.dcid, self.clock.day()).ok_or(Counter::DatagramNotForUs)?;
        let keys = InitialKeys::derive(&self.circle, header.dcid, &self.own_id, day, self.provider);
        open_initial(&keys, datagram).ok_or(Counter::DatagramNotForUs)
    }
}

/// Returns the destination id of a long header of M2 without its first byte, if it has the length of a
/// local id.
fn long_destination(header: &[u8]) -> Option<&[u8]> {
    let (version, rest) = header.split_first_chunk::<4>()?;
    let (length, id) = rest.split_first()?;
    let is_ours = *version == QUIC_VERSION.to_be_bytes();
    (is_ours && usize::from(*length) == connection_id::LENGTH).then_some(id)
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate(..)")
    }
}
