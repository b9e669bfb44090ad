//! Mails the link that confirms a contact, and records what the server said.

use std::time::Duration;

use symbolon_app::{ConfirmationMail, Prepared};
use symbolon_domain::ConfirmationId;

use crate::job::JobError;
use crate::mail::{self, Delivery};
use crate::registry::Context;

pub(crate) async fn run(cx: &Context, id: ConfirmationId, generation: i32) -> Result<(), JobError> {
    wait_for_breaker(cx)?;
    let prepared = cx.app.prepare_confirmation(id, generation, false).await?;
    deliver(cx, prepared).await
}

/// Before anything is prepared: preparing may count against the recipient's daily limit.
pub(super) fn wait_for_breaker(cx: &Context) -> Result<(), JobError> {
    match cx.breaker.open_until(cx.app.now()) {
        None => Ok(()),
        Some(until) => Err(JobError::Later {
            until,
            reason: "the mail server refuses us; waiting before the next try".to_owned(),
        }),
    }
}

pub(super) async fn deliver(cx: &Context, prepared: Prepared) -> Result<(), JobError> {
    let mail = match prepared {
        Prepared::Send(mail) => mail,
        Prepared::Skip(reason) => {
            tracing::info!(reason, "no confirmation mail is needed any more");
            return Ok(());
        }
        Prepared::Later(until) => {
            return Err(JobError::Later {
                until,
                reason: "the recipient's daily limit is reached".to_owned(),
            });
        }
    };
    send(cx, &mail).await
}

async fn send(cx: &Context, mail: &ConfirmationMail) -> Result<(), JobError> {
    let notice = mail.notice_id;
    let outgoing =
        mail::confirmation(mail, cx.mailer.from(), cx.app.now()).map_err(JobError::Fail)?;
    match cx.mailer.send(outgoing).await {
        Delivery::Accepted(reply) => {
            cx.breaker.accepted();
            tracing::info!(notice_id = %notice, "the confirmation mail was accepted");
            recorded(|| cx.app.notice_accepted(notice, &reply)).await
        }
        Delivery::Undeliverable(reply) => {
            // The server listens to us, it is the recipient who is unknown.
            cx.breaker.accepted();
            tracing::warn!(notice_id = %notice, reply, "the contact cannot be reached");
            recorded(|| cx.app.notice_undeliverable(notice, &reply)).await
        }
        Delivery::Refused { reply, general } => {
            if general {
                let pause = cx.breaker.refused(cx.app.now());
                tracing::error!(
                    notice_id = %notice, reply, pause_seconds = pause.as_secs(),
                    "the mail server refuses us: mails wait; repair the cause, then retry the buried jobs"
                );
            } else {
                tracing::error!(notice_id = %notice, reply, "the mail server refuses this mail");
            }
            recorded(|| cx.app.notice_failed(notice, &reply)).await?;
            Err(JobError::Fail(reply))
        }
        Delivery::Deferred(reply) => {
            tracing::warn!(notice_id = %notice, reply, "the confirmation mail is deferred");
            recorded(|| cx.app.notice_deferred(notice, &reply)).await?;
            Err(JobError::Retry(reply))
        }
    }
}

/// How long a fact about a sent mail is offered to a database that is away. Were it given up at once,
/// the mail would go out a second time.
const PERSISTENCE: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

async fn recorded<F>(mut write: impl FnMut() -> F) -> Result<(), JobError>
where
    F: Future<Output = symbolon_app::Result<()>>,
{
    for pause in PERSISTENCE {
        match write().await {
            Err(symbolon_app::Error::Unavailable { .. }) => tokio::time::sleep(pause).await,
            result => return Ok(result?),
        }
    }
    Ok(write().await?)
}
