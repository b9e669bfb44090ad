//! Reminds of an unanswered confirmation, once.

use symbolon_domain::ConfirmationId;

use super::confirm_email;
use crate::job::JobError;
use crate::registry::Context;

pub(crate) async fn run(cx: &Context, id: ConfirmationId) -> Result<(), JobError> {
    confirm_email::wait_for_breaker(cx)?;
    let prepared = cx.app.confirmation_reminder(id).await?;
    confirm_email::deliver(cx, prepared).await
}
