//! The frames of QUIC packets (RFC 9000, section 19), and transport parameters.

use super::Bad;
use super::bytes::{Bytes, hex};
use serde_json::{Value, json};

/// A frame that carries bytes of a stream: CRYPTO, or STREAM with its id.
pub(crate) struct Piece<'a> {
    pub(crate) stream: Option<u64>,
    pub(crate) offset: u64,
    pub(crate) bytes: &'a [u8],
}

/// Returns a description of each frame of a packet, and the frames that carry bytes.
pub(crate) fn frames(payload: &[u8]) -> Result<(Vec<String>, Vec<Piece<'_>>), Bad> {
    let mut bytes = Bytes(payload);
    let (mut texts, mut pieces) = (Vec::new(), Vec::new());
    while !bytes.0.is_empty() {
        let kind = bytes.quic()?;
        texts.push(match kind {
            0x00 => {
                let more = bytes.0.iter().take_while(|byte| **byte == 0).count();
                bytes.take(more)?;
                format!("PADDING {}", more + 1)
            }
            0x02 | 0x03 => acknowledged(kind, &mut bytes)?,
            0x06 => {
                let (offset, carried) = (bytes.quic()?, bytes.quic_bytes()?);
                pieces.push(Piece {
                    stream: None,
                    offset,
                    bytes: carried,
                });
                format!("CRYPTO {offset} to {}", offset + carried.len() as u64)
            }
            0x08..=0x0f => {
                let (text, piece) = stream(kind, &mut bytes)?;
                pieces.push(piece);
                text
            }
            _ => other(kind, &mut bytes)?,
        });
    }
    Ok((texts, pieces))
}

fn stream<'a>(kind: u64, bytes: &mut Bytes<'a>) -> Result<(String, Piece<'a>), Bad> {
    let id = bytes.quic()?;
    let offset = match kind & 4 {
        0 => 0,
        _ => bytes.quic()?,
    };
    let carried = match kind & 2 {
        0 => bytes.take(bytes.0.len())?,
        _ => bytes.quic_bytes()?,
    };
    let end = if kind & 1 == 0 { "" } else { ", end" };
    let to = offset + carried.len() as u64;
    let piece = Piece {
        stream: Some(id),
        offset,
        bytes: carried,
    };
    Ok((format!("STREAM {id}, {offset} to {to}{end}"), piece))
}

fn acknowledged(kind: u64, bytes: &mut Bytes<'_>) -> Result<String, Bad> {
    let (largest, _delay, count, first) =
        (bytes.quic()?, bytes.quic()?, bytes.quic()?, bytes.quic()?);
    let mut smallest = largest.checked_sub(first).ok_or("an ACK range")?;
    let mut text = format!("ACK {smallest} to {largest}");
    for _ in 0..count {
        let (gap, length) = (bytes.quic()?, bytes.quic()?);
        let to = smallest.checked_sub(gap + 2).ok_or("an ACK range")?;
        smallest = to.checked_sub(length).ok_or("an ACK range")?;
        text += &format!(", {smallest} to {to}");
    }
    if kind == 3 {
        bytes.quic()?;
        bytes.quic()?;
        bytes.quic()?;
    }
    Ok(text)
}

fn other(kind: u64, bytes: &mut Bytes<'_>) -> Result<String, Bad> {
    Ok(match kind {
        0x01 => "PING".into(),
        0x10 => format!("MAX_DATA {}", bytes.quic()?),
        0x11 => format!("MAX_STREAM_DATA {}, {}", bytes.quic()?, bytes.quic()?),
        0x12 => format!("MAX_STREAMS bidirectional {}", bytes.quic()?),
        0x13 => format!("MAX_STREAMS unidirectional {}", bytes.quic()?),
        0x18 => {
            let (number, retired) = (bytes.quic()?, bytes.quic()?);
            let length = bytes.number(1)?;
            let id = bytes.take(length as usize)?;
            bytes.take(16)?;
            format!(
                "NEW_CONNECTION_ID {number}, retire below {retired}, {}",
                hex(id)
            )
        }
        0x19 => format!("RETIRE_CONNECTION_ID {}", bytes.quic()?),
        0x1a => format!("PATH_CHALLENGE {}", hex(bytes.take(8)?)),
        0x1b => format!("PATH_RESPONSE {}", hex(bytes.take(8)?)),
        0x1c => {
            let (code, about) = (bytes.quic()?, bytes.quic()?);
            let reason = bytes.quic_bytes()?;
            format!(
                "CONNECTION_CLOSE {code:#x}, frame {about}, reason {}",
                hex(reason)
            )
        }
        0x1d => {
            let (code, reason) = (bytes.quic()?, bytes.quic_bytes()?);
            format!(
                "CONNECTION_CLOSE application {code}, reason '{}'",
                hex(reason)
            )
        }
        0x1e => "HANDSHAKE_DONE".into(),
        0x1f => "IMMEDIATE_ACK".into(),
        _ => return Err(format!("a frame of type {kind:#x}")),
    })
}

/// Returns the transport parameters (RFC 9000, section 18) as pairs of id and value.
pub(crate) fn transport_parameters(encoded: &[u8]) -> Result<Value, Bad> {
    let mut bytes = Bytes(encoded);
    let mut list = Vec::new();
    while !bytes.0.is_empty() {
        let id = bytes.quic()?;
        // Reserved ids do not fit into a JSON number.
        list.push(json!({ "id": id.to_string(), "value": hex(bytes.quic_bytes()?) }));
    }
    Ok(list.into())
}
