//! Fixed vectors as JSON files. `M2_WRITE_VECTORS=1 cargo test -p m2-crypto` regenerates them.

use m2_crypto::label;
use rand_core::{TryCryptoRng, TryRng};
use serde_json::Value;
use std::convert::Infallible;

/// A deterministic random number generator: SHA-256 of a seed and a counter.
pub struct FixedRng {
    seed: &'static str,
    counter: u64,
}

impl FixedRng {
    pub const fn new(seed: &'static str) -> Self {
        Self { seed, counter: 0 }
    }

    fn block(&mut self) -> [u8; 32] {
        let counter = self.counter.to_be_bytes();
        self.counter += 1;
        label::hash("test random", &[self.seed.as_bytes(), &counter])
    }
}

impl TryRng for FixedRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let [a, b, c, d, ..] = self.block();
        Ok(u32::from_be_bytes([a, b, c, d]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let [a, b, c, d, e, f, g, h, ..] = self.block();
        Ok(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for chunk in out.chunks_mut(32) {
            chunk.copy_from_slice(&self.block()[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for FixedRng {}

/// Reads the vectors `name`, after regenerating them if requested.
pub fn load(name: &str, generate: impl FnOnce() -> Value) -> Value {
    let path = super::vectors_dir().join(name);
    if std::env::var_os("M2_WRITE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(&generate()).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
    }
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Reads vectors that contain nothing random: the code must reproduce the file exactly.
pub fn load_exact(name: &str, generate: impl Fn() -> Value) -> Value {
    let stored = load(name, &generate);
    assert_eq!(stored, generate(), "{name} differs from the code's output");
    stored
}

pub fn hex(bytes: impl AsRef<[u8]>) -> Value {
    data_encoding::HEXLOWER.encode(bytes.as_ref()).into()
}

pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("no text {key}"))
}

pub fn bytes(value: &Value, key: &str) -> Vec<u8> {
    unhex(&value[key])
}

pub fn unhex(value: &Value) -> Vec<u8> {
    data_encoding::HEXLOWER
        .decode(value.as_str().unwrap().as_bytes())
        .unwrap()
}

pub fn array<const N: usize>(value: &Value, key: &str) -> [u8; N] {
    bytes(value, key).try_into().unwrap()
}

pub fn number(value: &Value, key: &str) -> u64 {
    // Encoded as text where 53 bits do not suffice.
    match &value[key] {
        Value::String(text) => text.parse().unwrap(),
        other => other.as_u64().unwrap(),
    }
}

pub fn list<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value[key]
        .as_array()
        .unwrap_or_else(|| panic!("no list {key}"))
}
