//! Regenerates the seed corpora: `cargo run --release --example seeds` in `tests/fuzz`.
//!
//! The seeds are valid values of every kind, so that fuzzing starts past the first length check.
//! Seeds with signatures differ from run to run; commit them only after a format change.

use m2_crypto::backup::{Contents, Header};
use m2_crypto::deposit::{BoxKey, Period, TOKEN_BYTES};
use m2_crypto::envelope::{EpochSecret, GRANT_BYTES, SendEpoch};
use m2_crypto::handshake::{Call, Credential, Initiator, Message, Responder};
use m2_crypto::initial::{self, InitialKeys, QUIC_VERSION};
use m2_crypto::invitation::{Invitation, InvitedLine, Offer};
use m2_crypto::letter::{LetterHeader, Recipient};
use m2_crypto::line::JoinToken;
use m2_crypto::presence::{
    Announcement, DayKey, PresenceKey, PresenceLine, PresenceSecret, Record,
};
use m2_crypto::session_key::SessionKeyPair;
use m2_crypto::{Circle, PeerId, Secret, provider};
use m2_fuzz::{DAY, INCARNATION, MESSAGE_ID, NONCE, NOW_S, Peer, letter_secret, one_time_key, rng};
use m2_proto::wire::v1::{
    Ack, Acks, BoxState, ContactReply, ContactRequest, Content, Deposit, DepositOutcome, Deposited,
    Edit, Envelope, EpochRefused, Frame, Hello, Letter, LetterSecrets, LettersTaken, Mailbox,
    MailboxOffer, MailboxTokens, OfferedBox, OpenBox, Payload, PlaceRange, Places, Reaction, Read,
    RegisterBox, RemoveBox, Retract, SeriesHeld, Skip, TokenReport, TokenWithKey, Typing, frame,
    mailbox, payload,
};
use prost::Message as _;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let (alice, bob) = (Peer::alice(), Peer::bob());
    identities(&alice)?;
    backups(&alice)?;
    invitations(&alice)?;
    presence(&alice)?;
    authority()?;
    envelopes(&alice, &bob)?;
    deposits(&alice, &bob)?;
    initials()?;
    handshakes(alice, bob)?;
    frames()?;
    payloads()?;
    configs()
}

fn seed(target: &str, name: &str, bytes: impl AsRef<[u8]>) -> Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    fs::create_dir_all(&corpus)?;
    Ok(fs::write(corpus.join(name), bytes)?)
}

fn identities(alice: &Peer) -> Result<()> {
    seed("peer_id", "alice", alice.id.to_string())?;
    seed("peer_id", "upper", alice.id.to_string().to_uppercase())?;
    seed(
        "certificate",
        "alice",
        alice.identity.certificate().spki_der(),
    )?;
    seed(
        "identity",
        "plain",
        alice.identity.to_pem(&mut rng(), None)?.as_bytes(),
    )?;
    seed(
        "identity",
        "encrypted",
        alice
            .identity
            .to_pem(&mut rng(), Some(b"secret"))?
            .as_bytes(),
    )
}

fn backups(alice: &Peer) -> Result<()> {
    let (header, _) = Header::with_passphrase(&mut rng(), b"secret")?;
    seed("backup", "passphrase", header.to_bytes())?;
    let key_file = alice.identity.to_pem(&mut rng(), Some(b"secret"))?;
    let (header, _) = Header::with_identity(&mut rng(), &alice.identity, &key_file)?;
    seed("backup", "identity", header.to_bytes())?;
    let contents = Contents {
        created_ms: NOW_S * 1_000,
        peer_id: alice.id,
        circle: "public".to_owned(),
        schema: 1,
        contacts: 2,
        messages: 3,
        store_bytes: 4_096,
        store_key: alice.identity.store_key(),
        key_file,
    };
    seed("backup", "contents", contents.encode()?)
}

fn invitations(alice: &Peer) -> Result<()> {
    let offer = Offer {
        reusable: true,
        expires_s: NOW_S,
        addresses: vec!["192.0.2.1:7000".parse()?, "[2001:db8::1]:7000".parse()?],
        lines: vec![vec![1; 40]],
    };
    let circle = Circle::public();
    let invitation = Invitation::create(&mut rng(), alice.id, circle.id(), offer)?;
    seed("invitation", "full", invitation.to_uri().as_bytes())?;
    seed("invitation", "cut", &invitation.to_uri().as_bytes()[..60])?;
    let line = InvitedLine {
        relay: alice.id,
        token: JoinToken([7; 16]),
        addresses: vec!["192.0.2.1:7000".parse()?, "[2001:db8::1]:7000".parse()?],
    };
    let offer = Offer {
        reusable: false,
        expires_s: NOW_S,
        addresses: Vec::new(),
        lines: line.to_bytes().into_iter().collect(),
    };
    let invitation = Invitation::create(&mut rng(), alice.id, circle.id(), offer)?;
    seed("invitation", "lines", invitation.to_uri().as_bytes())
}

