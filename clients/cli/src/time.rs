//! Times and durations in the notation for people.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Local, NaiveDate, NaiveDateTime, TimeZone};
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

/// Parses a point in time: a date, a date and a time in the local zone, a time of RFC 3339, or how long ago it was.
pub(crate) fn parse_moment(text: &str) -> Result<Timestamp, String> {
    const HELP: &str =
        "write 2026-01-31, \"2026-01-31 12:00\", 2026-01-31T12:00:00Z, or how long ago, such as 2h";
    if let Ok(ago) = parse_duration(text) {
        let moment = SystemTime::now().checked_sub(ago);
        return moment.map(Timestamp::from).ok_or_else(|| HELP.to_owned());
    }
    let moment = parse_zoned(text).or_else(|| parse_local(text));
    let ms = moment.and_then(|moment| u64::try_from(moment.timestamp_millis()).ok());
    ms.map(Timestamp::from_unix_millis)
        .ok_or_else(|| HELP.to_owned())
}

fn parse_zoned(text: &str) -> Option<DateTime<Local>> {
    let parsed = DateTime::parse_from_rfc3339(text).ok()?;
    Some(parsed.with_timezone(&Local))
}

fn parse_local(text: &str) -> Option<DateTime<Local>> {
    let formats = ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"];
    let mut times = formats
        .iter()
        .filter_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let midnight = || {
        NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .ok()?
            .and_hms_opt(0, 0, 0)
    };
    let naive = times.next().or_else(midnight)?;
    // In an hour that a change of the clock repeats, the first one; in one that it skips, none.
    Local.from_local_datetime(&naive).earliest()
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

/// Parses the validity of an access token: a duration from 1m to 3650d.
pub(crate) fn parse_token_validity(text: &str) -> Result<Duration, String> {
    within(
        text,
        Duration::from_secs(60),
        Duration::from_secs(3_650 * 86_400),
    )
    .ok_or_else(|| "--expires must be between 1m and 3650d, such as 24h or 90d".to_owned())
}

/// Parses the lease of a worker: a duration from 1s to 12h.
pub(crate) fn parse_lease(text: &str) -> Result<Duration, String> {
    within(
        text,
        Duration::from_secs(1),
        Duration::from_secs(12 * 3_600),
    )
    .ok_or_else(|| "--lease must be between 1s and 12h, such as 30s or 10m".to_owned())
}

/// Parses the interval of a heartbeat: a duration from 1s to 1h.
pub(crate) fn parse_heartbeat(text: &str) -> Result<Duration, String> {
    within(text, Duration::from_secs(1), Duration::from_secs(3_600))
        .ok_or_else(|| "--heartbeat must be between 1s and 1h, such as 30s or 5m".to_owned())
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

    #[test]
    fn moments_are_absolute_or_relative() {
        let moment = |text: &str| parse_moment(text).map(|time| time.unix_millis());
        assert_eq!(moment("2026-01-31T12:00:00Z"), Ok(1_769_860_800_000));
        assert_eq!(moment("2026-01-31T12:00:00+01:00"), Ok(1_769_857_200_000));
        let noon = moment("2026-01-31 12:00").unwrap();
        assert_eq!(moment("2026-01-31T12:00:00"), Ok(noon));
        assert_eq!(moment("2026-01-31"), Ok(noon - 12 * 3_600_000));
        let now = Timestamp::from(SystemTime::now()).unix_millis();
        assert!(now.abs_diff(moment("2h").unwrap() + 7_200_000) < 60_000);
        for wrong in ["", "noon", "2026-13-01", "12:00", "1960-01-01"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
