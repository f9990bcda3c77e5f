//! Finds datagrams that can be linked because one repeats bytes of another.

use std::collections::HashMap;

/// Length in bytes of a sequence that does not repeat by chance: among five million of them, two
/// are equal with a probability of about one in a million.
const ECHO: usize = 8;

/// Returns pairs of datagrams, the earlier one first, in which the later repeats `ECHO`
/// consecutive bytes of the earlier at any position. For each later datagram only the first such
/// pair is returned.
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
    fn an_echo_is_found_at_any_position() {
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
        // One byte less is not an echo.
        if let Some(byte) = datagrams.get_mut(90).and_then(|one| one.get_mut(211)) {
            *byte ^= 1;
        }
        assert_eq!(slices(&datagrams), []);
    }
}
