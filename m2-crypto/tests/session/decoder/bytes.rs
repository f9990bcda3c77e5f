//! Access to the fields of a file, and a reader of bytes.

use super::Bad;
use data_encoding::HEXLOWER;
use serde_json::Value;

pub(crate) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

pub(crate) fn at<'a>(value: &'a Value, field: &str) -> Result<&'a Value, Bad> {
    value.get(field).ok_or_else(|| format!("no field {field}"))
}

pub(crate) fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str, Bad> {
    let text = at(value, field)?.as_str();
    text.ok_or_else(|| format!("{field} is no text"))
}

pub(crate) fn list<'a>(value: &'a Value, field: &str) -> Result<&'a Vec<Value>, Bad> {
    let list = at(value, field)?.as_array();
    list.ok_or_else(|| format!("{field} is no list"))
}

pub(crate) fn unhex(value: &Value, field: &str) -> Result<Vec<u8>, Bad> {
    let bytes = HEXLOWER.decode(text(value, field)?.as_bytes());
    bytes.map_err(|_| format!("{field} is no hexadecimal text"))
}

/// Reads from the front of a slice.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Bad> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or("truncated")?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn number(&mut self, length: usize) -> Result<u64, Bad> {
        let bytes = self.take(length)?;
        Ok(bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// QUIC's variable-length integer (RFC 9000, section 16).
    pub(crate) fn quic(&mut self) -> Result<u64, Bad> {
        let length = 1_usize << (self.0.first().ok_or("truncated")? >> 6);
        let bits = 8 * length - 2;
        Ok(self.number(length)? & ((1 << bits) - 1))
    }

    /// Bytes after a length in QUIC's encoding.
    pub(crate) fn quic_bytes(&mut self) -> Result<&'a [u8], Bad> {
        let length = self.quic()?;
        self.take(length as usize)
    }

    /// protobuf's varint.
    pub(crate) fn varint(&mut self) -> Result<u64, Bad> {
        let mut value = 0;
        for place in 0..10 {
            let byte = self.number(1)?;
            value |= (byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a varint is too long".into())
    }

    /// The next field of a protobuf message: its number, and its contents with the bytes that it takes.
    pub(crate) fn field(&mut self) -> Result<(u64, Field<'a>), Bad> {
        let start = self.0;
        let tag = self.varint()?;
        let contents = match tag & 7 {
            0 => {
                self.varint()?;
                &[][..]
            }
            1 => self.take(8)?,
            2 => {
                let length = self.varint()?;
                self.take(length as usize)?
            }
            _ => return Err("a wire type that no message has".into()),
        };
        let whole = &start[..start.len() - self.0.len()];
        Ok((tag >> 3, Field { contents, whole }))
    }
}

/// A field of a protobuf message.
#[derive(Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) contents: &'a [u8],
    pub(crate) whole: &'a [u8],
}

/// Returns all fields of a protobuf message.
pub(crate) fn fields(message: &[u8]) -> Result<Vec<(u64, Field<'_>)>, Bad> {
    let mut bytes = Bytes(message);
    let mut fields = Vec::new();
    while !bytes.0.is_empty() {
        fields.push(bytes.field()?);
    }
    Ok(fields)
}

/// Returns the contents of the field with this number, empty if the message has none.
pub(crate) fn contents(message: &[u8], number: u64) -> Result<&[u8], Bad> {
    let found = fields(message)?
        .into_iter()
        .find(|(field, _)| *field == number);
    Ok(found.map_or(&[][..], |(_, field)| field.contents))
}

/// A stream that is put together from pieces at offsets.
#[derive(Default, Clone)]
pub(crate) struct Stream {
    bytes: Vec<u8>,
    present: Vec<bool>,
}

impl Stream {
    pub(crate) fn put(&mut self, offset: usize, piece: &[u8]) -> Result<(), Bad> {
        let end = offset + piece.len();
        if end > 1 << 24 {
            return Err("a stream is too long".into());
        }
        if end > self.bytes.len() {
            self.bytes.resize(end, 0);
            self.present.resize(end, false);
        }
        for (place, byte) in (offset..).zip(piece) {
            if self.present[place] && self.bytes[place] != *byte {
                return Err("a stream was sent with other bytes".into());
            }
            (self.bytes[place], self.present[place]) = (*byte, true);
        }
        Ok(())
    }

    /// Returns the bytes from `offset` up to the first gap.
    pub(crate) fn from(&self, offset: usize) -> &[u8] {
        let whole = self.present.iter().take_while(|present| **present).count();
        self.bytes.get(offset..whole).unwrap_or_default()
    }

    /// Returns whether no byte is missing.
    pub(crate) fn is_whole(&self) -> bool {
        self.present.iter().all(|present| *present)
    }
}
