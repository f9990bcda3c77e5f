//! Invitations as text: an invitation that parses is unchanged by encoding and parsing it again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m2_crypto::invitation::{Invitation, InvitedLine};

fuzz_target!(|text: &str| {
    if let Ok(invitation) = text.parse::<Invitation>() {
        let again = invitation.to_uri();
        assert!(
            again
                .parse::<Invitation>()
                .is_ok_and(|parsed| parsed == invitation)
        );
        for line in invitation.invited_lines() {
            let bytes = line.to_bytes().expect("a parsed line can be encoded");
            assert_eq!(InvitedLine::parse(&bytes).as_ref(), Some(&line));
        }
    }
});
