use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PATH: &[u8] = b"\x83\x86\x44\x02/x";

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let [.., a, b, c] = payload.len().to_be_bytes();
    let head = [a, b, c, kind, flags, 0, 0, 0, stream];
    [&head, payload].concat()
}

fn authority(value: &[u8]) -> Vec<u8> {
    [&[0x41, value.len() as u8], value].concat()
}

fn block(value: &[u8]) -> Vec<u8> {
    [PATH, &authority(value)].concat()
}

/// Returns the output for `frames` after a preface, pushed in pieces of `step` bytes.
fn filtered(frames: &[u8], step: usize) -> Vec<u8> {
    let mut filter = AuthorityFilter::default();
    let mut out = Vec::new();
    for piece in [PREFACE, frames].concat().chunks(step) {
        filter.push(piece, &mut out);
    }
    filter.end(&mut out);
    out.strip_prefix(PREFACE).unwrap().to_vec()
}

fn becomes(frames: &[u8], wanted: &[u8]) {
    for step in [1, 2, 3, 7, 10, 64, 100_000] {
        assert_eq!(filtered(frames, step), wanted, "in pieces of {step}");
    }
}

#[test]
fn the_authority_of_each_request_is_replaced() {
    let settings = frame(4, 0, 0, &[0, 3, 0, 0, 0, 100]);
    let data = frame(0, 1, 1, b"\x41\x01/ is no header here");
    let requests = |host: &[u8]| {
        let first = frame(HEADERS, END_HEADERS, 1, &block(host));
        // The second request refers to the first one's entry in the dynamic table.
        let second = frame(HEADERS, END_HEADERS, 3, b"\x83\x86\xbe");
        [&settings[..], &first, &data, &second].concat()
    };
    becomes(&requests(b"%2Frun%2Fuser%2F0"), &requests(b"m"));
}

#[test]
fn padding_and_priority_are_kept() {
    let payload = |host: &[u8]| [&[4, 0, 0, 0, 0, 16], &block(host)[..], &[0; 4]].concat();
    let flags = END_HEADERS | PADDED | PRIORITY;
    let request = |host: &[u8]| frame(HEADERS, flags, 1, &payload(host));
    becomes(&request(b"/run/m2d.sock"), &request(b"m"));
}

#[test]
fn a_block_in_several_frames_is_one_block() {
    let whole = block(b"/run/m2d.sock");
    // The split is inside the value.
    let (one, two) = whole.split_at(whole.len() - 5);
    let frames = [
        frame(HEADERS, 0, 1, one),
        frame(CONTINUATION, 0, 1, b""),
        frame(CONTINUATION, END_HEADERS, 1, two),
        frame(0, 1, 1, b"body"),
    ]
    .concat();
    let wanted = [
        frame(HEADERS, END_HEADERS, 1, &block(b"m")),
        frame(0, 1, 1, b"body"),
    ]
    .concat();
    becomes(&frames, &wanted);
    // If the part before the authority exceeds the first frame, the rest goes into CONTINUATION
    // frames.
    let long = [&[0x40, 1, b'a', 0x7f, 0x01], &[b'x'; 128][..]].concat();
    let cut = |host: &[u8]| {
        let whole = [&long[..], &authority(host)].concat();
        let (one, two) = whole.split_at(20);
        [
            frame(HEADERS, 0, 1, one),
            frame(CONTINUATION, END_HEADERS, 1, two),
        ]
        .concat()
    };
    becomes(&cut(b"/run/m2d.sock"), &cut(b"m"));
}

#[test]
fn input_that_violates_the_protocol_passes_unchanged() {
    let begun = frame(HEADERS, 0, 1, &block(b"/x"));
    let broken = [
        // A frame of another type, of another stream, or the end of input inside a block.
        [&begun[..], &frame(0, 0, 1, b"data")].concat(),
        [&begun[..], &frame(CONTINUATION, END_HEADERS, 3, b"")].concat(),
        begun.clone(),
        // More padding than payload.
        frame(HEADERS, END_HEADERS | PADDED, 1, &[200, 0x41, 1, b'/']),
        // Larger than the server allows.
        frame(HEADERS, END_HEADERS, 1, &vec![0; MAX_PAYLOAD + 1]),
        // A CONTINUATION frame without a block, and half a frame header.
        frame(CONTINUATION, END_HEADERS, 1, &block(b"/x")),
        vec![0, 0, 9, 1],
    ];
    for frames in broken {
        becomes(&frames, &frames);
    }
}

#[test]
fn the_bytes_held_back_are_bounded() {
    let mut filter = AuthorityFilter::default();
    let mut out = Vec::new();
    filter.push(PREFACE, &mut out);
    filter.push(&frame(HEADERS, 0, 1, &[0; MAX_PAYLOAD]), &mut out);
    for _ in 0..1_000 {
        filter.push(&frame(CONTINUATION, 0, 1, &[0; 1_000]), &mut out);
        assert!(filter.held.len() <= MAX_HELD + HEAD_LENGTH);
    }
    let sent = PREFACE.len() + MAX_PAYLOAD + HEAD_LENGTH + 1_000 * (1_000 + HEAD_LENGTH);
    filter.end(&mut out);
    assert_eq!(out.len(), sent);
}
