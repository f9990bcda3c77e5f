//! Fixed vectors as JSON files. `M2_WRITE_VECTORS=1` regenerates them.

use data_encoding::HEXLOWER;
use serde_json::Value;

fn path(name: &str) -> String {
    format!("{}/../tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"))
}

pub fn read(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path(name)).unwrap()).unwrap()
}

/// Returns vectors that contain nothing random: the code must reproduce the file exactly.
pub fn load_exact(name: &str, generate: impl Fn() -> Value) -> Value {
    if std::env::var_os("M2_WRITE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(&generate()).unwrap() + "\n";
        std::fs::write(path(name), text).unwrap();
    }
    assert_eq!(
        read(name),
        generate(),
        "{name} differs from the code's output"
    );
    read(name)
}

pub fn hex(bytes: impl AsRef<[u8]>) -> Value {
    HEXLOWER.encode(bytes.as_ref()).into()
}

pub fn unhex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

/// protobuf's varint.
pub fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A field with a number.
pub fn n(field: u64, number: u64) -> Vec<u8> {
    [varint(field << 3), varint(number)].concat()
}

/// A field with a fixed64.
pub fn fixed(field: u64, number: u64) -> Vec<u8> {
    [varint(field << 3 | 1), number.to_le_bytes().to_vec()].concat()
}

/// A field with bytes, a text or a message.
pub fn f(field: u64, contents: impl AsRef<[u8]>) -> Vec<u8> {
    let contents = contents.as_ref();
    let length = varint(contents.len() as u64);
    [&varint(field << 3 | 2)[..], &length, contents].concat()
}

/// A field with a message of these fields.
pub fn m(field: u64, fields: &[Vec<u8>]) -> Vec<u8> {
    f(field, fields.concat())
}
