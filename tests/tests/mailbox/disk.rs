//! Reads a provider's disk with the key of its identity.

use aes::cipher::{BlockModeDecrypt as _, KeyIvInit as _, block_padding::NoPadding};
use m2_crypto::{Identity, provider};
use m2_tests::harness::Daemon;
use rusqlite::{Connection, OpenFlags};
use std::fs;
use std::path::PathBuf;

/// A page of SQLCipher: ciphertext, then 48 reserved bytes with an IV of 16 bytes and an HMAC-SHA256.
const PAGE: usize = 4_096;
const RESERVED: usize = 48;
/// The file begins with a salt in the clear.
const SALT: usize = 16;
/// The write-ahead log has one header, and another before each page.
const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// The store of a provider that keeps letters in a file.
pub struct Disk {
    data: PathBuf,
    key: [u8; 32],
}

impl Disk {
    pub fn of(daemon: &Daemon) -> Self {
        let pem = fs::read_to_string(daemon.data().join("identity.pem")).unwrap();
        let identity = Identity::from_pem(&pem, None, provider::default()).unwrap();
        Self {
            data: daemon.data(),
            key: *identity.mailbox_key().expose(),
        }
    }

    /// Opens the tables in their current state.
    pub fn open(&self) -> Connection {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let file = Connection::open_with_flags(self.data.join("mailbox.db"), flags).unwrap();
        let key = data_encoding::HEXLOWER.encode(&self.key);
        let pragmas =
            format!("PRAGMA key = \"x'{key}'\"; PRAGMA cipher_hmac_algorithm = HMAC_SHA256;");
        file.execute_batch(&pragmas).unwrap();
        file
    }

    /// The nonces and contents of all letters.
    pub fn letters(&self) -> Vec<([u8; 16], Vec<u8>)> {
        let file = self.open();
        let mut statement = file.prepare("SELECT nonce, letter FROM letters").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// Returns how many of these pieces occur in the file or its log, including unused pages.
    pub fn count(&self, pieces: &[Vec<u8>]) -> usize {
        let pages = self.pages();
        let found = |piece: &&Vec<u8>| {
            let mut pages = pages.iter();
            pages.any(|page| page.windows(piece.len()).any(|window| window == *piece))
        };
        pieces.iter().filter(found).count()
    }

    /// All pages of the file and its log, decrypted.
    fn pages(&self) -> Vec<Vec<u8>> {
        let file = fs::read(self.data.join("mailbox.db")).unwrap();
        let mut pages: Vec<_> = file.chunks_exact(PAGE).map(<[u8]>::to_vec).collect();
        let log = fs::read(self.data.join("mailbox.db-wal")).unwrap_or_default();
        let frames = log.get(LOG_HEADER..).unwrap_or_default();
        let frames = frames.chunks_exact(FRAME_HEADER + PAGE);
        // In the log, as in the file, the first page begins with the salt.
        pages.extend(frames.map(|frame| frame[FRAME_HEADER..].to_vec()));
        let salt = file[..SALT].to_vec();
        pages
            .iter()
            .map(|page| self.decrypt(page, page.starts_with(&salt)))
            .collect()
    }

    fn decrypt(&self, page: &[u8], is_first: bool) -> Vec<u8> {
        let (content, reserved) = page.split_at(PAGE - RESERVED);
        let content = if is_first { &content[SALT..] } else { content };
        let iv: [u8; 16] = reserved[..16].try_into().unwrap();
        let cipher = cbc::Decryptor::<aes::Aes256>::new(&self.key.into(), &iv.into());
        cipher.decrypt_padded_vec::<NoPadding>(content).unwrap()
    }
}
