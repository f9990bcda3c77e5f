//! What a thief opens of a recorded session, by what was stolen.
//!
//! The thief has the recorded datagrams, the circle's secret, the invitation and the private keys of both certificates.
//! The keys of the session itself were erased, or were made after the theft.

use super::decoder::bytes::{text, unhex};
use super::{FILES, decoder, recording};
use m2_crypto::envelope::{Ends, EpochSecret, ReceiveEpoch};
use m2_crypto::provider::default;
use m2_crypto::{Circle, Identity, Secret};
use rand_core::UnwrapErr;
use serde_json::Value;

const KEYS: [&str; 2] = ["initiatorSessionKey", "responderSessionKey"];

/// Returns a recording in which the thief has other session keys than these.
fn without(name: &str, lost: &[&str]) -> Value {
    let mut file = recording(name);
    let other = FILES.iter().find(|other| **other != name).unwrap();
    let mut others = recording(other);
    for key in lost {
        file["given"][*key] = others["given"][*key].take();
    }
    file
}

/// Returns the number of datagrams that a thief opened before the first that does not open.
fn opened(file: &Value) -> usize {
    let failed = decoder::decode(file, default()).unwrap_err();
    let number = failed.strip_prefix("datagram ").and_then(|rest| {
        let (number, _) = rest.split_once(':')?;
        number.parse().ok()
    });
    number.expect(&failed)
}

/// Returns the number of the first datagram with a packet other than an Initial or a Retry, whose keys follow from names.
fn first_protected(file: &Value) -> usize {
    let datagrams = file["datagrams"].as_array().unwrap();
    let is_protected = |datagram: &Value| {
        let mut packets = datagram["packets"].as_array().unwrap().iter();
        packets.any(|packet| packet["type"] != "Initial" && packet["type"] != "Retry")
    };
    datagrams.iter().position(is_protected).unwrap()
}

#[test]
fn the_keys_of_both_certificates_open_no_packet_of_a_past_session() {
    for name in FILES {
        let file = without(name, &KEYS);
        assert!(opened(&file) <= first_protected(&file), "{name}");
    }
}

/// A copy of one end's memory and disk contains session keys that are ready for its next sessions. Those of the other end
/// are not among them.
#[test]
fn a_copy_of_one_end_does_not_open_its_next_session() {
    for name in FILES {
        for unknown in KEYS {
            let file = without(name, &[unknown]);
            assert!(opened(&file) <= first_protected(&file), "{name} {unknown}");
        }
    }
}

fn identity(given: &Value, field: &str) -> Identity {
    let file = format!("tests/vectors/{}", text(given, field).unwrap());
    let pem = std::fs::read_to_string(super::path(&file)).unwrap();
    Identity::from_pem(&pem, None, default()).unwrap()
}

/// Opens the first message of a session with the keys of both certificates and this secret of a session.
fn open_message(file: &Value, secret: &[u8]) -> Option<Vec<u8>> {
    let given = &file["given"];
    let circle_secret = Secret::from_slice(&unhex(&given["circle"], "secret").unwrap()).unwrap();
    let circle = Circle::private(text(&given["circle"], "name").unwrap(), &circle_secret);
    let [sender, receiver] =
        ["initiatorIdentity", "responderIdentity"].map(|it| identity(given, it));
    let ends = Ends {
        receiver: &receiver,
        receiver_id: receiver.peer_id(circle.id()),
        sender: sender.certificate(),
        sender_id: sender.peer_id(circle.id()),
    };
    let grant = unhex(&file["message"]["epoch"], "grant").unwrap();
    // The name of the session is not secret: grants contain it.
    let name = unhex(&file["exported"], "sessionName").unwrap();
    let name = *name.first_chunk().unwrap();
    let created_s = u64::from_be_bytes(grant[82..90].try_into().unwrap());
    let mut secret = EpochSecret::new(name, Secret::from_slice(secret).unwrap());
    let rng = &mut UnwrapErr(getrandom::SysRng);
    let epoch = ReceiveEpoch::accept(rng, &ends, &mut secret, &grant, created_s);
    epoch
        .unwrap()
        .open(&sealed(file))
        .ok()
        .map(|opened| opened.plaintext.to_vec())
}

/// Returns the first sealed message, as whoever broke levels 2 and 3 has it.
fn sealed(file: &Value) -> Vec<u8> {
    let mut frames = file["frames"].as_array().unwrap().iter();
    let envelope = frames.find(|frame| frame["body"] == "Envelope").unwrap();
    let frame = unhex(envelope, "frame").unwrap();
    let body = decoder::bytes::contents(&frame, 2).unwrap();
    decoder::bytes::contents(body, 2).unwrap().to_vec()
}

/// Level 1 alone: the keys of both certificates, all secrets of another session, and the plain frames of this one.
#[test]
fn the_secrets_of_another_session_open_no_message() {
    let file = recording(FILES[0]);
    let exported = &file["exported"];
    let own = unhex(exported, "epochSecretOfInitiator").unwrap();
    assert!(open_message(&file, &own).is_some(), "the control opens");
    let others = recording(FILES[1]);
    let secrets = [
        "epochSecretOfInitiator",
        "epochSecretOfResponder",
        "letterSecret",
    ];
    for name in secrets {
        let secret = unhex(&others["exported"], name).unwrap();
        assert!(open_message(&file, &secret).is_none(), "{name}");
    }
    // The state of the same session after the epoch was opened: a copy that was made later.
    let later = unhex(&file["message"]["epoch"], "nextEpochSecret").unwrap();
    assert!(open_message(&file, &later).is_none(), "the later state");
}
