//! What runs again and again: the one list. Whose turn it is, is decided in the database, so that ten
//! workers run each schedule once, and one that slept for a week catches up with a single run.

use std::time::Duration;

use symbolon_app::Schedule;
use symbolon_domain::Job;

/// The time between two runs.
#[derive(Debug, Clone)]
pub struct ScheduleSettings {
    pub expire_tokens: Duration,
    pub purge: Duration,
    pub signing_keys: Duration,
}

pub(crate) fn schedules(settings: &ScheduleSettings) -> [Schedule; 3] {
    [
        Schedule {
            name: "expire_tokens",
            every: settings.expire_tokens,
            job: Job::ExpireTokens {},
        },
        Schedule {
            name: "purge",
            every: settings.purge,
            job: Job::Purge {},
        },
        Schedule {
            name: "maintain_signing_keys",
            every: settings.signing_keys,
            job: Job::MaintainSigningKeys {},
        },
    ]
}
