//! From where and how often a credential may be used, how it was used, and how far a change has come.

use super::{Token, show};
use serde::Serialize;
use symbolon_app::{TokenUses, UseState};
use symbolon_domain::{self as domain, AllowedNetworks, Timestamp};
use utoipa::ToSchema;

/// So many uses in a period, refilled evenly; all of them may come at once. Each process counts for itself.
#[derive(Debug, Serialize, ToSchema)]
pub struct RateLimit {
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub limit: u32,
    /// Whole seconds, from `1s` to a day.
    #[schema(example = "60s")]
    pub period: String,
}

impl From<domain::RateLimit> for RateLimit {
    fn from(it: domain::RateLimit) -> Self {
        Self {
            limit: it.limit().get(),
            period: format!("{}s", it.period().as_secs()),
        }
    }
}

pub fn networks(networks: &AllowedNetworks) -> Vec<String> {
    networks.iter().map(ToString::to_string).collect()
}

/// How many processes refuse or accept by now what was changed, of those that count.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Effective {
    /// Processes that were heard of lately enough to be answering.
    pub nodes: u32,
    /// Those of them that have applied the change.
    pub confirmed: u32,
    /// What the wait took.
    pub elapsed_ms: u64,
}

impl From<symbolon_app::Effective> for Effective {
    fn from(it: symbolon_app::Effective) -> Self {
        Self {
            nodes: it.nodes,
            confirmed: it.confirmed,
            elapsed_ms: u64::try_from(it.elapsed.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// The answer to a revocation that waited.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// Null: it is revoked, and nobody can tell how far the word has come.
    #[schema(required)]
    pub effective: Option<Effective>,
}

/// What remains of a credential that ended itself.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(
    dead_code,
    reason = "documents answers that are written as what they are"
)]
pub enum OwnEnd {
    Token(Box<Token>),
    AccessToken(Revocation),
}

/// How a token was used. Uses are counted in memory, and written down a little later.
#[derive(Debug, Serialize, ToSchema)]
pub struct Uses {
    /// `never`: not since `tracked_since`. `not_tracked_yet`: nobody can tell, since nothing has been written
    /// down from then on.
    #[schema(value_type = super::UseStateWord)]
    pub state: &'static str,
    /// Since when uses are written down here.
    #[schema(format = "date-time")]
    pub tracked_since: String,
    /// Up to when all processes have written theirs down.
    #[schema(required, format = "date-time")]
    pub tracked_until: Option<String>,
    #[schema(required, format = "date-time")]
    pub first_used_at: Option<String>,
    #[schema(required, format = "date-time")]
    pub last_used_at: Option<String>,
    pub uses: i64,
    /// Days in UTC, oldest first; those without a use are left out.
    pub days: Vec<DayUses>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DayUses {
    #[schema(format = "date")]
    pub day: String,
    pub uses: i64,
}

impl From<&TokenUses> for Uses {
    fn from(it: &TokenUses) -> Self {
        Self {
            state: match it.state {
                UseState::Used => "used",
                UseState::Never => "never",
                UseState::NotTrackedYet => "not_tracked_yet",
            },
            tracked_since: it.tracked_since.to_string(),
            tracked_until: show(it.tracked_until),
            first_used_at: show(it.first_used_at),
            last_used_at: show(it.last_used_at),
            uses: it.uses,
            days: it
                .days
                .iter()
                .map(|(day, uses)| DayUses {
                    day: date(*day),
                    uses: *uses,
                })
                .collect(),
        }
    }
}

/// A day since 1970-01-01, as RFC 3339 writes a date.
fn date(day: i64) -> String {
    const DAY: i64 = 86_400_000_000;
    let mut text = Timestamp::from_micros(day.saturating_mul(DAY)).to_string();
    text.truncate("1970-01-01".len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(20_779), "2026-11-22");
        assert_eq!(date(-1), "1969-12-31");
    }
}
