//! Lets the next signing key take over when its time has come, and makes the one after it.

use crate::job::JobError;
use crate::registry::Context;

pub(crate) async fn run(cx: &Context) -> Result<(), JobError> {
    Ok(cx.app.maintain_signing_keys().await?)
}
