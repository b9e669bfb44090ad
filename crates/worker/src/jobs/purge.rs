//! Removes, page by page, what has outlived its retention.

use crate::job::JobError;
use crate::registry::Context;

pub(crate) async fn run(cx: &Context) -> Result<(), JobError> {
    cx.sweep("purge", || cx.app.purge_page()).await
}
