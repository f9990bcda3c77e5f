use super::*;

const ID: MessageId = MessageId([1; 16]);

fn payload(body: Body) -> Payload {
    Payload {
        sequence: 7,
        sent: Time(1_000),
        ttl_s: 60,
        body,
        as_sent: None,
    }
}

/// Parses a payload with a time to live of 60 s and these further fields.
fn with(fields: &[u8]) -> Payload {
    let mut bytes = wire::Payload {
        sequence: 7,
        ttl_s: 60,
        ..wire::Payload::default()
    }
    .encode_to_vec();
    bytes.extend_from_slice(fields);
    Payload::parse(bytes.into()).unwrap()
}

#[test]
fn every_body_survives_the_wire_with_its_hash() {
    let content = || Content::new("", &b"hello"[..]).unwrap();
    for body in [
        Body::Content(content()),
        Body::Content(content().about(Some(ID), Some(MessageId([2; 16])))),
        Body::Edit {
            target: ID,
            content: content(),
        },
        Body::Retract { target: ID },
        Body::Read { targets: vec![ID] },
        Body::Reaction {
            target: ID,
            text: "x".repeat(MAX_REACTION),
        },
    ] {
        let sent = payload(body);
        let received = Payload::parse(sent.encode().into()).unwrap();
        assert_eq!(received, sent);
        assert_eq!(received.hash(&ID), sent.hash(&ID));
    }
}

/// The sender, which knows the body, computes the hash of the bytes that it sent.
#[test]
fn what_a_later_version_sent_keeps_its_hash() {
    // Field 15, then content with the text hello and a field 15 of its own.
    let body = b"\x7a\x03abc";
    let content = b"\x22\x0c\x12\x05hello\x7a\x03abc";
    let unknown = with(body);
    assert_eq!(unknown.body, Body::Unknown);
    let extended = with(content);
    assert!(matches!(&extended.body, Body::Content(content) if content.data() == "hello"));
    // A field that accompanies a body: number 32.
    let accompanied = [&content[..], b"\x82\x02\x03abc"].concat();
    let both = with(&accompanied);
    assert!(matches!(&both.body, Body::Content(_)));
    for (received, fields) in [
        (&unknown, body.to_vec()),
        (&extended, content.to_vec()),
        (&both, accompanied.clone()),
    ] {
        let said = [&b"\x18\x3c"[..], &fields].concat();
        let hash = ContentHash(content_hash(&ID.0, &said));
        assert_eq!(received.hash(&ID), hash);
        let again = Payload::parse(received.encode().into()).unwrap();
        assert_eq!((again.hash(&ID), again.body), (hash, received.body.clone()));
        assert_eq!(
            (again.sequence, again.ttl_s),
            (7, 60),
            "also after it was stored"
        );
    }
}

#[test]
fn a_payload_without_exactly_one_body_is_malformed() {
    for bytes in [
        &b"\x08\x01"[..],
        b"\x08\x01\x18\x3c",
        b"\x08\x01\x48\x01",
        // Only a field that accompanies a body.
        b"\x08\x01\x82\x02\x01a",
        // Two bodies: two skips, a skip and an unknown one.
        b"\x08\x01\x42\x00\x42\x00",
        b"\x08\x01\x42\x00\x7a\x00",
    ] {
        let parsed = Payload::parse(Bytes::from_static(bytes));
        assert_eq!(parsed, Err(PayloadError::Encoding));
    }
}

#[test]
fn an_unknown_body_or_a_long_reaction_is_no_draft() {
    let long = Body::Reaction {
        target: ID,
        text: "x".repeat(MAX_REACTION + 1),
    };
    assert_eq!(long.check_draft(), Err(PayloadError::Reaction));
    assert_eq!(Body::Unknown.check_draft(), Err(PayloadError::Skip));
}
