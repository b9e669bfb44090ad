//! A panic while one request is served ends that request, never the thread that serves others.

use futures_util::FutureExt;
use std::future::Future;
use std::panic::AssertUnwindSafe;

/// Runs a service's future; `None` when it panicked. Where and why is the panic hook's to report:
/// the payload could carry what the request carried, so it is dropped here.
pub async fn catch_panic<F: Future>(future: F) -> Option<F::Output> {
    // What the future touched is the request's own; what requests share keeps its own invariants.
    AssertUnwindSafe(future).catch_unwind().await.ok()
}
