//! Announcements in the local network: tags that only contacts recognise
//! (docs/spec/lookup.md#announcements).

use super::{PresenceError, PresenceSecret};
use crate::label;
use crate::reader::Reader;
use rand_core::CryptoRng;
use subtle::{Choice, ConstantTimeEq};

/// Bytes of a tag.
pub const TAG_BYTES: usize = 16;
/// Bytes of an announcement's nonce.
pub const NONCE_BYTES: usize = 16;
/// Number of tags in an announcement, regardless of the number of contacts.
pub const TAGS: usize = 48;
/// Bytes of an announcement.
pub const ANNOUNCEMENT_BYTES: usize = NONCE_BYTES + TAGS * TAG_BYTES;

/// Computes the tag for the holder of `secret` in an announcement of `hour` (hours since 1970) with
/// this nonce.
pub fn tag(secret: &PresenceSecret, nonce: &[u8; NONCE_BYTES], hour: u32) -> [u8; TAG_BYTES] {
    let fields: [&[u8]; 2] = [nonce, &hour.to_be_bytes()];
    let mac = label::mac(secret.expose(), "presence tag", &fields);
    let mut tag = [0; TAG_BYTES];
    tag.iter_mut().zip(mac).for_each(|(to, from)| *to = from);
    tag
}

/// An announcement of one host in its local network: a nonce, and one tag for each of up to
/// [`TAGS`] contacts, filled up with random bytes that look the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    nonce: [u8; NONCE_BYTES],
    tags: [[u8; TAG_BYTES]; TAGS],
}

impl Announcement {
    /// Makes an announcement of `hour` for the holders of `secrets`, with a random nonce and the
    /// tags in random order. With more than [`TAGS`] secrets it includes a random selection; make
    /// several announcements to cover the others.
    pub fn make<R: CryptoRng + ?Sized>(
        rng: &mut R,
        hour: u32,
        secrets: &[&PresenceSecret],
    ) -> Self {
        let mut nonce = [0; NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let mut found: Vec<_> = secrets
            .iter()
            .map(|secret| tag(secret, &nonce, hour))
            .collect();
        while found.len() < TAGS {
            let mut filler = [0; TAG_BYTES];
            rng.fill_bytes(&mut filler);
            found.push(filler);
        }
        shuffle(rng, &mut found);
        let mut tags = [[0; TAG_BYTES]; TAGS];
        tags.iter_mut().zip(found).for_each(|(to, from)| *to = from);
        Self { nonce, tags }
    }

    /// Parses an announcement. All byte strings of [`ANNOUNCEMENT_BYTES`] are valid.
    ///
    /// Errors: [`PresenceError::Unreadable`] for another length.
    pub fn parse(bytes: &[u8]) -> Result<Self, PresenceError> {
        read(bytes).ok_or(PresenceError::Unreadable)
    }

    /// Encodes the announcement for publication.
    pub fn to_bytes(&self) -> [u8; ANNOUNCEMENT_BYTES] {
        let mut bytes = [0; ANNOUNCEMENT_BYTES];
        let parts = self.nonce.iter().chain(self.tags.iter().flatten());
        bytes
            .iter_mut()
            .zip(parts)
            .for_each(|(to, from)| *to = *from);
        bytes
    }

    /// Returns the first of `secrets` for which the announcement was made in `hour`, the hour
    /// before or the hour after. Costs three MACs for each secret tried.
    pub fn find<'a, T>(
        &self,
        secrets: impl IntoIterator<Item = (T, &'a PresenceSecret)>,
        hour: u32,
    ) -> Option<T> {
        let hours = [Some(hour), hour.checked_sub(1), hour.checked_add(1)];
        secrets.into_iter().find_map(|(who, secret)| {
            let mut is_there = Choice::from(0);
            for hour in hours.into_iter().flatten() {
                is_there |= self.has(&tag(secret, &self.nonce, hour));
            }
            bool::from(is_there).then_some(who)
        })
    }

    fn has(&self, tag: &[u8; TAG_BYTES]) -> Choice {
        let none = Choice::from(0);
        self.tags
            .iter()
            .fold(none, |found, one| found | one.ct_eq(tag))
    }
}

fn read(bytes: &[u8]) -> Option<Announcement> {
    let mut reader = Reader::new(bytes);
    let nonce = reader.array()?;
    let mut tags = [[0; TAG_BYTES]; TAGS];
    for tag in &mut tags {
        *tag = reader.array()?;
    }
    reader.end()?;
    Some(Announcement { nonce, tags })
}

/// Shuffles by Fisher and Yates. With 64 random bits for each position, the probabilities of any
/// two orders differ by no more than about 2^-50.
fn shuffle<R: CryptoRng + ?Sized, T>(rng: &mut R, all: &mut [T]) {
    for last in (1..all.len()).rev() {
        let place = rng.next_u64() % (last as u64 + 1);
        all.swap(last, usize::try_from(place).unwrap_or(last));
    }
}
