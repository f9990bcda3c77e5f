//! The local connection ids, in the form that quinn expects
//! (docs/spec/obfuscation.md#connection-ids).

use crate::clock::Clock;
use m2_crypto::Secret;
use m2_crypto::connection_id::{ConnectionIdKey, LENGTH};
use m2_crypto::initial::{self, MAX_CID_LEN};
use quinn::ConnectionId;
use quinn_proto::{ConnectionIdGenerator, InvalidCid};
use rand_core::{CryptoRng, Rng, UnwrapErr};
use std::sync::Arc;
use std::time::Duration;

/// Issues and recognises the connection ids of one run.
#[derive(Debug, Clone)]
pub struct ConnectionIds {
    key: Arc<ConnectionIdKey>,
    clock: Clock,
}

impl ConnectionIds {
    /// Generates the key of this run.
    pub fn random<R: CryptoRng + ?Sized>(rng: &mut R, clock: Clock) -> Self {
        Self {
            key: Arc::new(ConnectionIdKey::new(&Secret::random(rng))),
            clock,
        }
    }

    /// Returns whether this run issued `id`.
    pub fn is_ours(&self, id: &[u8]) -> bool {
        self.key.is_ours(id)
    }

    /// Issues a new id.
    pub fn issue(&self) -> [u8; LENGTH] {
        self.key
            .issue(&mut UnwrapErr(getrandom::SysRng), self.clock.day())
    }
}

impl ConnectionIdGenerator for ConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        ConnectionId::new(&self.issue())
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        if self.is_ours(id) {
            Ok(())
        } else {
            Err(InvalidCid)
        }
    }

    fn cid_len(&self) -> usize {
        LENGTH
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// Returns the first destination id of a dial: random, with the day in its last 2 bits.
pub(crate) fn first_destination(day: u32) -> ConnectionId {
    let mut id = [0; MAX_CID_LEN];
    UnwrapErr(getrandom::SysRng).fill_bytes(&mut id);
    initial::stamp_day(&mut id, day);
    ConnectionId::new(&id)
}
