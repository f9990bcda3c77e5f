//! A record of every key that was used to seal a message, by any run of either side, whether or not
//! the message was committed or sent.

use m2_crypto::envelope::SealedHeader;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// One message key: the grant of its chain, and the position on it.
type Key = ([u8; 32], u32);

/// The messages sealed with each key. Clones share one record.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<BTreeMap<Key, Vec<u8>>>>);

impl Ledger {
    /// Records a sealed message. `grants` are the grants that the sealer has opened since its last
    /// start, by incarnation and epoch. Returns a violation if the key is one of an earlier run, or
    /// was used before.
    pub fn record(
        &self,
        grants: &BTreeMap<(u64, u64), [u8; 32]>,
        sealed: &[u8],
    ) -> Option<&'static str> {
        let header = SealedHeader::parse(sealed).expect("the machine seals valid messages");
        let Some(grant) = grants.get(&(header.incarnation, header.epoch)) else {
            return Some("a message is sealed with a chain from before the restart");
        };
        let mut used = self.0.lock().expect("no other thread panics");
        let before = used.insert((*grant, header.index), sealed.to_vec());
        before.map(|_| "two messages are sealed with the same key")
    }
}
