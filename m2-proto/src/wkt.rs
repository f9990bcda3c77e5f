//! Time stamps: `google.protobuf.Timestamp` with the JSON form that the proto3 mapping demands.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::ser::{Error as _, Serialize, Serializer};

/// A moment: seconds and nanoseconds since 1970-01-01T00:00:00Z.
///
/// In JSON RFC 3339 with `Z` and 0, 3, 6 or 9 digits after the point.
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
    /// The moment `millis` milliseconds after the epoch; the far future when that overflows.
    #[must_use]
    pub fn from_unix_millis(millis: u64) -> Self {
        // Both casts are in range: the first is at most u64::MAX / 1000, the second below 10^9.
        Self {
            seconds: i64::try_from(millis / 1000).unwrap_or(i64::MAX),
            nanos: i32::try_from(millis % 1000 * 1_000_000).unwrap_or(0),
        }
    }

    /// Milliseconds since the epoch; 0 for what was before it.
    #[must_use]
    pub fn unix_millis(&self) -> u64 {
        let seconds = u64::try_from(self.seconds).unwrap_or(0);
        let nanos = u64::try_from(self.nanos).unwrap_or(0);
        seconds
            .saturating_mul(1000)
            .saturating_add(nanos / 1_000_000)
    }

    fn to_utc(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.seconds, u32::try_from(self.nanos).ok()?)
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
        let utc = self
            .to_utc()
            .ok_or_else(|| S::Error::custom("the time stamp is out of range"))?;
        serializer.serialize_str(&utc.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rfc3339;
        impl Visitor<'_> for Rfc3339 {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time stamp as in RFC 3339")
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
    #![allow(clippy::unwrap_used)]
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
    fn out_of_range_is_an_error_and_no_panic() {
        let far = Timestamp {
            seconds: i64::MAX,
            nanos: -1,
        };
        assert!(serde_json::to_string(&far).is_err());
        assert_eq!(far.unix_millis(), u64::MAX);
    }
}