/// An HTTP/2 connection with one request in one piece, and one whose header block is split into two
/// frames.
fn authority() -> Result<()> {
    let frame = |kind: u8, flags: u8, payload: &[u8]| {
        let length = payload.len() as u8;
        [&[0, 0, length, kind, flags, 0, 0, 0, 1], payload].concat()
    };
    let block = b"\x83\x86\x44\x02/x\x41\x11%2Frun%2Fm2d.sock";
    let begin = [
        b"\x07PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &frame(4, 0, b"")[..],
    ]
    .concat();
    let whole = [&begin[..], &frame(1, 4, block), &frame(0, 1, b"body")].concat();
    seed("authority", "request", whole)?;
    let named = b"\x83\x40\x88\xb8\x3b\x53\x39\xec\x32\x7d\x7f\x02/s\x81";
    let (one, two) = named.split_at(9);
    let pieces = [&begin[..], &frame(1, 0, one), &frame(9, 4, two)].concat();
    seed("authority", "pieces", pieces)
}

fn presence(alice: &Peer) -> Result<()> {
    let secret = PresenceSecret::new(Secret::new([1; 32]));
    let addresses = vec!["192.0.2.1:7000".parse()?, "[2001:db8::1]:7000".parse()?];
    let record = Record {
        made_s: NOW_S,
        addresses: addresses.clone(),
        lines: vec![PresenceLine {
            relay: alice.id,
            token: JoinToken([7; 16]),
            addresses,
        }],
    };
    seed("presence", "content", &record.to_content()?[..])?;
    let key = DayKey::derive(&PresenceKey::of_pair(secret.clone()), DAY);
    seed("presence", "record", record.seal(&mut rng(), &key)?)?;
    let announcement = Announcement::make(&mut rng(), DAY * 24, &[&secret]);
    seed("presence", "announcement", announcement.to_bytes())
}

fn envelopes(alice: &Peer, bob: &Peer) -> Result<()> {
    let certificate = bob.identity.certificate();
    let header = alice.header(bob, 1);
    let share = EpochSecret::new([7; 8], Secret::new([9; 32])).next_share();
    let mut epoch = SendEpoch::open(&mut rng(), &alice.identity, certificate, header, &share)?;
    seed("grant", "session", epoch.grant())?;
    seed("sealed", "first", epoch.seal(&MESSAGE_ID, b"hello")?)?;
    seed("sealed", "second", epoch.seal(&MESSAGE_ID, &[0; 100])?)
}

/// A token, the two halves of a one-time key's use, and a letter that opens.
fn deposits(alice: &Peer, bob: &Peer) -> Result<()> {
    let key = BoxKey::new(Secret::new([1; 32]));
    let token = key.token(&bob.id, NONCE, Period::at(NOW_S));
    seed("deposit", "token", token.to_bytes())?;
    let key = one_time_key();
    seed("deposit", "public_key", key.public().to_bytes())?;
    let (ciphertext, _) = key.public().encapsulate(&mut rng())?;
    seed("deposit", "ciphertext", ciphertext.to_bytes())?;
    let recipient = Recipient {
        certificate: bob.identity.certificate(),
        peer_id: &bob.id,
        nonce: &NONCE,
        key: key.public(),
        secret: &letter_secret(),
    };
    let header = LetterHeader {
        sender: alice.id,
        incarnation: INCARNATION,
        created_s: NOW_S,
        oldest: 1,
        message_id: MESSAGE_ID,
    };
    let letter = recipient.seal(&mut rng(), &alice.identity, &header, b"hello")?;
    seed("letter", "small", letter)
}

