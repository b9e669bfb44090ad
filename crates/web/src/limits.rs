//! Bodies are read within a size and a time.

use actix_web::error::PayloadError;
use actix_web::rt::time::timeout;
use actix_web::web::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// The bounds of a body. In the application data (`Data<BodyLimits>`) where the defaults do not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    pub max_bytes: usize,
    /// From the first wait to the last byte.
    pub read_timeout: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            max_bytes: 64 * 1024,
            read_timeout: Duration::from_secs(10),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFailure {
    TooLarge,
    TimedOut,
    /// The connection broke, or its framing was wrong.
    Broken,
    /// There is a body, and the caller's check of its announced type refused it.
    WrongType,
}

/// Reads a body to its end. `type_fits` is asked once, when a first byte shows that there is a body;
/// `announced` is its `Content-Length`, so that what is too large is not read at all.
pub async fn read_body<S>(
    mut payload: S,
    announced: Option<u64>,
    limits: BodyLimits,
    type_fits: bool,
) -> Result<Bytes, BodyFailure>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    let reading = async {
        // One chunk is the whole body as a rule: it is passed on as it came.
        let (mut first, mut joined) = (Bytes::new(), BytesMut::new());
        if announced.is_some_and(|length| length > 0) && !type_fits {
            return Err(BodyFailure::WrongType);
        }
        if announced.is_some_and(|length| length > limits.max_bytes as u64) {
            return Err(BodyFailure::TooLarge);
        }
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| BodyFailure::Broken)?;
            if !chunk.is_empty() && !type_fits {
                return Err(BodyFailure::WrongType);
            }
            if first.len().max(joined.len()) + chunk.len() > limits.max_bytes {
                return Err(BodyFailure::TooLarge);
            }
            if first.is_empty() {
                first = chunk;
            } else {
                if joined.is_empty() {
                    joined.extend_from_slice(&first);
                }
                joined.extend_from_slice(&chunk);
            }
        }
        Ok(if joined.is_empty() {
            first
        } else {
            joined.freeze()
        })
    };
    let mut reading = pin!(reading);
    // What has arrived already needs no clock.
    if let Poll::Ready(read) = poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx))).await {
        return read;
    }
    timeout(limits.read_timeout, reading)
        .await
        .unwrap_or(Err(BodyFailure::TimedOut))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    fn limits() -> BodyLimits {
        BodyLimits {
            max_bytes: 4,
            read_timeout: Duration::from_millis(50),
        }
    }

    fn chunks(
        parts: &[&'static str],
    ) -> impl Stream<Item = Result<Bytes, PayloadError>> + Unpin + use<> {
        let parts: Vec<_> = parts
            .iter()
            .map(|p| Ok(Bytes::from_static(p.as_bytes())))
            .collect();
        stream::iter(parts)
    }

    #[actix_web::test]
    async fn sizes_types_and_time_are_bounded() {
        let read = |parts, announced, fits| read_body(chunks(parts), announced, limits(), fits);
        assert_eq!(read(&["ab", "cd"], None, true).await.unwrap(), "abcd");
        assert_eq!(
            read(&["ab", "cde"], None, true).await,
            Err(BodyFailure::TooLarge)
        );
        assert_eq!(read(&[], Some(5), true).await, Err(BodyFailure::TooLarge));
        assert_eq!(
            read(&["abcde"], Some(5), false).await,
            Err(BodyFailure::WrongType)
        );
        assert_eq!(read(&["", ""], None, false).await.unwrap(), "");
        for parts in [&["", "a", "", "b", "cd"][..], &["abcd", ""], &["a", "bcd"]] {
            assert_eq!(read(parts, None, true).await.unwrap(), "abcd", "{parts:?}");
        }
        assert_eq!(
            read(&["a", "b", "cde"], None, true).await,
            Err(BodyFailure::TooLarge)
        );
        assert_eq!(
            read_body(stream::pending(), None, limits(), true).await,
            Err(BodyFailure::TimedOut)
        );
        let broken = stream::iter([Err(PayloadError::EncodingCorrupted)]);
        assert_eq!(
            read_body(broken, None, limits(), true).await,
            Err(BodyFailure::Broken)
        );
    }
}
