//! Many identities at little cost: an attacker need not generate two primes for each.

use super::identity;
use anyhow::Context as _;
use m2_crypto::{Identity, provider};
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use rsa::traits::PrivateKeyParts;
use rsa::{BoxedUint, RsaPrivateKey};
use std::collections::HashSet;
use std::sync::Arc;
use std::thread;

const EXPONENT: u32 = 65_537;
/// The committed identities, whose primes are reused.
const KNOWN: [&str; 3] = ["alice", "bob", "carol"];

/// Returns `count` distinct identities, none of them a committed one. Each is the product of two
/// primes from a small stock. A peer that sees only the certificate cannot distinguish them from
/// proper ones.
///
/// Errors: a key cannot be generated.
pub fn crowd(count: usize) -> anyhow::Result<Vec<Arc<Identity>>> {
    let stock = stock(count)?;
    let pairs: Vec<(&BoxedUint, &BoxedUint)> = stock
        .iter()
        .enumerate()
        .flat_map(|(place, p)| stock.iter().skip(place + 1).map(move |q| (p, q)))
        .collect();
    let half = pairs.len().div_ceil(2).max(1);
    let made = thread::scope(|scope| {
        let workers: Vec<_> = pairs
            .chunks(half)
            .map(|part| scope.spawn(move || part.iter().map(|(p, q)| product(p, q)).collect()))
            .collect();
        let joined = workers.into_iter().map(join::<Vec<_>>);
        joined.collect::<anyhow::Result<Vec<_>>>()
    })?;
    let known = known_ids()?;
    let mut crowd: Vec<_> = made.into_iter().flatten().collect::<Result<_, _>>()?;
    crowd.retain(|identity| !known.contains(identity.certificate().spki_der()));
    crowd.truncate(count);
    Ok(crowd)
}

/// Returns enough primes for `count` pairs, not counting those of the committed identities.
fn stock(count: usize) -> anyhow::Result<Vec<BoxedUint>> {
    let pairs = |primes: usize| primes * primes.saturating_sub(1) / 2;
    let keys = (KNOWN.len()..).find(|keys| pairs(2 * keys) >= count + keys);
    let fresh = keys.unwrap_or_default() - KNOWN.len();
    let mut keys = Vec::new();
    for name in KNOWN {
        let pem = identity(name)?.to_pem(&mut rng(), None)?;
        keys.push(RsaPrivateKey::from_pkcs8_pem(&pem)?);
    }
    keys.extend(generate(fresh)?);
    Ok(keys
        .iter()
        .flat_map(|key| key.primes().iter().map(|prime| prime.as_ref().clone()))
        .collect())
}

/// Generates RSA-4096 keys on two threads.
fn generate(count: usize) -> anyhow::Result<Vec<RsaPrivateKey>> {
    let share = |from: usize| (from..count).step_by(2);
    let make = move |from| share(from).map(|_| RsaPrivateKey::new(&mut rng(), 4_096));
    let keys: Vec<Result<_, _>> = thread::scope(|scope| {
        let workers = [0, 1].map(|from| scope.spawn(move || make(from).collect::<Vec<_>>()));
        let joined = workers.into_iter().map(join);
        joined.collect::<anyhow::Result<Vec<_>>>()
    })?
    .into_iter()
    .flatten()
    .collect();
    Ok(keys.into_iter().collect::<Result<_, _>>()?)
}

fn product(p: &BoxedUint, q: &BoxedUint) -> anyhow::Result<Arc<Identity>> {
    let key = RsaPrivateKey::from_p_q(p.clone(), q.clone(), BoxedUint::from(EXPONENT))?;
    let pem = key.to_pkcs8_pem(LineEnding::LF)?;
    Ok(Arc::new(Identity::from_pem(
        &pem,
        None,
        provider::default(),
    )?))
}

fn known_ids() -> anyhow::Result<HashSet<Vec<u8>>> {
    KNOWN
        .iter()
        .map(|name| Ok(identity(name)?.certificate().spki_der().to_vec()))
        .collect()
}

fn join<T>(worker: thread::ScopedJoinHandle<'_, T>) -> anyhow::Result<T> {
    worker.join().ok().context("a worker panicked")
}

fn rng() -> rand_core::UnwrapErr<getrandom::SysRng> {
    rand_core::UnwrapErr(getrandom::SysRng)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn all_identities_are_distinct() {
        // The number of pairs that the committed primes allow, so that the test generates no key.
        let crowd = crowd(12).unwrap();
        let ids: HashSet<_> = crowd
            .iter()
            .map(|one| one.certificate().spki_der().to_vec())
            .collect();
        assert_eq!(ids.len(), 12);
        assert!(known_ids().unwrap().is_disjoint(&ids));
    }
}
