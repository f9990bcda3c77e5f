//! The table of docs/spec/sequence.md says what the recording holds.

use super::{path, recording};
use serde_json::Value;

/// Returns sender, size and packet types of a datagram, as the page has them.
fn row(number: usize, datagram: &Value) -> [String; 4] {
    let packets = datagram["packets"].as_array().unwrap().iter();
    let packet = |packet: &Value| match packet["number"].as_u64() {
        Some(number) => format!("{} {number}", packet["type"].as_str().unwrap()),
        None => packet["type"].as_str().unwrap().to_owned(),
    };
    let from = match datagram["from"].as_str().unwrap() {
        "initiator" => "I",
        _ => "R",
    };
    let size = datagram["bytes"].as_u64().unwrap();
    let packets: Vec<_> = packets.map(packet).collect();
    [
        number.to_string(),
        from.to_owned(),
        size.to_string(),
        packets.join(", "),
    ]
}

#[test]
fn the_page_describes_the_recorded_datagrams() {
    let page = std::fs::read_to_string(path("docs/spec/sequence.md")).unwrap();
    let cells = |line: &str| -> Vec<String> {
        let cells = line.split('|').map(|cell| cell.trim().to_owned());
        cells.skip(1).take(4).collect()
    };
    let rows = page.lines().map(cells);
    let is_datagram = |row: &Vec<String>| matches!(row.get(1).map(String::as_str), Some("I" | "R"));
    let rows: Vec<_> = rows.filter(is_datagram).collect();
    let file = recording("session.json");
    let datagrams = file["datagrams"].as_array().unwrap().iter().enumerate();
    let expected: Vec<_> = datagrams.map(|(number, one)| row(number, one)).collect();
    let text: Vec<_> = expected.iter().map(|row| row.join(" | ")).collect();
    assert_eq!(
        rows,
        expected,
        "the page must have:\n| {}",
        text.join(" |\n| ")
    );
}
