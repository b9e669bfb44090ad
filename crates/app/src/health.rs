//! Whether this process can serve.

use crate::App;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// With clocks further apart, expiry would mean different things to different processes.
const CLOCK_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub struct Readiness {
    pub ready: bool,
    pub checks: Vec<Check>,
}

/// One line of the answer; holds no secret.
#[derive(Debug, Clone)]
pub struct Check {
    pub name: &'static str,
    pub ok: bool,
    pub detail: String,
}

impl App {
    pub async fn ready(&self) -> Readiness {
        let mut checks = Vec::new();
        let mut check = |name, ok: bool, detail: String| checks.push(Check { name, ok, detail });
        let stopping = self.0.stopping.load(Ordering::Acquire);
        check(
            "running",
            !stopping,
            if stopping {
                "stopping".into()
            } else {
                "yes".into()
            },
        );
        match self.store().ping().await {
            Ok(()) => check("database", true, "answers".into()),
            Err(_) => check("database", false, "does not answer".into()),
        }
        let missing = self.0.database.migrations_missing();
        check(
            "schema",
            !missing,
            if missing {
                "lacks migrations"
            } else {
                "complete"
            }
            .into(),
        );
        let age = self.0.feed.age(self.monotonic());
        check(
            "feed",
            self.is_fresh(),
            age.map_or("not read yet".into(), |age| {
                format!("read {} ms ago", age.as_millis())
            }),
        );
        let offset = self.0.database.clock_offset();
        check(
            "clock",
            offset <= CLOCK_LIMIT,
            format!("{} ms from the database's", offset.as_millis()),
        );
        Readiness {
            ready: checks.iter().all(|it| it.ok),
            checks,
        }
    }

    /// From now on this process is not ready: the first step of a stop.
    pub fn begin_stop(&self) {
        self.0.stopping.store(true, Ordering::Release);
    }
}
