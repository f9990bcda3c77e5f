//! Splits input into lines of bounded length.

use m2_proto::limits::MAX_CONTENT_BYTES;

/// The longest content with the first byte of a line break of two.
const MAX_KEPT: usize = MAX_CONTENT_BYTES + 1;

/// A line without its line break.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line that fits into a message.
    Fits(Vec<u8>),
    /// A line that does not, and its length in bytes.
    TooLong(usize),
}

/// The line that is not complete yet. What exceeds the content of a message is counted and dropped.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    kept: Vec<u8>,
    length: usize,
}

impl Splitter {
    /// Takes bytes up to the end of the line. Returns how many it has taken, and the line if it is
    /// complete.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (usize, Option<Line>) {
        match bytes.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                self.add(bytes.get(..end).unwrap_or_default());
                (end + 1, Some(self.line()))
            }
            None => {
                self.add(bytes);
                (bytes.len(), None)
            }
        }
    }

    /// Returns the last line, if the input does not end with a line break.
    pub(super) fn end(&mut self) -> Option<Line> {
        (self.length > 0).then(|| self.line())
    }

    fn add(&mut self, bytes: &[u8]) {
        self.length = self.length.saturating_add(bytes.len());
        let room = MAX_KEPT.saturating_sub(self.kept.len());
        let fits = bytes.get(..room).unwrap_or(bytes);
        self.kept.extend_from_slice(fits);
    }

    fn line(&mut self) -> Line {
        let mut line = std::mem::take(&mut self.kept);
        let length = std::mem::take(&mut self.length);
        if length <= MAX_KEPT && line.last() == Some(&b'\r') {
            line.pop();
        }
        if length > MAX_KEPT || line.len() > MAX_CONTENT_BYTES {
            return Line::TooLong(length);
        }
        Line::Fits(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the lines of an input that arrives in pieces of this size.
    fn lines(input: &[u8], piece: usize) -> Vec<Line> {
        let mut splitter = Splitter::default();
        let mut lines = Vec::new();
        for mut bytes in input.chunks(piece) {
            while !bytes.is_empty() {
                let (taken, line) = splitter.take(bytes);
                lines.extend(line);
                bytes = &bytes[taken..];
            }
        }
        lines.extend(splitter.end());
        lines
    }

    #[test]
    fn lines_are_the_same_in_any_pieces() {
        let input = b"one\r\n\ntwo\rx\nthree";
        let expected = ["one", "", "two\rx", "three"].map(|line| Line::Fits(line.into()));
        for piece in 1..input.len() + 1 {
            assert_eq!(lines(input, piece), expected, "{piece}");
        }
        assert_eq!(lines(b"", 1), []);
        assert_eq!(lines(b"\n", 1), [Line::Fits(Vec::new())]);
    }

    #[test]
    fn the_longest_line_fits_with_any_line_break() {
        let longest = vec![b'x'; MAX_CONTENT_BYTES];
        for end in ["", "\n", "\r\n"] {
            let input = [&longest, end.as_bytes()].concat();
            assert_eq!(lines(&input, 4_096), [Line::Fits(longest.clone())]);
        }
        for (more, length) in [("x", 1), ("xx\n", 2), ("\rx\r\n", 3)] {
            let input = [&longest, more.as_bytes(), b"next"].concat();
            let line = lines(&input, 4_096).remove(0);
            if more.ends_with('\n') {
                assert_eq!(line, Line::TooLong(MAX_CONTENT_BYTES + length));
            } else {
                assert!(matches!(line, Line::TooLong(_)));
            }
        }
    }

    #[test]
    fn a_line_without_end_costs_no_memory() {
        let mut splitter = Splitter::default();
        for _ in 0..1_000 {
            assert_eq!(splitter.take(&[b'x'; 4_096]), (4_096, None));
        }
        assert!(splitter.kept.capacity() <= 2 * MAX_KEPT);
        assert_eq!(splitter.end(), Some(Line::TooLong(4_096_000)));
    }
}
