//! What is wrong with a request at the operators' door, besides what can be wrong at each.

/// What a request was refused for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Wrong {
    /// Not the operators' token.
    #[error("operators show the token in admin.token of the data folder: Authorization: Bearer")]
    TokenRequired,
    /// A change that may be another site's.
    #[error("a change needs the header x-afterbay-admin: 1")]
    HeaderRequired,
    /// No level of log lines.
    #[error("level must be error, warn, info, debug or trace")]
    LogLevel,
    /// No such path.
    #[error("there is no such route; README lists those of operators")]
    RouteNotFound,
    /// Several boxes have given this name to a session.
    #[error("sessions of several boxes have this name; say ?box=, or use the session's key")]
    SessionAmbiguous,
    /// The turn was over in an earlier life of the program, or many others have ended since.
    #[error("how this turn went is no longer kept; its events may be")]
    TimelineNotKept,
}
