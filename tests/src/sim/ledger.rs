//! Every key that was ever used to seal, whoever sealed and whatever became of it.

use m2_crypto::envelope::SealedHeader;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// One message key: the grant of its chain, and the position on it.
type Key = ([u8; 32], u32);

/// What was sealed under which key. Clones are one ledger.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<BTreeMap<Key, Vec<u8>>>>);

impl Ledger {
    /// Notes a sealed message. `grants` are those that the sealer's life has opened, by
    /// incarnation and epoch. Gives what is wrong with it.
    pub fn record(
        &self,
        grants: &BTreeMap<(u64, u64), [u8; 32]>,
        sealed: &[u8],
    ) -> Option<&'static str> {
        let header = SealedHeader::parse(sealed).expect("the machine seals valid messages");
        let Some(grant) = grants.get(&(header.incarnation, header.epoch)) else {
            return Some("a message is sealed under a chain of an earlier life");
        };
        let mut used = self.0.lock().expect("no other thread panics");
        let before = used.insert((*grant, header.index), sealed.to_vec());
        before.map(|_| "two messages are sealed under one key")
    }
}
