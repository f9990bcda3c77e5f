//! Times and durations in the notation for people.

use std::time::Duration;

use chrono::Local;
use m2_proto::wkt::Timestamp;

/// Formats a time stamp in the local zone, to the minute; empty if there is none.
pub(crate) fn local(time: Option<&Timestamp>) -> String {
    time.map(|time| {
        let utc = time.to_utc();
        utc.with_timezone(&Local)
            .format("%Y-%m-%d %H:%M")
            .to_string()
    })
    .unwrap_or_default()
}

/// Parses a duration such as `30s`, `5m`, `1h30m`, `7d` or `2w`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    const HELP: &str = "write a number and a unit, such as 30s, 5m, 24h, 7d or 1h30m";
    // Milliseconds can't be combined with other units.
    if let Some(millis) = text.strip_suffix("ms").and_then(|n| n.parse::<u32>().ok()) {
        return Ok(Duration::from_millis(millis.into()));
    }
    let mut total: u64 = 0;
    let mut digits = String::new();
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let unit = unit_seconds(c).ok_or(HELP)?;
        let number: u64 = digits.parse().map_err(|_| HELP)?;
        digits.clear();
        let part = number.checked_mul(unit).ok_or("this is too long")?;
        total = total.checked_add(part).ok_or("this is too long")?;
    }
    if digits.is_empty() && total > 0 {
        Ok(Duration::from_secs(total))
    } else {
        Err(HELP.to_owned())
    }
}

/// Parses the time to live of a message: a duration from 1s to 365d.
pub(crate) fn parse_ttl(text: &str) -> Result<Duration, String> {
    within(
        text,
        Duration::from_secs(1),
        Duration::from_secs(365 * 86_400),
    )
    .ok_or_else(|| "--ttl must be between 1s and 365d, such as 30s, 24h or 7d".to_owned())
}

/// Parses the validity of an invitation: a duration from 1m to 365d.
pub(crate) fn parse_validity(text: &str) -> Result<Duration, String> {
    within(
        text,
        Duration::from_secs(60),
        Duration::from_secs(365 * 86_400),
    )
    .ok_or_else(|| "--expires must be between 1m and 365d, such as 24h or 7d".to_owned())
}

fn within(text: &str, least: Duration, most: Duration) -> Option<Duration> {
    let duration = parse_duration(text).ok()?;
    (least..=most).contains(&duration).then_some(duration)
}

/// Converts a duration to the API's type.
pub(crate) fn to_proto(duration: Duration) -> pbjson_types::Duration {
    pbjson_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

fn unit_seconds(unit: char) -> Option<u64> {
    match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3600),
        'd' => Some(86_400),
        'w' => Some(604_800),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("7d"), Ok(Duration::from_secs(604_800)));
        for wrong in [
            "",
            "30",
            "0s",
            "h",
            "-1s",
            "1y",
            "1h30",
            "99999999999999999999s",
        ] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        assert!(parse_duration("9999999999999999999w").is_err());
    }
}
