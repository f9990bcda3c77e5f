//! Level 3, checked against `tests/vectors/obfuscation.json`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use data_encoding::HEXLOWER;
use m2_crypto::Secret;
use m2_crypto::connection_id::ConnectionIdKey;
use m2_crypto::obfuscation::Obfuscator;
use m2_crypto::provider;
use rand_core::{TryCryptoRng, TryRng};
use serde_json::Value;
use std::convert::Infallible;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../tests/vectors/obfuscation.json")).unwrap()
}

fn hex(case: &Value, field: &str) -> Vec<u8> {
    HEXLOWER
        .decode(case[field].as_str().unwrap().as_bytes())
        .unwrap()
}

fn key(case: &Value) -> Secret<16> {
    Secret::from_slice(&hex(case, "key")).unwrap()
}

#[test]
fn datagrams() {
    for case in vectors()["datagrams"].as_array().unwrap() {
        for &provider in provider::all() {
            let obfuscator = Obfuscator::new(&key(case), provider);
            let mut datagram = hex(case, "plain");
            obfuscator.apply(&mut datagram);
            assert_eq!(datagram, hex(case, "wire"));
            obfuscator.apply(&mut datagram);
            assert_eq!(datagram, hex(case, "plain"));
        }
    }
}

#[test]
fn connection_ids() {
    for case in vectors()["connectionIds"].as_array().unwrap() {
        let ids = ConnectionIdKey::new(&key(case));
        let mut rng = Fixed(hex(case, "random"));
        let day = case["day"].as_u64().unwrap().try_into().unwrap();
        let id = ids.issue(&mut rng, day);
        assert_eq!(id.to_vec(), hex(case, "connectionId"));
        assert!(ids.is_ours(&id));
    }
}

/// Yields the given bytes once.
struct Fixed(Vec<u8>);

impl TryRng for Fixed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("only bytes are drawn")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("only bytes are drawn")
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        to.copy_from_slice(&self.0.split_off(0));
        Ok(())
    }
}

impl TryCryptoRng for Fixed {}
