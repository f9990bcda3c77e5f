//! Replaces the `:authority` of every request on an HTTP/2 connection by a host name.
//!
//! gRPC libraries disagree on the `:authority` of a request over a Unix socket: some send
//! `localhost`, some the socket's path, either verbatim or percent-encoded. A path is not a valid
//! authority, so h2 resets the stream. The name has no meaning on a local socket; the filter
//! replaces it before h2 sees it (docs/adr/0012-any-authority.md).
//!
//! The filter takes the bytes that a client sends ([`AuthorityFilter::push`]) and emits the bytes
//! that the server reads. It changes only header blocks. Input that it can't parse passes
//! unchanged: h2 alone decides what is valid.

// The module is named by path because a fuzz target includes this file by its path.
#[path = "authority/block.rs"]
mod block;

/// The length of the client's connection preface, `PRI * HTTP/2.0` up to the empty line after `SM`.
const PREFACE_LENGTH: usize = 24;
const HEAD_LENGTH: usize = 9;
/// The largest payload that the server allows in a frame.
const MAX_PAYLOAD: usize = 16_384;
/// The maximum number of bytes held back until a header block is complete. The server accepts
/// header lists of 16 KiB.
const MAX_HELD: usize = 4 * MAX_PAYLOAD;

const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// The filter of one connection.
#[derive(Debug)]
pub struct AuthorityFilter {
    /// The number of bytes that pass unchanged before the next frame begins.
    passing: usize,
    /// The frames of an incomplete header block, or the beginning of a frame.
    held: Vec<u8>,
    /// The offset of the last frame in `held`.
    frame: usize,
}

/// A frame header.
#[derive(Debug, Clone, Copy)]
struct Head {
    length: usize,
    kind: u8,
    flags: u8,
    stream: [u8; 4],
}

/// The parts of a HEADERS frame's payload.
struct Payload<'a> {
    /// The padding length and the priority fields.
    before: &'a [u8],
    fragment: &'a [u8],
    padding: &'a [u8],
}

impl Default for AuthorityFilter {
    fn default() -> Self {
        Self {
            passing: PREFACE_LENGTH,
            held: Vec::new(),
            frame: 0,
        }
    }
}

impl AuthorityFilter {
    /// Takes bytes from the client and appends the bytes for the server to `out`.
    pub fn push(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        while !input.is_empty() {
            if self.passing > 0 {
                let (now, rest) = input.split_at(self.passing.min(input.len()));
                out.extend_from_slice(now);
                self.passing -= now.len();
                input = rest;
            } else {
                input = self.hold(input, out);
            }
        }
    }

    /// Ends the client's input: appends all bytes that were held back to `out` unchanged.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        self.release(out);
    }

    /// Completes the current frame as far as `input` goes; returns the rest of `input`.
    fn hold<'a>(&mut self, input: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let Some(head) = self.current() else {
            let have = self.held.len() - self.frame;
            let (now, rest) = input.split_at((HEAD_LENGTH - have).min(input.len()));
            self.held.extend_from_slice(now);
            if let Some(head) = self.current() {
                self.begin(head, out);
            }
            return rest;
        };
        let have = self.held.len() - self.frame;
        let missing = (HEAD_LENGTH + head.length).saturating_sub(have);
        let (now, rest) = input.split_at(missing.min(input.len()));
        self.held.extend_from_slice(now);
        if now.len() == missing {
            self.complete(head, out);
        }
        rest
    }

    /// Handles a complete frame header. A frame that does not belong to a header block passes
    /// unchanged.
    fn begin(&mut self, head: Head, out: &mut Vec<u8>) {
        let continues = self.frame > 0;
        let expected = if continues { CONTINUATION } else { HEADERS };
        let belongs = head.kind == expected
            && head.length <= MAX_PAYLOAD
            && self.held.len() + head.length <= MAX_HELD
            && self
                .first()
                .is_some_and(|first| first.stream == head.stream);
        if !belongs {
            self.release(out);
            self.passing = head.length;
        } else if head.length == 0 {
            self.complete(head, out);
        }
    }

    /// Handles a complete frame of a header block.
    fn complete(&mut self, head: Head, out: &mut Vec<u8>) {
        if head.flags & END_HEADERS == 0 {
            self.frame = self.held.len();
            return;
        }
        if let Some(frames) = rewritten(&self.held) {
            out.extend_from_slice(&frames);
            self.held.clear();
            self.frame = 0;
        } else {
            self.release(out);
        }
    }

    fn release(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
        self.frame = 0;
    }

    fn first(&self) -> Option<Head> {
        Head::parse(&self.held)
    }

    /// Returns the header of the current frame once it is complete.
    fn current(&self) -> Option<Head> {
        Head::parse(self.held.get(self.frame..)?)
    }
}

