//! A recording with one altered digit is not accepted.

use super::{FILES, check, decoder, recording};
use m2_crypto::provider::default;
use serde_json::{Value, json};

/// Returns the places of all values in a file that can be altered, as JSON pointers.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                leaves(value, &format!("{path}/{name}"), found);
            }
        }
        Value::Array(values) => {
            for (place, value) in values.iter().enumerate() {
                leaves(value, &format!("{path}/{place}"), found);
            }
        }
        Value::String(text) if text.is_empty() => {}
        Value::String(_) | Value::Number(_) => found.push(path.to_owned()),
        _ => {}
    }
}

/// Alters one digit of a value, at a place that depends on `seed`.
fn alter(value: &mut Value, seed: usize) {
    match value {
        Value::String(text) => {
            let at = seed * 7_919 % text.len();
            let digit = if text.as_bytes()[at] == b'0' {
                "1"
            } else {
                "0"
            };
            text.replace_range(at..=at, digit);
        }
        Value::Number(number) => *value = (number.as_u64().unwrap() + 1).into(),
        _ => unreachable!("no leaf"),
    }
}

#[test]
fn an_altered_digit_of_any_value_is_noticed() {
    for name in FILES {
        let file = recording(name);
        let derived = decoder::decode(&file, default()).unwrap();
        // What is derived depends on the inputs alone.
        let inputs = json!({ "given": file["given"], "sent": file["sent"] });
        let from_inputs = decoder::decode(&inputs, default()).unwrap();
        assert!(derived == from_inputs, "{name}");
        let mut places = Vec::new();
        leaves(&file, "", &mut places);
        for (seed, place) in places.iter().enumerate() {
            let mut altered = file.clone();
            alter(altered.pointer_mut(place).unwrap(), seed);
            // So an altered file has the same derived values as this one.
            let is_input = place.starts_with("/given") || place.starts_with("/sent");
            let noticed = match is_input {
                true => check(&altered, default()).is_err(),
                false => derived != altered,
            };
            assert!(noticed, "{name}: {place}");
        }
        assert!(places.len() > 200, "{}", places.len());
    }
}

#[test]
fn altered_digits_of_the_inputs_are_noticed_wherever_they_are() {
    let file = recording(FILES[0]);
    let inputs = ["/given/initiatorSessionKey", "/given/responderSessionKey"];
    for input in inputs.map(str::to_owned) {
        for (field, step) in [("rsa", 97), ("kemSeed", 9)] {
            let place = format!("{input}/{field}");
            let length = file.pointer(&place).unwrap().as_str().unwrap().len();
            for at in (0..length).step_by(step) {
                let mut altered = file.clone();
                let Some(Value::String(text)) = altered.pointer_mut(&place) else {
                    panic!("{place}");
                };
                let digit = if text.as_bytes()[at] == b'0' {
                    "1"
                } else {
                    "0"
                };
                text.replace_range(at..=at, digit);
                assert!(check(&altered, default()).is_err(), "{place} {at}");
            }
        }
    }
}
