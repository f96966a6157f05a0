//! A turn's body, read whole: bounded in size, in time, and in what all of them hold together.
//!
//! The bytes count against one budget from their arrival until the reader lets go of them; from
//! then on the session accounts for what it keeps. Whoever finds the budget empty is told to come
//! back; nobody waits in line with a half-read body.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::error::Error;
use crate::limits;

/// The bytes of bodies that may be in memory, shared by all requests.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    bytes: Arc<Semaphore>,
    /// Of one body.
    most: usize,
}

/// A body with its part of the budget, which is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    share: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// At most `most` bytes for one body and `all` for all of them.
    pub(crate) fn new(most: usize, all: usize) -> Self {
        let all = all.min(Semaphore::MAX_PERMITS);
        Self { bytes: Arc::new(Semaphore::new(all)), most }
    }

    /// The same bytes in all, and at most `most` of them for one body.
    pub(crate) fn up_to(&self, most: usize) -> Self {
        Self { bytes: Arc::clone(&self.bytes), most }
    }

    /// Reads `body` to its end.
    ///
    /// # Errors
    /// [`Error::ContentEncoding`], [`Error::BodyTooLarge`], [`Error::BodyTimeout`],
    /// [`Error::BodyBroken`], [`Error::TooManyBodies`].
    // Cancel-safe: what was read is dropped and its share given back.
    pub(crate) async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Held, Error> {
        if headers.contains_key(header::CONTENT_ENCODING) {
            return Err(Error::ContentEncoding);
        }
        // Refused before the client is told to send it.
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > self.most {
            return Err(Error::BodyTooLarge(self.most));
        }
        let read = timeout(limits::BODY_DEADLINE, self.collect(body, announced)).await;
        read.map_err(|_| Error::BodyTimeout)?
    }

    async fn collect(&self, mut body: Body, announced: usize) -> Result<Held, Error> {
        // What is announced is not yet there: the memory grows with what arrives.
        let mut bytes = BytesMut::with_capacity(announced.min(limits::STREAM_CHUNK_BYTES));
        let mut share: Option<OwnedSemaphorePermit> = None;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Error::BodyBroken)?.into_data() else {
                continue;
            };
            if bytes.len() + data.len() > self.most {
                return Err(Error::BodyTooLarge(self.most));
            }
            let more = u32::try_from(data.len()).map_err(|_| Error::BodyTooLarge(self.most))?;
            let more = Arc::clone(&self.bytes).try_acquire_many_owned(more);
            let more = more.map_err(|_| Error::TooManyBodies)?;
            match &mut share {
                Some(share) => share.merge(more),
                None => share = Some(more),
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Held { bytes: bytes.freeze(), share })
    }
}

impl Held {
    /// The bytes alone: their share is given back.
    pub(crate) fn into_bytes(self) -> Bytes {
        let Self { bytes, share } = self;
        drop(share);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use super::*;

    fn chunks(parts: &[&'static str]) -> Body {
        let parts: Vec<_> = parts.iter().map(|part| Ok::<_, Infallible>(*part)).collect();
        Body::from_stream(stream::iter(parts))
    }

    async fn read(budget: &Budget, body: Body) -> Result<Held, Error> {
        budget.read(&HeaderMap::new(), body).await
    }

    #[tokio::test]
    async fn a_body_is_joined_and_its_share_comes_back() {
        let budget = Budget::new(8, 8);
        let held = read(&budget, chunks(&["abc", "", "def"])).await.expect("it fits");
        assert_eq!(held.bytes, "abcdef");
        assert_eq!(budget.bytes.available_permits(), 2);
        assert!(matches!(read(&budget, chunks(&["abc"])).await, Err(Error::TooManyBodies)));
        assert_eq!(held.into_bytes(), "abcdef");
        assert_eq!(budget.bytes.available_permits(), 8);
    }

    #[tokio::test]
    async fn a_body_beyond_the_bound_is_refused_announced_or_not() {
        let budget = Budget::new(4, 100);
        let announced = read(&budget, Body::from("12345")).await;
        assert!(matches!(announced, Err(Error::BodyTooLarge(4))));
        let streamed = read(&budget, chunks(&["123", "45"])).await;
        assert!(matches!(streamed, Err(Error::BodyTooLarge(4))));
        assert_eq!(budget.bytes.available_permits(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_end_is_given_up() {
        let budget = Budget::new(4, 100);
        let endless = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        assert!(matches!(read(&budget, endless).await, Err(Error::BodyTimeout)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_given_up_at_the_same_time() {
        let budget = Budget::new(1000, 1000);
        let begun = tokio::time::Instant::now();
        let trickle = stream::unfold((), async |()| {
            tokio::time::sleep(limits::BODY_DEADLINE / 10).await;
            Some((Ok::<_, Infallible>("x"), ()))
        });
        let read = read(&budget, Body::from_stream(trickle)).await;
        assert!(matches!(read, Err(Error::BodyTimeout)));
        assert!(begun.elapsed() < limits::BODY_DEADLINE * 2);
        assert_eq!(budget.bytes.available_permits(), 1000, "its share comes back");
    }

    #[tokio::test]
    async fn an_encoded_or_broken_body_is_refused() {
        let budget = Budget::new(4, 100);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, http::HeaderValue::from_static("gzip"));
        let encoded = budget.read(&headers, Body::from("{}")).await;
        assert!(matches!(encoded, Err(Error::ContentEncoding)));
        let broken = stream::iter([Ok("{"), Err(std::io::Error::other("gone"))]);
        let broken = read(&budget, Body::from_stream(broken)).await;
        assert!(matches!(broken, Err(Error::BodyBroken)));
    }
}
