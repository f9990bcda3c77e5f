//! For tests: the decrypted pages of a store's file and of its log, including free pages.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use aes::Aes256;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use std::path::Path;

const PAGE: usize = 4_096;
/// The size of the initialization vector and HMAC-SHA-256 at the end of each page.
const RESERVED: usize = 48;
const SALT: usize = 16;
const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// Returns whether `bytes` are in any page of the store in `dir` or of its log.
pub(crate) fn hold(dir: &Path, key: &[u8; 32], bytes: &[u8]) -> bool {
    let file = std::fs::read(dir.join("store.db")).unwrap();
    let log = std::fs::read(dir.join("store.db-wal")).unwrap_or_default();
    let pages = file.chunks(PAGE).enumerate();
    let frames = log.get(LOG_HEADER..).unwrap_or_default();
    let frames = frames.chunks(FRAME_HEADER + PAGE).map(|frame| {
        let number = u32::from_be_bytes(frame[..4].try_into().unwrap());
        (number as usize - 1, &frame[FRAME_HEADER..])
    });
    pages
        .chain(frames)
        .map(|(number, page)| decrypt(page, key, number == 0))
        .any(|page| holds(&page, bytes))
}

fn decrypt(page: &[u8], key: &[u8; 32], is_first: bool) -> Vec<u8> {
    let (body, reserved) = page.split_at(PAGE - RESERVED);
    let iv: [u8; 16] = reserved[..16].try_into().unwrap();
    let mut plain = body[if is_first { SALT } else { 0 }..].to_vec();
    cbc::Decryptor::<Aes256>::new(key.into(), &iv.into())
        .decrypt_padded::<NoPadding>(&mut plain)
        .unwrap();
    plain
}

fn holds(page: &[u8], bytes: &[u8]) -> bool {
    page.windows(bytes.len()).any(|window| window == bytes)
}
