//! Why a call to a box gave nothing: the classes that the turn tells apart, decided where the
//! error is born. No error text holds a credential, a query or a body.

use std::time::Duration;

use http::StatusCode;

use super::Dispatch;

/// A failed call to a box.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection: not one byte of the request has left.
    #[error("connect to the box: {0}")]
    Connect(String),
    /// The connection broke or timed out after the request may have left.
    #[error("no answer from the box: {0}")]
    NoAnswer(String),
    /// 5xx, or a gateway's page in the box's place.
    #[error("the box answers {0}")]
    Status(StatusCode),
    /// 401 or 403.
    #[error("the box refuses the credential with {0}")]
    Unauthorized(StatusCode),
    /// 404 where the session or turn was expected.
    #[error("the box does not know the session")]
    Gone,
    /// 429 or 503, with its `Retry-After` if it gave one.
    #[error("the box asks for patience with {status}")]
    Later {
        /// The status.
        status: StatusCode,
        /// What it asked for, bounded by [`crate::limits::MAX_RETRY_AFTER`].
        retry_after: Option<Duration>,
    },
    /// A 200 whose body is not what the box's contract says: HTML, half a JSON, nothing.
    #[error("the box's answer makes no sense: {0}")]
    Nonsense(String),
    /// A body beyond [`crate::limits::MAX_BOX_BODY_BYTES`].
    #[error("the box's answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl Error {
    /// Every value of [`Error::class`].
    pub const CLASSES: [&str; 8] = [
        "connect",
        "no_answer",
        "status",
        "unauthorized",
        "gone",
        "later",
        "nonsense",
        "too_large",
    ];

    /// What became of a prompt whose call gave this in the place of an answer.
    #[must_use]
    pub fn of_a_prompt(self) -> Dispatch {
        match self {
            // A credential that is no header value was not sent either.
            Self::Connect(_) | Self::Unauthorized(_) => Dispatch::NotSent(self),
            Self::NoAnswer(_)
            | Self::Status(_)
            | Self::Gone
            | Self::Later { .. }
            | Self::Nonsense(_)
            | Self::TooLarge(_) => Dispatch::Unanswered(self),
        }
    }

    /// The class as a metric's label.
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::NoAnswer(_) => "no_answer",
            Self::Status(_) => "status",
            Self::Unauthorized(_) => "unauthorized",
            Self::Gone => "gone",
            Self::Later { .. } => "later",
            Self::Nonsense(_) => "nonsense",
            Self::TooLarge(_) => "too_large",
        }
    }
}
