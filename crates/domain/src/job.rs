//! What is done later: payloads hold ids only, so that neither a queue nor a log can leak anything, and
//! a job that runs late sees the facts of then.

use crate::dice::Dice;
use crate::id::{ConfirmationId, JobId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Every job there is. The tag is the stable name; names unknown to a process are left for newer ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", content = "payload", rename_all = "snake_case")]
pub enum Job {
    /// Mail the link of this generation.
    ConfirmEmail {
        confirmation_id: ConfirmationId,
        generation: i32,
    },
    /// Remind once, three days on, if it is still unanswered.
    ConfirmationReminder { confirmation_id: ConfirmationId },
    /// Record the ends of tokens that have come.
    ExpireTokens {},
    /// Remove what has outlived its retention.
    Purge {},
    /// Let the next signing key take over when its time has come.
    MaintainSigningKeys {},
}

impl Job {
    pub const NAMES: [&'static str; 5] = [
        "confirm_email",
        "confirmation_reminder",
        "expire_tokens",
        "purge",
        "maintain_signing_keys",
    ];

    pub const fn name(&self) -> &'static str {
        match self {
            Self::ConfirmEmail { .. } => "confirm_email",
            Self::ConfirmationReminder { .. } => "confirmation_reminder",
            Self::ExpireTokens {} => "expire_tokens",
            Self::Purge {} => "purge",
            Self::MaintainSigningKeys {} => "maintain_signing_keys",
        }
    }

    pub fn payload(&self) -> serde_json::Value {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(mut tagged)) => {
                tagged.remove("payload").unwrap_or_default()
            }
            _ => serde_json::Value::Null,
        }
    }

    /// `None` for a name or payload that this release does not know.
    pub fn parse(name: &str, payload: serde_json::Value) -> Option<Self> {
        serde_json::from_value(serde_json::json!({ "name": name, "payload": payload })).ok()
    }
}

/// A job to put into the queue with the change that wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    pub id: JobId,
    pub job: Job,
    pub run_at: Timestamp,
}

impl NewJob {
    pub fn new(job: Job, now: Timestamp, run_at: Timestamp, dice: &mut dyn Dice) -> Self {
        Self {
            id: JobId::new(now, dice),
            job,
            run_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::SeededDice;

    #[test]
    fn names_and_payloads_round_trip() {
        let id = ConfirmationId::new(Timestamp::from_micros(1), &mut SeededDice::new(1));
        let jobs = [
            Job::ConfirmEmail {
                confirmation_id: id,
                generation: 2,
            },
            Job::ConfirmationReminder {
                confirmation_id: id,
            },
            Job::ExpireTokens {},
            Job::Purge {},
            Job::MaintainSigningKeys {},
        ];
        for (job, name) in jobs.into_iter().zip(Job::NAMES) {
            assert_eq!(job.name(), name);
            assert_eq!(Job::parse(name, job.payload()), Some(job));
        }
        assert_eq!(Job::parse("of_the_future", serde_json::json!({})), None);
    }
}
