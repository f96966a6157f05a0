//! How a call to the puppet fails, as an adapter would tell it.
//!
//! Each kind is one error of the adapters' contract; which call fails, and when, is up to the test.

use afterbay::upstream::Error;
use http::StatusCode;

/// How a call that reads fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Connect,
    NoAnswer,
    Status,
    Unauthorized,
    Gone,
    Later,
    Nonsense,
}

impl Fault {
    pub(crate) const ALL: [Self; 7] = [
        Self::Connect,
        Self::NoAnswer,
        Self::Status,
        Self::Unauthorized,
        Self::Gone,
        Self::Later,
        Self::Nonsense,
    ];

    pub(super) fn error(self) -> Error {
        match self {
            Self::Connect => Error::Connect("refused".into()),
            Self::NoAnswer => Error::NoAnswer("reset".into()),
            Self::Status => Error::Status(StatusCode::BAD_GATEWAY),
            Self::Unauthorized => Error::Unauthorized(StatusCode::UNAUTHORIZED),
            Self::Gone => Error::Gone,
            Self::Later => {
                Error::Later { status: StatusCode::SERVICE_UNAVAILABLE, retry_after: None }
            }
            Self::Nonsense => Error::Nonsense("html".into()),
        }
    }
}
