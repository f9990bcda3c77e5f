//! Presence records: addresses and lines, sealed into 960 bytes (docs/spec/lookup.md#records).

use super::{DayKey, PresenceError};
use crate::address::{self, NamedAddress};
use crate::label;
use crate::line::JoinToken;
use crate::peer_id::PeerId;
use crate::provider::{self, Aead, Nonce, Tag};
use crate::reader::Reader;
use rand_core::CryptoRng;
use std::fmt;
use zeroize::Zeroizing;

/// Bytes of a sealed record, regardless of its content.
pub const RECORD_BYTES: usize = 960;
/// Bytes of a record's plaintext with its padding.
pub const CONTENT_BYTES: usize = RECORD_BYTES - NONCE_BYTES - AEAD_TAG_BYTES;
/// Maximum number of addresses in one record.
pub const MAX_ADDRESSES: usize = 4;
/// Maximum number of lines in one record.
pub const MAX_LINES: usize = 6;
/// Maximum number of relay addresses in one line of a record.
pub const MAX_LINE_ADDRESSES: usize = 2;

const NONCE_BYTES: usize = 12;
const AEAD_TAG_BYTES: usize = 16;
const VERSION: u8 = 1;
const LINE_BYTES: usize = 32 + 16 + 1 + MAX_LINE_ADDRESSES * address::MAX_BYTES;
const LONGEST: usize = 1 + 8 + 1 + MAX_ADDRESSES * address::MAX_BYTES + 1 + MAX_LINES * LINE_BYTES;

const _: () = assert!(LONGEST <= CONTENT_BYTES, "every record fits");

/// Where a peer is reachable, as published for one contact. It may hold addresses and tokens that
/// only this contact may know.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// When it was made, Unix time in seconds by its maker's clock.
    pub made_s: u64,
    /// At most [`MAX_ADDRESSES`], best first, ports not 0.
    pub addresses: Vec<NamedAddress>,
    /// At most [`MAX_LINES`].
    pub lines: Vec<PresenceLine>,
}

/// A line on which the maker of a record listens on the record's day.
#[derive(Clone, PartialEq, Eq)]
pub struct PresenceLine {
    /// The relay at which the maker listens.
    pub relay: PeerId,
    /// The token with which to join the line.
    pub token: JoinToken,
    /// Addresses of the relay: 1 to [`MAX_LINE_ADDRESSES`], ports not 0.
    pub addresses: Vec<NamedAddress>,
}

impl Record {
    /// Seals the record with a random nonce.
    ///
    /// Errors: [`PresenceError::Limits`].
    pub fn seal<R: CryptoRng + ?Sized>(
        &self,
        rng: &mut R,
        key: &DayKey,
    ) -> Result<[u8; RECORD_BYTES], PresenceError> {
        let mut content = self.to_content()?;
        let mut nonce: Nonce = [0; NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let tag = aead(key).seal(&nonce, &aad(key), &mut *content);
        let mut sealed = [0; RECORD_BYTES];
        let bytes = nonce.iter().chain(content.iter()).chain(&tag);
        sealed
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        Ok(sealed)
    }

    /// Encodes the plaintext of a sealed record: the record, padded with zeros to a constant size.
    ///
    /// Errors: [`PresenceError::Limits`].
    pub fn to_content(&self) -> Result<Zeroizing<[u8; CONTENT_BYTES]>, PresenceError> {
        if !self.is_within_limits() {
            return Err(PresenceError::Limits);
        }
        let written = self.write();
        let mut content = Zeroizing::new([0; CONTENT_BYTES]);
        content
            .iter_mut()
            .zip(written.iter())
            .for_each(|(to, from)| *to = *from);
        Ok(content)
    }

    /// Parses the plaintext of a sealed record. Each record has exactly one encoding, padded with
    /// zeros.
    ///
    /// Errors: [`PresenceError::Unreadable`].
    pub fn from_content(content: &[u8]) -> Result<Self, PresenceError> {
        read(content).ok_or(PresenceError::Unreadable)
    }

    /// Opens a record that was sealed for the day of `key`.
    ///
    /// Errors: [`PresenceError::Unreadable`] for all causes.
    pub fn open(key: &DayKey, sealed: &[u8]) -> Result<Self, PresenceError> {
        open(key, sealed).ok_or(PresenceError::Unreadable)
    }

    fn is_within_limits(&self) -> bool {
        self.addresses.len() <= MAX_ADDRESSES
            && self.lines.len() <= MAX_LINES
            && has_ports(&self.addresses)
            && self.lines.iter().all(|line| {
                (1..=MAX_LINE_ADDRESSES).contains(&line.addresses.len())
                    && has_ports(&line.addresses)
            })
    }

    /// Encodes the record without padding. The caller has checked the limits, so it fits.
    fn write(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(LONGEST));
        out.push(VERSION);
        out.extend_from_slice(&self.made_s.to_be_bytes());
        write_addresses(&mut out, &self.addresses);
        out.push(self.lines.len() as u8);
        for line in &self.lines {
            out.extend_from_slice(line.relay.as_bytes());
            out.extend_from_slice(&line.token.0);
            write_addresses(&mut out, &line.addresses);
        }
        out
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Record(..)")
    }
}

impl fmt::Debug for PresenceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresenceLine(..)")
    }
}

fn aead(key: &DayKey) -> Box<dyn Aead> {
    provider::default().aead(key.record_key())
}

fn aad(key: &DayKey) -> Vec<u8> {
    label::encode("presence record", &[&key.day().to_be_bytes()])
}

fn open(key: &DayKey, sealed: &[u8]) -> Option<Record> {
    let sealed: &[u8; RECORD_BYTES] = sealed.try_into().ok()?;
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let (content, tag): (&[u8], &Tag) = rest.split_last_chunk::<AEAD_TAG_BYTES>()?;
    let mut content = Zeroizing::new(content.to_vec());
    aead(key).open(nonce, &aad(key), &mut content, tag).ok()?;
    read(&content)
}

fn read(content: &[u8]) -> Option<Record> {
    let content: &[u8; CONTENT_BYTES] = content.try_into().ok()?;
    let mut reader = Reader::new(content);
    reader.u8().filter(|version| *version == VERSION)?;
    let record = Record {
        made_s: reader.u64()?,
        addresses: read_addresses(&mut reader, MAX_ADDRESSES)?,
        lines: read_lines(&mut reader)?,
    };
    let is_padding = reader.rest().iter().all(|byte| *byte == 0);
    (is_padding && record.is_within_limits()).then_some(record)
}

fn read_lines(reader: &mut Reader<'_>) -> Option<Vec<PresenceLine>> {
    let count = usize::from(reader.u8()?);
    if count > MAX_LINES {
        return None;
    }
    let lines = (0..count).map(|_| {
        Some(PresenceLine {
            relay: PeerId::from_bytes(reader.array()?),
            token: JoinToken(reader.array()?),
            addresses: read_addresses(reader, MAX_LINE_ADDRESSES)?,
        })
    });
    lines.collect()
}

fn read_addresses(reader: &mut Reader<'_>, limit: usize) -> Option<Vec<NamedAddress>> {
    let count = usize::from(reader.u8()?);
    if count > limit {
        return None;
    }
    (0..count).map(|_| address::read(reader)).collect()
}

fn write_addresses(out: &mut Vec<u8>, addresses: &[NamedAddress]) {
    out.push(addresses.len() as u8);
    for address in addresses {
        address::write(out, address);
    }
}

fn has_ports(addresses: &[NamedAddress]) -> bool {
    addresses.iter().all(NamedAddress::has_port)
}
