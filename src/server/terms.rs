//! The terms on which one listener's connections are served: what they may cost, and how it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::limits;

/// What connections of one listener may cost.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How many at once; further ones wait in the kernel's backlog.
    pub max_connections: usize,
    /// From the connect to the end of the handshake, under TLS.
    pub handshake_timeout: Duration,
    /// From there to the first request, and for each later head.
    pub head_read_timeout: Duration,
    /// Without a further request, until the peer is asked to end.
    pub idle_timeout: Duration,
    /// What becomes of those who connect while the server drains.
    pub newcomers: Newcomers,
}

/// What becomes of those who connect while the server drains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newcomers {
    /// Each gets one answer, and is refused once all who were there before have gone.
    Answered,
    /// They wait in the backlog of a socket that outlives this process, for the next one.
    LeftToTheNext,
}

impl Settings {
    /// For clients.
    pub const CLIENTS: Self = Self {
        max_connections: limits::MAX_CONNECTIONS,
        handshake_timeout: limits::TLS_HANDSHAKE_TIMEOUT,
        head_read_timeout: limits::HEAD_READ_TIMEOUT,
        idle_timeout: limits::IDLE_CONNECTION,
        newcomers: Newcomers::Answered,
    };

    /// For operators.
    pub const OPERATORS: Self =
        Self { max_connections: limits::MAX_ADMIN_CONNECTIONS, ..Self::CLIENTS };

    /// For those who come while the server drains.
    pub(super) fn of_newcomers(self) -> Self {
        Self {
            handshake_timeout: self.handshake_timeout.min(limits::NEWCOMER_PATIENCE),
            head_read_timeout: self.head_read_timeout.min(limits::NEWCOMER_PATIENCE),
            ..self
        }
    }
}

/// How serving ends; see `connections`.
#[derive(Debug, Clone, Default)]
pub struct Ends {
    /// End after what is being answered.
    pub drain: CancellationToken,
    /// End now.
    pub cut: CancellationToken,
    /// How many were cut that should have ended before.
    pub(super) outlasting: Arc<AtomicUsize>,
}

impl Ends {
    /// One is cut. Says whether it is one of the first that are named.
    pub(super) fn outlasts(&self) -> bool {
        self.outlasting.fetch_add(1, Ordering::Relaxed) < limits::MAX_NAMED_CONNECTIONS
    }
}
