//! Records, page by page, the ends of tokens that have come. Whether a token is expired never waits for
//! this: that is decided when it is used.

use crate::job::JobError;
use crate::registry::Context;

pub(crate) async fn run(cx: &Context) -> Result<(), JobError> {
    cx.sweep("expire_tokens", || cx.app.expire_tokens_page())
        .await
}
