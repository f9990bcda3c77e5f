//! Timestamps: `google.protobuf.Timestamp` with the JSON form that the proto3 mapping requires.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::ser::{Serialize, Serializer};

/// The last second that the JSON form can express: 9999-12-31T23:59:59Z.
const MAX_SECONDS: i64 = 253_402_300_799;

/// The first second that the JSON form can express: 0001-01-01T00:00:00Z.
const MIN_SECONDS: i64 = -62_135_596_800;

/// A point in time: seconds and nanoseconds since 1970-01-01T00:00:00Z.
///
/// The JSON form is RFC 3339 with `Z` and 0, 3, 6 or 9 fractional digits. A time before the year 1
/// or after 9999 is written as the nearest time in that range: timestamps from other peers' clocks
/// can have any value, and must not make a reader fail.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Timestamp {
    /// Seconds since the epoch.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds within the second, 0 to 999,999,999.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl Timestamp {
    /// Returns the time `millis` milliseconds after the epoch, clamped to the year 9999.
    #[must_use]
    pub fn from_unix_millis(millis: u64) -> Self {
        Self {
            seconds: i64::try_from(millis / 1000).unwrap_or(i64::MAX),
            nanos: i32::try_from(millis % 1000 * 1_000_000).unwrap_or(0),
        }
        .clamped()
    }

    /// Returns the milliseconds since the epoch; 0 for an earlier time.
    #[must_use]
    pub fn unix_millis(&self) -> u64 {
        let seconds = u64::try_from(self.seconds).unwrap_or(0);
        let nanos = u64::try_from(self.nanos).unwrap_or(0);
        seconds
            .saturating_mul(1000)
            .saturating_add(nanos / 1_000_000)
    }

    /// Returns the nearest time in the years 1 to 9999.
    #[must_use]
    pub fn clamped(self) -> Self {
        Self {
            seconds: self.seconds.clamp(MIN_SECONDS, MAX_SECONDS),
            nanos: self.nanos.clamp(0, 999_999_999),
        }
    }

    /// Converts the clamped time to chrono's type.
    #[must_use]
    pub fn to_utc(self) -> DateTime<Utc> {
        let Self { seconds, nanos } = self.clamped();
        // Never absent: a clamped time is well within chrono's range.
        DateTime::from_timestamp(seconds, nanos.unsigned_abs()).unwrap_or_default()
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(since.subsec_nanos()).unwrap_or(0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true);
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rfc3339;
        impl Visitor<'_> for Rfc3339 {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 timestamp")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
                let time = DateTime::parse_from_rfc3339(text).map_err(E::custom)?;
                Ok(Timestamp {
                    seconds: time.timestamp(),
                    nanos: i32::try_from(time.timestamp_subsec_nanos()).map_err(E::custom)?,
                })
            }
        }
        deserializer
            .deserialize_str(Rfc3339)
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_ends_in_z() {
        let time = Timestamp::from_unix_millis(1_700_000_000_123);
        let json = serde_json::to_string(&time).unwrap();
        assert_eq!(json, "\"2023-11-14T22:13:20.123Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), time);
        assert_eq!(time.unix_millis(), 1_700_000_000_123);
        let whole = Timestamp::from_unix_millis(1_700_000_000_000);
        assert_eq!(
            serde_json::to_string(&whole).unwrap(),
            "\"2023-11-14T22:13:20Z\""
        );
    }

    #[test]
    fn a_time_out_of_range_is_clamped() {
        let json = |seconds, nanos| serde_json::to_string(&Timestamp { seconds, nanos }).unwrap();
        assert_eq!(json(i64::MAX, -1), "\"9999-12-31T23:59:59Z\"");
        assert_eq!(json(i64::MIN, i32::MIN), "\"0001-01-01T00:00:00Z\"");
        let far = Timestamp::from_unix_millis(u64::MAX);
        assert_eq!(far.seconds, MAX_SECONDS);
        assert!(serde_json::to_string(&far).is_ok());
    }
}
