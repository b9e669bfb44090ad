//! Which handler runs which job: the one list. And what handlers can reach.

use std::time::Duration;

use symbolon_app::App;
use symbolon_domain::Job;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::job::JobError;
use crate::jobs::{
    confirm_email, confirmation_reminder, expire_tokens, maintain_signing_keys, purge,
};
use crate::mail::{Breaker, Mailer};

/// What handlers can reach.
pub(crate) struct Context {
    pub app: App,
    pub mailer: Mailer,
    pub breaker: Breaker,
    /// `true` once the process is to stop.
    pub stopping: watch::Receiver<bool>,
    /// How long one run of a sweep may last before it makes room for others.
    pub sweep_longest: Duration,
}

pub(crate) async fn handle(cx: &Context, job: &Job) -> Result<(), JobError> {
    match *job {
        Job::ConfirmEmail {
            confirmation_id,
            generation,
        } => Box::pin(confirm_email::run(cx, confirmation_id, generation)).await,
        Job::ConfirmationReminder { confirmation_id } => {
            Box::pin(confirmation_reminder::run(cx, confirmation_id)).await
        }
        Job::ExpireTokens {} => expire_tokens::run(cx).await,
        Job::Purge {} => purge::run(cx).await,
        Job::MaintainSigningKeys {} => maintain_signing_keys::run(cx).await,
    }
}

impl Context {
    /// Runs a sweep's pages until one changes nothing. Asked to stop, or out of time, it goes on in
    /// another run at once.
    pub async fn sweep<F>(
        &self,
        name: &'static str,
        mut page: impl FnMut() -> F,
    ) -> Result<(), JobError>
    where
        F: Future<Output = symbolon_app::Result<usize>>,
    {
        let (started, mut rows) = (Instant::now(), 0);
        loop {
            let changed = page().await?;
            rows += changed;
            if changed == 0 {
                if rows > 0 {
                    tracing::info!(sweep = name, rows, "a sweep is done");
                }
                return Ok(());
            }
            if *self.stopping.borrow() || started.elapsed() >= self.sweep_longest {
                return Err(JobError::Later {
                    until: self.app.now(),
                    reason: format!("more to do after {rows} rows"),
                });
            }
        }
    }
}
