//! The doors as a service of the accept loop.
//!
//! Not behind a router: with one handler for all routes that would only cost a passed request.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;

use super::boxes::Hall;
use super::{Doors, serve};

/// What answers on the public port. Clones are the same doors.
#[derive(Debug, Clone)]
pub struct Service(Arc<Hall>);

impl Service {
    /// Of these doors.
    #[must_use]
    pub fn new(doors: Doors) -> Self {
        Self(Arc::new(Hall::new(doors)))
    }
}

impl tower::Service<Request> for Service {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let hall = Arc::clone(&self.0);
        Box::pin(async move { Ok(serve(&hall, request).await) })
    }
}
