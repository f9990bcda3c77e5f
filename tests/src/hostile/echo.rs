//! Whether datagrams belong together by what they repeat of each other.

use std::collections::HashMap;

/// Bytes in a row that chance does not repeat: among five million of them two are the same with
/// a chance of one in a million.
const ECHO: usize = 8;

/// Pairs of datagrams, the earlier one first, of which the later repeats `ECHO` bytes in a row,
/// wherever they stand. For each later one the first such pair.
pub fn echoes(datagrams: &[&[u8]]) -> Vec<(usize, usize)> {
    let mut seen: HashMap<[u8; ECHO], usize> = HashMap::new();
    let mut found = Vec::new();
    for (place, datagram) in datagrams.iter().enumerate() {
        let earlier = strings(datagram).find_map(|string| seen.get(&string).copied());
        found.extend(earlier.map(|earlier| (earlier, place)));
        for string in strings(datagram) {
            seen.entry(string).or_insert(place);
        }
    }
    found
}

fn strings(datagram: &[u8]) -> impl Iterator<Item = [u8; ECHO]> {
    datagram
        .windows(ECHO)
        .filter_map(|window| window.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::super::Noise;
    use super::*;

    #[test]
    fn an_echo_is_found_wherever_it_stands() {
        let mut noise = Noise::new(31);
        let mut datagrams: Vec<_> = (0..200).map(|_| noise.bytes(300)).collect();
        let slices = |datagrams: &[Vec<u8>]| -> Vec<(usize, usize)> {
            echoes(&datagrams.iter().map(Vec::as_slice).collect::<Vec<_>>())
        };
        assert_eq!(slices(&datagrams), []);
        let part = datagrams.get(17).and_then(|one| one.get(40..40 + ECHO));
        let part = part.unwrap_or_default().to_vec();
        if let Some(later) = datagrams.get_mut(90) {
            later.splice(211..211 + ECHO, part);
        }
        assert_eq!(slices(&datagrams), [(17, 90)]);
        // One byte less is none.
        if let Some(byte) = datagrams.get_mut(90).and_then(|one| one.get_mut(211)) {
            *byte ^= 1;
        }
        assert_eq!(slices(&datagrams), []);
    }
}