/// An Initial packet that opens, a truncated one, and the gate's and connection id seeds.
fn initials() -> Result<()> {
    let mut dcid = [5; 20];
    initial::stamp_day(&mut dcid, DAY);
    let responder = PeerId::from_bytes([7; 32]);
    let circle = Circle::public();
    let keys = InitialKeys::derive(circle.id(), &dcid, &responder, DAY, provider::default());

    let mut packet = vec![0xc0];
    packet.extend(QUIC_VERSION.to_be_bytes());
    packet.push(20);
    packet.extend(dcid);
    packet.extend([0, 0]); // No source connection id, no token.
    packet.extend([0x40, 101, 0]); // Length: 1 byte of packet number, 84 of payload, 16 of tag.
    let mut payload = [1; 84];
    let tag = keys.client.packet.seal(0, &packet, &mut payload);
    let number_at = packet.len() - 1;
    packet.extend(payload);
    packet.extend(tag);
    keys.client.header.protect(number_at, &mut packet);
    if !initial::opens_initial(&keys, &packet) {
        return Err("the Initial seed does not open".into());
    }
    seed("initial", "opens", &packet)?;
    let mut first = packet.clone();
    first.resize(1200, 0);
    seed("gate", "first", first)?;
    seed("gate", "short", [0x40; 64])?;
    seed("initial", "cut", packet.get(..40).unwrap_or_default())?;
    seed("connection_id", "one", [3; 16])
}

/// The five messages of a handshake, and the proof of an anonymous initiator.
fn handshakes(alice: Peer, bob: Peer) -> Result<()> {
    let credential = Credential::Identity(Arc::new(alice.identity));
    let messages = handshake(credential, bob)?;
    for (number, message) in (1..).zip(&messages) {
        seed("handshake", &number.to_string(), message.bytes())?;
    }
    let anonymous = handshake(Credential::Anonymous, Peer::bob())?;
    let last = anonymous.last().ok_or("no proof")?;
    seed("handshake", "anonymous", last.bytes())
}

fn handshake(credential: Credential, responder: Peer) -> Result<Vec<Message>> {
    let rng = &mut rng();
    let circle = *Circle::public().id();
    let call = Call {
        circle,
        responder: responder.id,
        credential,
    };
    let identity = Arc::new(responder.identity);
    let provider = provider::default();
    let (hello, initiator) = Initiator::start(
        call,
        SessionKeyPair::generate(rng, provider)?,
        &[1; 60],
        rng,
    )?;
    let key = SessionKeyPair::generate(rng, provider)?;
    let responder = Responder::new(circle, identity, key, &[2; 60])?;
    let (reply, responder) = responder.hello(&hello, rng)?;
    let (key_return, _, initiator) = initiator.hello_reply(&reply, rng)?;
    let (_, responder_proof, responder) = responder.key_return(&key_return, rng)?;
    let (initiator_proof, _) = initiator.proof(&responder_proof, rng)?;
    responder.proof(&initiator_proof)?;
    Ok(vec![
        hello,
        reply,
        key_return,
        responder_proof,
        initiator_proof,
    ])
}

fn frames() -> Result<()> {
    let bodies = [
        frame::Body::Hello(Hello {
            unix_ms: 1_800_000_000_000,
            version: "0.1.0".to_owned(),
            purpose: 0,
        }),
        frame::Body::Envelope(Envelope {
            grant: vec![1; 64].into(),
            sealed: vec![2; 128].into(),
        }),
        frame::Body::Acks(Acks {
            acks: vec![
                Ack {
                    message_id: vec![3; 16].into(),
                    content_hash: vec![4; 32].into(),
                };
                2
            ],
        }),
        frame::Body::ContactRequest(ContactRequest {
            invite_id: vec![5; 16].into(),
            proof: vec![6; 32].into(),
            name: "Alice".to_owned(),
        }),
        frame::Body::ContactReply(ContactReply { accepted: true }),
        frame::Body::EpochRefused(EpochRefused {
            incarnation: 7,
            epoch: 8,
        }),
        frame::Body::Places(Places {
            following: 7,
            following_epoch: 3,
            expected: 9,
            newest_grant: vec![1; GRANT_BYTES].into(),
            incarnation: 8,
            epoch: 1,
            oldest: 4,
            next: 9,
            settled: vec![PlaceRange { first: 6, count: 1 }],
        }),
    ];
    let mut stream = Vec::new();
    for (number, body) in bodies.into_iter().enumerate() {
        let frame = Frame { body: Some(body) };
        seed("wire_frame", &number.to_string(), frame.encode_to_vec())?;
        stream.extend(frame.encode_length_delimited_to_vec());
    }
    seed("frame_stream", "all", stream)?;
    mailbox_frames()
}

/// The frames about mailboxes, after a Hello.
fn mailbox_frames() -> Result<()> {
    let hello = frame::Body::Hello(Hello {
        unix_ms: 1_800_000_000_000,
        version: "0.1.0".to_owned(),
        purpose: 1,
    });
    let mut bodies = provider_frames();
    bodies.extend(contact_frames());
    let bodies = bodies.into_iter();
    let bodies = bodies.map(|body| frame::Body::Mailbox(Mailbox { body: Some(body) }));
    let mut stream = Vec::new();
    for (number, body) in std::iter::once(hello).chain(bodies).enumerate() {
        let frame = Frame { body: Some(body) };
        let name = format!("mailbox_{number}");
        seed("wire_frame", &name, frame.encode_to_vec())?;
        stream.extend(frame.encode_length_delimited_to_vec());
    }
    seed("frame_stream", "mailbox", stream)
}

