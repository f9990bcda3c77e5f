//! Announcements in the local network: tags that only contacts recognise (docs/spec/lookup.md,
//! announcements).

use super::{PresenceError, PresenceSecret};
use crate::label;
use crate::reader::Reader;
use rand_core::CryptoRng;
use subtle::{Choice, ConstantTimeEq};

/// Bytes of a tag.
pub const TAG_BYTES: usize = 16;
/// Bytes of an announcement's nonce.
pub const NONCE_BYTES: usize = 16;
/// Tags in an announcement, whatever the number of contacts.
pub const TAGS: usize = 48;
/// Bytes of an announcement.
pub const ANNOUNCEMENT_BYTES: usize = NONCE_BYTES + TAGS * TAG_BYTES;

/// What an announcement of `hour` (hours since 1970) with this nonce holds for whoever shares
/// `secret`.
pub fn tag(secret: &PresenceSecret, nonce: &[u8; NONCE_BYTES], hour: u32) -> [u8; TAG_BYTES] {
    let fields: [&[u8]; 2] = [nonce, &hour.to_be_bytes()];
    let mac = label::mac(secret.expose(), "presence tag", &fields);
    let mut tag = [0; TAG_BYTES];
    tag.iter_mut().zip(mac).for_each(|(to, from)| *to = from);
    tag
}

/// What one host says to its local network: a nonce, and a tag for each of up to [`TAGS`]
/// contacts among random bytes that look the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    nonce: [u8; NONCE_BYTES],
    tags: [[u8; TAG_BYTES]; TAGS],
}

impl Announcement {
    /// An announcement of `hour` for those who share `secrets`, with a fresh nonce, in random
    /// order. Of more than [`TAGS`] secrets a random choice gets in: announce anew, for the
    /// others to get their turn.
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

    /// Reads an announcement. Every [`ANNOUNCEMENT_BYTES`] bytes are one.
    ///
    /// Errors: [`PresenceError::Unreadable`] if there are more or less.
    pub fn parse(bytes: &[u8]) -> Result<Self, PresenceError> {
        read(bytes).ok_or(PresenceError::Unreadable)
    }

    /// The announcement as it is published.
    pub fn to_bytes(&self) -> [u8; ANNOUNCEMENT_BYTES] {
        let mut bytes = [0; ANNOUNCEMENT_BYTES];
        let parts = self.nonce.iter().chain(self.tags.iter().flatten());
        bytes
            .iter_mut()
            .zip(parts)
            .for_each(|(to, from)| *to = *from);
        bytes
    }

    /// The first of `secrets` for which the announcement was made in `hour`, the one before or
    /// the one after. Costs three MACs for each that is not it.
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

/// Fisher and Yates. With 64 random bits for each place no order is likelier than another by
/// more than 2^-50 or so.
fn shuffle<R: CryptoRng + ?Sized, T>(rng: &mut R, all: &mut [T]) {
    for last in (1..all.len()).rev() {
        let place = rng.next_u64() % (last as u64 + 1);
        all.swap(last, usize::try_from(place).unwrap_or(last));
    }
}
