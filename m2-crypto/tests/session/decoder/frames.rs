//! The frames of the two frame streams (docs/spec/wire.md#frames).

use super::Side;
use super::bytes::{Bytes, hex};
use super::{Bad, bytes};
use serde_json::{Value, json};

const NAMES: [&str; 12] = [
    "",
    "Hello",
    "Envelope",
    "Acks",
    "ContactRequest",
    "ContactReply",
    "EpochRefused",
    "Mailbox",
    "Line",
    "cover",
    "Reach",
    "Places",
];

/// One frame, with the body that it holds.
pub(crate) struct Frame {
    pub(crate) from: Side,
    pub(crate) field: u64,
    pub(crate) body: Vec<u8>,
    bytes: Vec<u8>,
}

/// Splits a stream into its frames.
pub(crate) fn split(from: Side, stream: &[u8]) -> Result<Vec<Frame>, Bad> {
    let mut rest = Bytes(stream);
    let mut frames = Vec::new();
    while !rest.0.is_empty() {
        let length = rest.varint()?;
        let frame = rest.take(length as usize)?;
        let fields = bytes::fields(frame)?;
        let [(field, body)] = fields.as_slice() else {
            return Err("a frame with another number of bodies than one".into());
        };
        frames.push(Frame {
            from,
            field: *field,
            body: body.contents.to_vec(),
            bytes: frame.to_vec(),
        });
    }
    Ok(frames)
}

pub(crate) fn values(frames: &[Frame]) -> Vec<Value> {
    let value = |frame: &Frame| {
        json!({
            "from": frame.from.name(),
            "body": NAMES.get(frame.field as usize),
            "frame": hex(&frame.bytes),
        })
    };
    frames.iter().map(value).collect()
}