/// Frames between a provider and an owner or a depositor.
fn provider_frames() -> Vec<mailbox::Body> {
    let sealed = vec![2; 4_096];
    vec![
        mailbox::Body::RegisterBox(RegisterBox {
            invite_id: vec![3; 16].into(),
            proof: vec![4; 32].into(),
            box_key: vec![5; 32].into(),
        }),
        mailbox::Body::OpenBox(OpenBox {
            box_key: vec![5; 32].into(),
        }),
        mailbox::Body::RemoveBox(RemoveBox {}),
        mailbox::Body::LettersTaken(LettersTaken {
            nonces: vec![vec![1; 16].into(); 2],
        }),
        mailbox::Body::BoxState(BoxState {
            open: true,
            max_letters: 10_000,
            max_bytes: 64 << 20,
            reason: String::new(),
        }),
        mailbox::Body::Letter(Letter {
            nonce: vec![1; 16].into(),
            sealed: sealed.clone().into(),
        }),
        mailbox::Body::Deposit(Deposit {
            r#box: vec![6; 32].into(),
            token: vec![7; TOKEN_BYTES].into(),
            sealed: sealed.into(),
        }),
        mailbox::Body::Deposited(Deposited {
            nonce: vec![1; 16].into(),
            outcome: DepositOutcome::Stored.into(),
        }),
    ]
}

/// Frames between two contacts.
fn contact_frames() -> Vec<mailbox::Body> {
    let token = |byte: u8| TokenWithKey {
        token: vec![byte; TOKEN_BYTES].into(),
        key: one_time_key().public().to_bytes().into(),
    };
    vec![
        mailbox::Body::Offer(MailboxOffer {
            boxes: vec![OfferedBox {
                provider: vec![8; 32].into(),
                addresses: vec!["192.0.2.1:7000".to_owned()],
                series: vec![9; 8].into(),
            }],
        }),
        mailbox::Body::Tokens(MailboxTokens {
            series: vec![9; 8].into(),
            tokens: vec![token(1), token(2)],
        }),
        mailbox::Body::TokenReport(TokenReport {
            taken: vec![vec![1; 16].into(); 2],
            refused: vec![vec![2; 16].into()],
        }),
        mailbox::Body::SeriesHeld(SeriesHeld {
            series: vec![vec![9; 8].into()],
        }),
        mailbox::Body::LetterSecrets(LetterSecrets {
            stored: vec![1; 8].into(),
            seals_with: vec![2; 8].into(),
        }),
    ]
}

fn payloads() -> Result<()> {
    let content = Content {
        media_type: "text/plain".to_owned(),
        data: b"hello".to_vec().into(),
        reply_to: vec![2; 16].into(),
        thread: vec![3; 16].into(),
    };
    let bodies = [
        payload::Body::Content(content.clone()),
        payload::Body::Edit(Edit {
            message_id: vec![1; 16].into(),
            content: Some(content),
        }),
        payload::Body::Retract(Retract {
            message_id: vec![1; 16].into(),
        }),
        payload::Body::Read(Read {
            message_ids: vec![vec![1; 16].into(); 2],
        }),
        payload::Body::Skip(Skip {}),
        payload::Body::Reaction(Reaction {
            message_id: vec![1; 16].into(),
            text: "+1".to_owned(),
        }),
    ];
    for (number, body) in bodies.into_iter().enumerate() {
        let payload = Payload {
            sequence: 1,
            sent_ms: 1_800_000_000_000,
            ttl_s: 60,
            body: Some(body),
        };
        seed("payload", &number.to_string(), payload.encode_to_vec())?;
    }
    let notice = Payload {
        body: Some(payload::Body::Typing(Typing { active: true })),
        ..Payload::default()
    };
    seed("payload", "notice", notice.encode_to_vec())?;
    Ok(())
}

fn configs() -> Result<()> {
    seed("config", "empty", "")?;
    seed(
        "config",
        "test_daemon",
        "[network]\nlisten = [\"127.0.0.1:0\"]\n\n[lookup]\nlan = false\ndht = false\n",
    )?;
    seed("config", "unknown_key", "[network]\nlisten_on = 1\n")
}
