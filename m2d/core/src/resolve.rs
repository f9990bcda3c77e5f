//! Finds a peer by its id or a prefix of its id.

use m2_crypto::PeerId;

/// The shortest accepted prefix, in characters of the id's text.
const SHORTEST: usize = 10;

/// Why no peer is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotFound {
    /// No peer has this id, or the prefix is too short.
    Unknown,
    /// Several peers have this prefix.
    Ambiguous,
}

/// Returns the only one of `peers` whose id begins with `text`, in upper or lower case.
pub fn by_prefix<T>(
    text: &str,
    peers: impl IntoIterator<Item = (PeerId, T)>,
) -> Result<T, NotFound> {
    let folded = text.to_lowercase();
    if folded.len() < SHORTEST {
        return Err(NotFound::Unknown);
    }
    let mut found = peers
        .into_iter()
        .filter(|(id, _)| id.to_string().starts_with(&folded));
    match (found.next(), found.next()) {
        (Some((_, found)), None) => Ok(found),
        (Some(_), Some(_)) => Err(NotFound::Ambiguous),
        (None, _) => Err(NotFound::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_must_be_long_enough_and_mean_one_peer() {
        let mut bytes = [7; 32];
        let one = PeerId::from_bytes(bytes);
        bytes[31] = 8;
        let other = PeerId::from_bytes(bytes);
        let peers = [(one, 1), (other, 2)];
        let text = one.to_string();
        assert_eq!(by_prefix(&text, peers), Ok(1));
        assert_eq!(by_prefix(&text.to_uppercase(), peers), Ok(1));
        assert_eq!(by_prefix(&text[..20], peers), Err(NotFound::Ambiguous));
        assert_eq!(by_prefix(&text[..20], [(one, 1)]), Ok(1));
        assert_eq!(by_prefix(&text[..9], [(one, 1)]), Err(NotFound::Unknown));
        assert_eq!(by_prefix("m2xxxxxxxxxx", peers), Err(NotFound::Unknown));
    }
}
