//! The payloads of messages.
//!
//! A letter: the hour in which it expires (4 bytes), the period of its token (2), its spent mark
//! (16), its bytes. A spent mark: the mark. With the mark before the letter, two letters under one
//! nonce compare by 16 bytes, and taking a letter hashes none.

use super::subjects::{LetterSubject, period_of};
use crate::store::MailboxError;
use async_nats::jetstream::message::StreamMessage;
use bytes::Bytes;
use m2_crypto::deposit::{MARK_BYTES, Period, SpentMark};

/// A letter as it is stored.
pub(super) struct Record {
    pub(super) expiry: u32,
    pub(super) period: Period,
    pub(super) mark: SpentMark,
    pub(super) letter: Bytes,
}

/// What is necessary to take a letter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) sequence: u64,
    pub(super) size: usize,
    pub(super) period: Period,
    pub(super) mark: SpentMark,
}

impl Record {
    pub(super) fn pack(&self) -> Bytes {
        let period = self.period.number().to_be_bytes();
        let expiry = self.expiry.to_be_bytes();
        [&expiry[..], &period, self.mark.as_bytes(), &self.letter]
            .concat()
            .into()
    }

    /// Parses a letter. Errors: [`MailboxError::Corrupt`].
    pub(super) fn unpack(payload: &Bytes) -> Result<Self, MailboxError> {
        let parsed = || {
            let (expiry, rest) = payload.split_first_chunk()?;
            let (period, rest) = rest.split_first_chunk()?;
            let (mark, letter) = rest.split_first_chunk::<MARK_BYTES>()?;
            Some(Self {
                expiry: u32::from_be_bytes(*expiry),
                period: Period::new(u16::from_be_bytes(*period)),
                mark: SpentMark::from_bytes(*mark),
                letter: payload.slice_ref(letter),
            })
        };
        parsed().ok_or(MailboxError::Corrupt("letter"))
    }

    pub(super) fn seen(&self, sequence: u64) -> Seen {
        Seen {
            sequence,
            size: self.letter.len(),
            period: self.period,
            mark: self.mark,
        }
    }
}

/// Returns the mark of what a message holds: of the letter, or of the letter that was taken.
pub(super) fn mark_in(message: &StreamMessage) -> Result<SpentMark, MailboxError> {
    if LetterSubject::parse(&message.subject).is_some() {
        return Record::unpack(&message.payload).map(|record| record.mark);
    }
    let mark: Option<[u8; MARK_BYTES]> = message.payload[..].try_into().ok();
    let mark = mark.filter(|_| period_of(&message.subject).is_some());
    mark.map(SpentMark::from_bytes)
        .ok_or(MailboxError::Corrupt("mark"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record = Record {
            expiry: 498_000,
            period: Period::new(741),
            mark: SpentMark::from_bytes([7; MARK_BYTES]),
            letter: Bytes::from_static(&[5; 100]),
        };
        let payload = record.pack();
        assert_eq!(payload.len(), 122);
        let read = Record::unpack(&payload).unwrap();
        assert_eq!((read.expiry, read.period), (498_000, Period::new(741)));
        assert!(read.mark == record.mark && read.letter == record.letter);
        assert!(Record::unpack(&payload.slice(..21)).is_err());
    }
}
