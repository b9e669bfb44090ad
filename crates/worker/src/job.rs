//! What a handler may answer beside success, how long a failed job waits, and what of an error may be
//! written down.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use symbolon_app::MAX_ATTEMPTS;
use symbolon_domain::{JobId, Timestamp};

/// Why a job is not done. The texts are kept with the job: no addresses, no secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobError {
    /// It may succeed later: tried again by the backoff table, at last buried.
    Retry(String),
    /// Trying again is pointless until somebody has looked at it: buried.
    Fail(String),
    /// Nothing went wrong, it is only too early. Not counted as an attempt.
    Later { until: Timestamp, reason: String },
}

impl From<symbolon_app::Error> for JobError {
    fn from(error: symbolon_app::Error) -> Self {
        let code = error.code().as_str();
        match &error {
            symbolon_app::Error::Refused(_) | symbolon_app::Error::RateLimited(_) => {
                Self::Fail(format!("refused: {code}"))
            }
            symbolon_app::Error::Unavailable { cause } | symbolon_app::Error::Broken { cause } => {
                tracing::warn!(cause, "a job could not reach what it needs");
                Self::Retry(format!("failed inside: {code}"))
            }
        }
    }
}

/// The wait after the first failure, the second, and so on; the last entry repeats. With twelve attempts
/// the last comes about two days after the first.
const BACKOFF: [Duration; 9] = [
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(3600),
    Duration::from_secs(3 * 3600),
    Duration::from_secs(6 * 3600),
    Duration::from_secs(12 * 3600),
];

/// How long a job waits after its `attempt`-th start (from 1) has failed; `None` when that was the last.
/// The jitter of a tenth either way comes from the job's id, so that jobs that failed together do not
/// return together, and a test sees the same every time.
pub fn backoff(job: JobId, attempt: i32) -> Option<Duration> {
    if attempt >= MAX_ATTEMPTS {
        return None;
    }
    let step = usize::try_from(attempt - 1).unwrap_or(0);
    let base = BACKOFF[step.min(BACKOFF.len() - 1)];
    let mut hash = DefaultHasher::new();
    (job.0.as_bytes(), attempt).hash(&mut hash);
    let thousandths = 900 + (hash.finish() % 201) as u32;
    Some(base * thousandths / 1000)
}

/// Longest error text kept, in characters.
const KEPT: usize = 400;

/// A foreign text (a server's reply, an error's message) fit to be written down: one line, bounded,
/// with words that hold an address or a link blotted out.
pub fn masked(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(if word.contains("://") {
            "[link]"
        } else if word.contains('@') {
            "[address]"
        } else {
            word
        });
    }
    match line.char_indices().nth(KEPT) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use symbolon_domain::dice::SeededDice;

    fn job(seed: u64) -> JobId {
        JobId::new(Timestamp::from_micros(1), &mut SeededDice::new(seed))
    }

    #[test]
    fn waits_grow_by_the_table_and_end() {
        for (attempt, seconds) in [
            (1, 10),
            (2, 30),
            (3, 120),
            (4, 600),
            (5, 1800),
            (6, 3600),
            (7, 10_800),
            (8, 21_600),
            (9, 43_200),
            (10, 43_200),
            (11, 43_200),
        ] {
            let wait = backoff(job(attempt as u64), attempt).unwrap().as_secs_f64();
            assert!(
                (wait / f64::from(seconds) - 1.0).abs() <= 0.1001,
                "attempt {attempt}: {wait}"
            );
        }
        assert_eq!(backoff(job(1), MAX_ATTEMPTS), None);
        assert_eq!(backoff(job(1), MAX_ATTEMPTS + 1), None);
    }

    #[test]
    fn jobs_that_failed_together_spread_out() {
        let waits: std::collections::HashSet<_> =
            (0..100).map(|seed| backoff(job(seed), 1)).collect();
        assert!(waits.len() > 50, "{}", waits.len());
        assert_eq!(backoff(job(7), 3), backoff(job(7), 3));
    }

    #[test]
    fn foreign_texts_lose_addresses_links_and_lines() {
        assert_eq!(
            masked(
                "550 5.1.1 <a.person@example.com>: unknown\r\nsee https://x.example/confirm/S3CRET now"
            ),
            "550 5.1.1 [address] unknown see [link] now"
        );
        assert_eq!(masked(&"é".repeat(1000)).chars().count(), KEPT + 1);
        assert_eq!(masked(" \r\n\u{0}"), "");
    }
}
