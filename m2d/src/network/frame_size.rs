//! The memory that a frame takes while it waits.

use m2_crypto::envelope::GRANT_BYTES;
use m2_crypto::one_time_key;
use m2_net::wire::Message;
use m2_net::wire::mailbox::{Mailbox, OfferedBox, Request, TokenWithKey};

/// The most memory of a frame about lines, in bytes: six lines of forty tokens.
const LINE: usize = 6 << 10;
/// The most memory of a frame about reachability, in bytes.
const REACH: usize = 512;

/// Returns the approximate size of a frame in memory, in bytes, or `most` if that is less.
pub(super) fn of(message: &Message, most: u32) -> u32 {
    let content = match message {
        Message::Envelope(envelope) => envelope.grant.len() + envelope.sealed.len(),
        Message::Acks(acks) => size_of_val(acks.as_slice()),
        Message::Places(places) => {
            size_of_val(places.as_ref()) + size_of_val(places.settled.as_slice()) + GRANT_BYTES
        }
        Message::Mailbox(mailbox) => size_of_val(mailbox.as_ref()) + about_letters(mailbox),
        Message::Line(_) => LINE,
        Message::Reach(_) => REACH,
        _ => 0,
    };
    let size = u32::try_from(content + size_of::<Message>()).unwrap_or(u32::MAX);
    size.min(most)
}

fn about_letters(mailbox: &Mailbox) -> usize {
    match mailbox {
        Mailbox::Letter(letter) => letter.sealed.len(),
        Mailbox::Deposit(deposit) => deposit.sealed.len(),
        Mailbox::Offer(boxes) => boxes.iter().map(offered).sum(),
        Mailbox::Tokens { tokens, .. } => {
            tokens.len() * (size_of::<TokenWithKey>() + one_time_key::PUBLIC_BYTES)
        }
        Mailbox::TokenReport { taken, refused } => {
            size_of_val(taken.as_slice()) + size_of_val(refused.as_slice())
        }
        Mailbox::SeriesHeld(series) => size_of_val(series.as_slice()),
        Mailbox::State(state) => state.reason.len(),
        Mailbox::Request(Request::Taken(taken)) => size_of_val(taken.as_slice()),
        Mailbox::Request(_) | Mailbox::Deposited { .. } | Mailbox::LetterSecrets { .. } => 0,
    }
}

fn offered(offered: &OfferedBox) -> usize {
    size_of::<OfferedBox>() + size_of_val(offered.addresses.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use m2_crypto::PeerId;
    use m2_crypto::deposit::DepositNonce;
    use m2_net::wire::mailbox::Letter;

    fn size(mailbox: Mailbox) -> u32 {
        of(&Message::Mailbox(Box::new(mailbox)), u32::MAX)
    }

    #[test]
    fn the_size_of_a_frame_about_letters_follows_its_content() {
        let report = |count: usize| Mailbox::TokenReport {
            taken: vec![DepositNonce::from_bytes([1; 16]); count],
            refused: Vec::new(),
        };
        assert_eq!(size(report(64)) - size(report(1)), 63 * 16);
        assert!(size(report(1)) < 1_024);
        let letter = Mailbox::Letter(Letter {
            nonce: DepositNonce::from_bytes([1; 16]),
            sealed: Bytes::from(vec![0; 65_536]),
        });
        assert!((65_536..70_000).contains(&size(letter)));
        let offer = vec![
            OfferedBox {
                provider: PeerId::from_bytes([1; 32]),
                addresses: Vec::new(),
                series: m2_net::wire::mailbox::Series([1; 8]),
            };
            8
        ];
        assert!(size(Mailbox::Offer(offer)) > 8 * 40);
    }

    #[test]
    fn no_frame_takes_more_than_the_room_that_there_is() {
        assert_eq!(of(&Message::Cover(0), 1), 1);
    }
}
