//! What the local faces show: the JSON shapes of the HTTP API and of `crosshome --json`.
//!
//! The loop fills these types, [`http`](crate::http) writes them, the command line and Python read them
//! back; nothing else travels between them. Fields called `home` hold names, fields called `id` hold
//! ids, every time is a [`Stamp`]. Fields may be added, never renamed.
//!
//! ```
//! use crosshome_node::views::Stamp;
//! let stamp = Stamp(1_700_000_000_123);
//! assert_eq!(stamp.to_string(), "2023-11-14T22:13:20.123Z");
//! assert_eq!("2023-11-14T23:13:20.123+01:00".parse(), Ok(stamp));
//! ```

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

mod conflict;
mod entity;
mod home;
mod pairing;
mod sharing;
mod strategy;

pub use conflict::{ConflictList, ConflictStatus, ConflictView, Resolved, VersionView};
pub use entity::{
    CallView, Class, Deleted, Entities, EntityView, HistoryView, Pending, Recorded, Registered, Registry,
    RegistryEntity, Space,
};
pub use home::{
    EntityCounts, Finding, HomeList, HomeSeen, HomeView, KeyView, Level, LinkState, LocalPeer, PeerView,
    Restored, Status, Via,
};
pub use pairing::{Invitation, PairedReply, PairedView, PairingNews, ShownCode};
pub use sharing::{Right, SharePlan};
pub use strategy::{FallbackView, JointView, RuleOrigin, RuleView, StrategyView};

/// A moment, in milliseconds since 1970; written as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, utoipa::ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2023-11-14T22:13:20.123Z")]
pub struct Stamp(pub i64);

impl Stamp {
    /// Returns the present moment by this machine's clock.
    pub fn now() -> Self {
        Self(Timestamp::now().as_millisecond())
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A clock beyond the year 9999 is shown as its last moment rather than not at all.
        let nearest = if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        write!(f, "{:.3}", Timestamp::from_millisecond(self.0).unwrap_or(nearest))
    }
}

impl FromStr for Stamp {
    type Err = StampError;

    fn from_str(text: &str) -> Result<Self, StampError> {
        let moment: Timestamp = text.parse().map_err(|_| StampError(text.to_owned()))?;
        Ok(Self(moment.as_millisecond()))
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Why a text is no [`Stamp`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time such as 2023-11-14T22:13:20.123Z")]
pub struct StampError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_written_even_when_zero() {
        assert_eq!(Stamp(0).to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn clock_far_beyond_the_calendar_is_still_shown() {
        assert!(Stamp(i64::MAX).to_string().starts_with("9999-12-30"));
        assert!(Stamp(i64::MIN).to_string().starts_with("-009999-01-02"));
    }

    #[test]
    fn naive_time_is_refused() {
        assert!("2023-11-14T22:13:20".parse::<Stamp>().is_err());
    }
}
