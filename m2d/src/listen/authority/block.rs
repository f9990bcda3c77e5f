//! A minimal HPACK reader (RFC 7541) that replaces `:authority` in a header block.
//!
//! The block is not decoded. The reader steps over its fields one by one and replaces the value of
//! every `:authority` by a name of one letter. Fields that enter the dynamic table still do, in the
//! same order, and no entry grows (except an empty authority, by one byte). So the server's table
//! holds at least the entries of the client's table, and every index has the same meaning on both
//! sides.

/// The replacement name, short so that no entry of the dynamic table grows.
const HOST: u8 = b'm';

/// The index of `:authority` with an empty value in the static table.
const STATIC_INDEX: usize = 1;
const NAME: &[u8] = b":authority";
/// `:authority` in the Huffman code of RFC 7541.
const HUFFMAN_NAME: &[u8] = &[0xb8, 0x3b, 0x53, 0x39, 0xec, 0x32, 0x7d, 0x7f];

const INDEXED: u8 = 0x80;
const WITH_INDEXING: u8 = 0x40;
const SIZE_UPDATE: u8 = 0x20;
const HUFFMAN: u8 = 0x80;

/// Returns the block with another authority, or `None` if it contains no authority or is malformed.
pub(super) fn rewrite(block: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader { block, at: 0 };
    let mut out = Vec::with_capacity(block.len() + 1);
    let mut found = false;
    while let Some(first) = reader.peek() {
        let start = reader.at;
        let value = reader.field(first)?;
        match value {
            Value::Other => out.extend_from_slice(block.get(start..reader.at)?),
            // A literal without indexing: the indexed field would not have entered the table
            // either.
            Value::EmptyAuthority => out.extend_from_slice(&[STATIC_INDEX as u8, 1, HOST]),
            Value::AuthorityFrom(at) => {
                out.extend_from_slice(block.get(start..at)?);
                out.extend_from_slice(&[1, HOST]);
            }
        }
        found |= !matches!(value, Value::Other);
    }
    found.then_some(out)
}

/// The kinds of fields.
enum Value {
    Other,
    /// The authority, with the empty value of the static table.
    EmptyAuthority,
    /// The authority, with a value that begins at this offset.
    AuthorityFrom(usize),
}

struct Reader<'a> {
    block: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.block.get(self.at).copied()
    }

    /// Steps over a field that begins with the byte `first`.
    fn field(&mut self, first: u8) -> Option<Value> {
        if first & INDEXED != 0 {
            let index = self.integer(7)?;
            return Some(match index {
                STATIC_INDEX => Value::EmptyAuthority,
                _ => Value::Other,
            });
        }
        if first & WITH_INDEXING != 0 {
            return self.literal(6);
        }
        if first & SIZE_UPDATE != 0 {
            self.integer(5)?;
            return Some(Value::Other);
        }
        self.literal(4)
    }

    fn literal(&mut self, prefix: u32) -> Option<Value> {
        let is_authority = match self.integer(prefix)? {
            0 => matches!(self.string()?, (false, NAME) | (true, HUFFMAN_NAME)),
            index => index == STATIC_INDEX,
        };
        let value = self.at;
        self.string()?;
        Some(match is_authority {
            true => Value::AuthorityFrom(value),
            false => Value::Other,
        })
    }

    /// Reads a string. Returns whether it is Huffman-encoded and its raw bytes.
    fn string(&mut self) -> Option<(bool, &'a [u8])> {
        let is_huffman = self.peek()? & HUFFMAN != 0;
        let length = self.integer(7)?;
        let end = self.at.checked_add(length)?;
        let bytes = self.block.get(self.at..end)?;
        self.at = end;
        Some((is_huffman, bytes))
    }

    /// Reads an integer with a prefix of `prefix` bits.
    fn integer(&mut self, prefix: u32) -> Option<usize> {
        let most = (1_usize << prefix) - 1;
        let mut value = usize::from(self.peek()?) & most;
        self.at += 1;
        if value < most {
            return Some(value);
        }
        // Four bytes exceed the size of any block here.
        for shift in [0, 7, 14, 21] {
            let byte = self.peek()?;
            self.at += 1;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::rewrite;

    /// Returns a literal field with a name from the static table: the byte `first`, then the value.
    fn literal(first: u8, value: &[u8]) -> Vec<u8> {
        [&[first, value.len() as u8], value].concat()
    }

    #[test]
    fn every_form_of_the_authority_is_replaced() {
        let path = b"%2Frun%2Fm2d.sock";
        // With incremental indexing, without indexing, and never indexed.
        for first in [0x41, 0x01, 0x11] {
            let replaced = rewrite(&literal(first, path));
            assert_eq!(replaced, Some(literal(first, b"m")));
        }
        assert_eq!(rewrite(&[0x81]), Some(literal(0x01, b"m")));
        assert_eq!(rewrite(&[0x41, 0]), Some(literal(0x41, b"m")));
        // In the Huffman code.
        assert_eq!(rewrite(&[0x41, 0x81, 0x07]), Some(literal(0x41, b"m")));
        // With the name as a literal, plain and in the Huffman code.
        let name = [b"\x40\x0a:authority".as_slice(), &[3, b'/', b'r', b's']].concat();
        let wanted = [b"\x40\x0a:authority".as_slice(), &[1, b'm']].concat();
        assert_eq!(rewrite(&name), Some(wanted));
        let huffman = b"\x40\x88\xb8\x3b\x53\x39\xec\x32\x7d\x7f";
        let name = [huffman.as_slice(), &[1, b'/']].concat();
        let wanted = [huffman.as_slice(), &[1, b'm']].concat();
        assert_eq!(rewrite(&name), Some(wanted));
    }

    #[test]
    fn all_other_fields_are_unchanged() {
        // :method POST, :scheme http, a size update, :path /x, te: trailers by two literals.
        let before = [0x83, 0x86, 0x3f, 0xe1, 0x1f, 0x44, 2, b'/', b'x'];
        let after = b"\x40\x02te\x08trailers\x10\x01a\x01b";
        let block = [&before[..], &literal(0x41, b"/run/s"), after].concat();
        let wanted = [&before[..], &literal(0x41, b"m"), after].concat();
        assert_eq!(rewrite(&block), Some(wanted));
    }

    #[test]
    fn a_block_without_an_authority_or_a_malformed_one_is_unchanged() {
        let broken: [&[u8]; 8] = [
            b"",
            b"\x82\x86",
            b"\x41",
            b"\x41\x05abc",
            b"\x41\x7f\xff\xff\xff\xff\xff\x01",
            b"\x40\x0a:auth",
            b"\xff",
            b"\x81\x41\x7f",
        ];
        for block in broken {
            assert_eq!(rewrite(block), None, "{block:x?}");
        }
    }
}