impl Head {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, stream @ ..] = bytes.first_chunk::<HEAD_LENGTH>()?;
        Some(Self {
            length: usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c),
            kind: *kind,
            flags: *flags,
            stream: *stream,
        })
    }

    /// Writes a frame with this header's stream id.
    fn write(self, kind: u8, flags: u8, payload: &[&[u8]], out: &mut Vec<u8>) -> Option<()> {
        let length: usize = payload.iter().map(|part| part.len()).sum();
        if length > MAX_PAYLOAD {
            return None;
        }
        let [.., a, b, c] = length.to_be_bytes();
        out.extend_from_slice(&[a, b, c, kind, flags]);
        out.extend_from_slice(&self.stream);
        payload.iter().for_each(|part| out.extend_from_slice(part));
        Some(())
    }
}

impl<'a> Payload<'a> {
    fn parse(flags: u8, payload: &'a [u8]) -> Option<Self> {
        let mut before = 0;
        let mut padding = 0;
        if flags & PADDED != 0 {
            padding = usize::from(*payload.first()?);
            before = 1;
        }
        if flags & PRIORITY != 0 {
            before += 5;
        }
        let (before, rest) = payload.split_at_checked(before)?;
        let (fragment, padding) = rest.split_at_checked(rest.len().checked_sub(padding)?)?;
        Some(Self {
            before,
            fragment,
            padding,
        })
    }
}

/// Returns the frames of a complete header block with another authority, or `None` if they must
/// stay unchanged.
fn rewritten(frames: &[u8]) -> Option<Vec<u8>> {
    let first = Head::parse(frames)?;
    let (payload, rest) = frames.get(HEAD_LENGTH..)?.split_at_checked(first.length)?;
    let payload = Payload::parse(first.flags, payload)?;
    let whole = block::rewrite(&joined(payload.fragment, rest)?)?;
    // A block in one frame stays in one frame; a block in several frames is split at the same place
    // as before.
    let at = match first.flags & END_HEADERS {
        0 => payload.fragment.len().min(whole.len()),
        _ => whole.len(),
    };
    let (begin, rest) = whole.split_at(at);
    let ends = if rest.is_empty() { END_HEADERS } else { 0 };
    let parts = [payload.before, begin, payload.padding];
    let mut out = Vec::with_capacity(frames.len() + 1);
    first.write(HEADERS, first.flags | ends, &parts, &mut out)?;
    write_continuations(&first, rest, &mut out)?;
    Some(out)
}

/// Returns a header block: its first fragment, and those of the continuation frames.
fn joined(first: &[u8], mut continuations: &[u8]) -> Option<Vec<u8>> {
    let mut whole = first.to_vec();
    while !continuations.is_empty() {
        let head = Head::parse(continuations)?;
        let payload = continuations.get(HEAD_LENGTH..)?;
        let (fragment, after) = payload.split_at_checked(head.length)?;
        whole.extend_from_slice(fragment);
        continuations = after;
    }
    Some(whole)
}

/// Writes the rest of a header block in continuation frames.
fn write_continuations(first: &Head, mut rest: &[u8], out: &mut Vec<u8>) -> Option<()> {
    while !rest.is_empty() {
        let (now, after) = rest.split_at(rest.len().min(MAX_PAYLOAD));
        let ends = if after.is_empty() { END_HEADERS } else { 0 };
        first.write(CONTINUATION, ends, &[now], out)?;
        rest = after;
    }
    Some(())
}

#[cfg(test)]
#[path = "authority/tests.rs"]
mod tests;
