//! Every error that a client can be told, in one place: fact to status, code and body.
//!
//! The codes are public words and stay; the messages are for people and may change. No message
//! holds a credential, a query or a piece of a body. Each answer carries its code in
//! `x-afterbay-error` too, so that an error of ours is told apart from the box's own.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::admin::Wrong;
use super::front::Unreadable;
use super::route::Allowed;
use crate::ids::{BoxName, ExecutionId, InvalidId, SessionId};
use crate::limits;
use crate::session::{AbortError, Denied, StartError};
use crate::turn::verdict::Withdrawal;
use crate::upstream;

/// The header that tells our errors from the box's.
pub(crate) const X_AFTERBAY_ERROR: &str = "x-afterbay-error";

/// What a request was refused for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No `Host`, two of them, or one that names no host.
    #[error("the request needs one valid Host")]
    InvalidHost,
    /// A host name that this server does not answer to.
    #[error("this server does not answer to that Host; add it to the configured hosts")]
    HostNotAllowed,
    /// A web page of another origin.
    #[error("a web page of another origin needs an Authorization header")]
    OriginNotAllowed,
    /// A mode for the request that is none.
    #[error("x-afterbay-streaming must be given once, as poll or sse")]
    InvalidStreaming,
    /// The route has other methods.
    #[error("the route has no such method")]
    MethodNotAllowed(Allowed),
    /// No own token where one is asked for, or a wrong one.
    #[error("this server asks for a token of its own: Authorization: Bearer, or x-afterbay-token")]
    TokenRequired,
    /// Something of the operators' door alone.
    #[error(transparent)]
    Operators(#[from] Wrong),
    /// An `Authorization` that is doubled or not text.
    #[error("the request needs at most one Authorization header, of visible ASCII")]
    InvalidCredential,
    /// An id outside the alphabet.
    #[error(transparent)]
    InvalidId(#[from] InvalidId),
    /// Two names for one execution.
    #[error("X-Execution-ID and executionId name different executions")]
    IdConflict,
    /// Two names for one thing of the native API.
    #[error("the request says two different things as its {0}")]
    TwoNames(&'static str),
    /// A path of ours that is none.
    #[error("there is no such route; /afterbay/v1/openapi.json lists all")]
    RouteNotFound,
    /// No box of that name.
    #[error(
        "no box of that name is known; that of a sandbox is once it was asked for through afterbay"
    )]
    BoxUnknown(Option<Resource>),
    /// No such session with us.
    #[error("no such session is known here")]
    SessionNotFound(Resource),
    /// A turn without a prompt.
    #[error("a turn needs a message or parts")]
    MessageRequired,
    /// Ids of another turn.
    #[error("these ids were used for another message")]
    IdempotencyConflict,
    /// A cursor that is no number of ours.
    #[error("a cursor is the number of an event")]
    InvalidCursor,
    /// A cursor that nobody was given.
    #[error("the cursor is beyond the last event")]
    CursorBeyondTail,
    /// A part of the query that makes no sense.
    #[error("the query's {0} is not valid here")]
    InvalidQuery(&'static str),
    /// A body that does not say that it is JSON.
    #[error("the body must come as application/json")]
    ContentType,
    /// The log cannot be read.
    #[error("the log cannot be read")]
    LogUnavailable,
    /// A replay of nothing.
    #[error("name an execution: ?executionId= or X-Execution-ID")]
    ExecutionIdRequired,
    /// A limit of lines that is none.
    #[error("max_line must be a positive number")]
    InvalidMaxLine,
    /// Bytes that are not JSON.
    #[error("the body is not valid JSON in UTF-8")]
    InvalidJson,
    /// JSON, but not an object.
    #[error("the body must be a JSON object")]
    NotAnObject,
    /// A key that we read stands twice.
    #[error("the body says {0} twice")]
    DuplicateKey(&'static str),
    /// Nested beyond [`limits::MAX_JSON_DEPTH`].
    #[error("the body is nested too deep")]
    BodyTooDeep,
    /// Beyond the bound, in bytes.
    #[error("the body is larger than {0} bytes")]
    BodyTooLarge(usize),
    /// A `Content-Encoding` on a turn.
    #[error("a turn's body must not be encoded")]
    ContentEncoding,
    /// The body did not arrive within [`limits::BODY_DEADLINE`], or fell silent on its way to the box.
    #[error("the body did not arrive in time")]
    BodyTimeout,
    /// The body broke off.
    #[error("the body broke off")]
    BodyBroken,
    /// No such execution with us.
    #[error("no such execution is known here")]
    ExecutionNotFound(Resource),
    /// No right to read.
    #[error(transparent)]
    Denied(Refused),
    /// A turn was not started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A turn never reached the box.
    #[error("{}", .0.explanation())]
    Withdrawn(Withdrawal),
    /// An abort came to nothing.
    #[error("{error}")]
    Abort {
        /// Why.
        error: AbortError,
        /// On what.
        session: Resource,
    },
    /// Too many open streams.
    #[error("too many streams are open")]
    TooManyStreams,
    /// Too many carried WebSockets.
    #[error("too many WebSockets are open")]
    TooManyWebSockets,
    /// Too many bytes of turns in memory.
    #[error("too many turns are being read")]
    TooManyBodies,
    /// Afterbay is stopping.
    #[error("afterbay is stopping")]
    Draining,
    /// A request that has come through this process before.
    #[error("the request comes back to the proxy that it came from")]
    LoopDetected,
    /// A request whose end is not clear.
    #[error("the request's framing is ambiguous")]
    AmbiguousFraming,
    /// No connection to the box: nothing was sent.
    #[error("the box is not reachable")]
    BoxUnreachable,
    /// The connection to the box broke before it answered.
    #[error("the box broke off without an answer")]
    BoxBroke,
    /// No connection to the Sandbox API: nothing was sent.
    #[error("the Sandbox API is not reachable")]
    ApiUnreachable,
    /// The connection to the Sandbox API broke before the answer was whole.
    #[error("the Sandbox API broke off without an answer")]
    ApiBroke,
    /// An answer that may tell where boxes are and cannot be read, so it is not passed on.
    #[error("the Sandbox API's answer cannot be read: {0}")]
    ApiAnswer(Unreadable),
    /// A broken law of ours.
    #[error("afterbay failed on this request")]
    Internal,
}

/// A denied reading, with what was asked for.
#[derive(Debug, thiserror::Error)]
#[error("no right to read this")]
pub(crate) struct Refused {
    pub(crate) denied: Denied,
    pub(crate) resource: Resource,
}

/// What a 404 is about, for clients that look at it.
#[derive(Debug, Clone)]
pub(crate) enum Resource {
    Execution(ExecutionId),
    Session(SessionId),
    Box(BoxName),
}

impl Resource {
    fn named(&self) -> (&'static str, &str) {
        match self {
            Self::Execution(id) => ("execution", id.as_str()),
            Self::Session(id) => ("session", id.as_str()),
            Self::Box(name) => ("box", name.as_str()),
        }
    }
}

/// What the client is told: status, code, and the extras of some statuses.
struct Told<'a> {
    status: StatusCode,
    code: &'static str,
    resource: Option<&'a Resource>,
    state: Option<&'static str>,
    quota: Option<&'static str>,
    retry_after: Option<Duration>,
}

impl<'a> Told<'a> {
    const fn new(status: StatusCode, code: &'static str) -> Self {
        Self { status, code, resource: None, state: None, quota: None, retry_after: None }
    }

    const fn later(status: StatusCode, code: &'static str) -> Self {
        let mut told = Self::new(status, code);
        told.retry_after = Some(limits::COME_BACK_AFTER);
        told
    }

    fn denied(denied: &Denied) -> Self {
        let Denied { status } = denied;
        let code = match status.as_u16() {
            401 => "UNAUTHORIZED",
            404 => "NOT_FOUND",
            429 => "RATE_LIMITED",
            500..=599 => "BOX_ERROR",
            _ => "FORBIDDEN",
        };
        Self::new(*status, code)
    }

    const fn about(mut self, resource: &'a Resource) -> Self {
        self.resource = Some(resource);
        self
    }
}

impl Error {
    /// The one match from facts to public words.
    fn told(&self) -> Told<'_> {
        use StatusCode as S;
        match self {
            Self::InvalidHost => Told::new(S::BAD_REQUEST, "INVALID_HOST"),
            Self::HostNotAllowed => Told::new(S::MISDIRECTED_REQUEST, "HOST_NOT_ALLOWED"),
            Self::OriginNotAllowed => Told::new(S::FORBIDDEN, "ORIGIN_NOT_ALLOWED"),
            Self::InvalidStreaming => Told::new(S::BAD_REQUEST, "INVALID_STREAMING"),
            Self::MethodNotAllowed(_) => Told::new(S::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED"),
            Self::TokenRequired => Told::new(S::UNAUTHORIZED, "TOKEN_REQUIRED"),
            Self::Operators(wrong) => told_of_operators(wrong),
            Self::InvalidCredential => Told::new(S::BAD_REQUEST, "INVALID_CREDENTIAL"),
            Self::InvalidId(_) => Told::new(S::BAD_REQUEST, "INVALID_ID"),
            Self::IdConflict | Self::TwoNames(_) => Told::new(S::BAD_REQUEST, "ID_CONFLICT"),
            Self::RouteNotFound => Told::new(S::NOT_FOUND, "ROUTE_NOT_FOUND"),
            Self::BoxUnknown(resource) => {
                let told = Told::new(S::NOT_FOUND, "BOX_UNKNOWN");
                match resource {
                    Some(resource) => told.about(resource),
                    None => told,
                }
            }
            Self::SessionNotFound(resource) => {
                Told::new(S::NOT_FOUND, "SESSION_NOT_FOUND").about(resource)
            }
            Self::MessageRequired => Told::new(S::BAD_REQUEST, "MESSAGE_REQUIRED"),
            Self::IdempotencyConflict => Told::new(S::CONFLICT, "IDEMPOTENCY_CONFLICT"),
            Self::InvalidCursor => Told::new(S::BAD_REQUEST, "INVALID_CURSOR"),
            Self::CursorBeyondTail => Told::new(S::CONFLICT, "CURSOR_BEYOND_TAIL"),
            Self::InvalidQuery(_) => Told::new(S::BAD_REQUEST, "INVALID_QUERY"),
            Self::ContentType => Told::new(S::UNSUPPORTED_MEDIA_TYPE, "CONTENT_TYPE"),
            Self::LogUnavailable => Told::later(S::SERVICE_UNAVAILABLE, "LOG_UNAVAILABLE"),
            Self::ExecutionIdRequired => Told::new(S::BAD_REQUEST, "EXECUTION_ID_REQUIRED"),
            Self::InvalidMaxLine => Told::new(S::BAD_REQUEST, "INVALID_MAX_LINE"),
            Self::InvalidJson => Told::new(S::BAD_REQUEST, "INVALID_JSON"),
            Self::NotAnObject => Told::new(S::BAD_REQUEST, "INVALID_BODY"),
            Self::DuplicateKey(_) => Told::new(S::BAD_REQUEST, "DUPLICATE_KEY"),
            Self::BodyTooDeep => Told::new(S::BAD_REQUEST, "BODY_TOO_DEEP"),
            Self::BodyTooLarge(_) => Told::new(S::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE"),
            Self::ContentEncoding => Told::new(S::UNSUPPORTED_MEDIA_TYPE, "CONTENT_ENCODING"),
            Self::BodyTimeout => Told::new(S::REQUEST_TIMEOUT, "BODY_TIMEOUT"),
            Self::BodyBroken => Told::new(S::BAD_REQUEST, "BODY_BROKEN"),
            Self::ExecutionNotFound(resource) => {
                Told::new(S::NOT_FOUND, "EXECUTION_NOT_FOUND").about(resource)
            }
            Self::Denied(refused) => Told::denied(&refused.denied).about(&refused.resource),
            Self::Start(error) => told_of_start(error),
            Self::Withdrawn(why) => told_of_withdrawn(*why),
            Self::Abort { error, session } => told_of_abort(error).about(session),
            Self::TooManyStreams => {
                let told = Told::later(S::TOO_MANY_REQUESTS, "TOO_MANY_STREAMS");
                Told { quota: Some("streams"), ..told }
            }
            Self::TooManyWebSockets => {
                let told = Told::later(S::TOO_MANY_REQUESTS, "TOO_MANY_WEBSOCKETS");
                Told { quota: Some("websockets"), ..told }
            }
            Self::TooManyBodies => Told::later(S::SERVICE_UNAVAILABLE, "OVERLOADED"),
            Self::Draining => Told::later(S::SERVICE_UNAVAILABLE, "DRAINING"),
            Self::LoopDetected => Told::new(S::LOOP_DETECTED, "LOOP_DETECTED"),
            Self::AmbiguousFraming => Told::new(S::BAD_REQUEST, "AMBIGUOUS_FRAMING"),
            Self::BoxUnreachable => Told::new(S::BAD_GATEWAY, "BOX_UNREACHABLE"),
            Self::BoxBroke => Told::new(S::BAD_GATEWAY, "BOX_ERROR"),
            Self::ApiUnreachable => Told::new(S::BAD_GATEWAY, "API_UNREACHABLE"),
            Self::ApiBroke => Told::new(S::BAD_GATEWAY, "API_ERROR"),
            Self::ApiAnswer(_) => Told::new(S::BAD_GATEWAY, "API_ANSWER_UNREADABLE"),
            Self::Internal => Told::new(S::INTERNAL_SERVER_ERROR, "INTERNAL"),
        }
    }

    /// The public word for it.
    pub(crate) fn code(&self) -> &'static str {
        self.told().code
    }

    /// Whether the connection may not be used again, since the request's end was not read or is
    /// not trusted.
    const fn ends_connection(&self) -> bool {
        matches!(
            self,
            Self::AmbiguousFraming | Self::BodyTooLarge(_) | Self::BodyTimeout | Self::BodyBroken
        )
    }

    /// The answer.
    pub(crate) fn into_response(self) -> Response {
        let told = self.told();
        let found = told.resource.filter(|_| told.status == StatusCode::NOT_FOUND);
        let found = found.map(Resource::named);
        let body = ErrorBody {
            success: false,
            error: ErrorDetail { code: told.code, message: &self.to_string() },
            resource_type: found.map(|(kind, _)| kind),
            resource_id: found.map(|(_, id)| id),
            current_state: told.state,
            required_state: told.state.map(|_| "idle"),
            quota_type: told.quota,
        };
        let mut response = Response::new(json(&body));
        *response.status_mut() = told.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_AFTERBAY_ERROR, HeaderValue::from_static(told.code));
        if let Some(wait) = told.retry_after {
            // Rounded up: coming back earlier than asked is coming back twice.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Self::MethodNotAllowed(Allowed(methods)) = &self {
            headers.insert(header::ALLOW, HeaderValue::from_static(methods));
        }
        if matches!(self, Self::TokenRequired | Self::Operators(Wrong::TokenRequired)) {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.ends_connection() {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

const fn told_of_operators(wrong: &Wrong) -> Told<'static> {
    match wrong {
        Wrong::TokenRequired => Told::new(StatusCode::UNAUTHORIZED, "TOKEN_REQUIRED"),
        Wrong::HeaderRequired => Told::new(StatusCode::FORBIDDEN, "ADMIN_HEADER_REQUIRED"),
        Wrong::LogLevel => Told::new(StatusCode::BAD_REQUEST, "INVALID_LOG_LEVEL"),
        Wrong::RouteNotFound => Told::new(StatusCode::NOT_FOUND, "ROUTE_NOT_FOUND"),
        Wrong::SessionAmbiguous => Told::new(StatusCode::CONFLICT, "SESSION_AMBIGUOUS"),
        Wrong::TimelineNotKept => Told::new(StatusCode::NOT_FOUND, "TIMELINE_NOT_KEPT"),
    }
}

fn told_of_start(error: &StartError) -> Told<'_> {
    match error {
        StartError::Denied(denied) => Told::denied(denied),
        StartError::Running { phase } => {
            let told = Told::new(StatusCode::CONFLICT, "TURN_RUNNING");
            Told { state: Some(phase.as_str()), ..told }
        }
        StartError::BadPrompt(_) => Told::new(StatusCode::BAD_REQUEST, "INVALID_PROMPT"),
        StartError::UnknownBox => Told::new(StatusCode::NOT_FOUND, "BOX_UNKNOWN"),
        StartError::LogUnavailable => {
            Told::later(StatusCode::SERVICE_UNAVAILABLE, "LOG_UNAVAILABLE")
        }
        StartError::NoRoom => Told::later(StatusCode::SERVICE_UNAVAILABLE, "NO_ROOM"),
        StartError::Draining => Told::later(StatusCode::SERVICE_UNAVAILABLE, "DRAINING"),
        StartError::Overloaded => Told::later(StatusCode::SERVICE_UNAVAILABLE, "OVERLOADED"),
    }
}

/// A box that was not reached is the gateway's failure; the log's trouble is ours and passes.
fn told_of_withdrawn(why: Withdrawal) -> Told<'static> {
    match why {
        Withdrawal::BoxUnreachable | Withdrawal::BoxError | Withdrawal::Refused => {
            Told::new(StatusCode::BAD_GATEWAY, why.code())
        }
        Withdrawal::SessionLost => Told::new(StatusCode::GONE, why.code()),
        Withdrawal::Cancelled => Told::new(StatusCode::CONFLICT, why.code()),
        Withdrawal::NeverSent | Withdrawal::LogUnavailable | Withdrawal::NotKept => {
            Told::later(StatusCode::SERVICE_UNAVAILABLE, why.code())
        }
    }
}

fn told_of_abort(error: &AbortError) -> Told<'_> {
    let bad_gateway = |code| Told::new(StatusCode::BAD_GATEWAY, code);
    match error {
        AbortError::Denied(denied) => Told::denied(denied),
        AbortError::Box(error) => match error {
            upstream::Error::Connect(_) | upstream::Error::NoAnswer(_) => {
                bad_gateway("BOX_UNREACHABLE")
            }
            upstream::Error::Unauthorized(status) => Told::denied(&Denied { status: *status }),
            upstream::Error::Gone => Told::new(StatusCode::NOT_FOUND, "NOT_FOUND"),
            upstream::Error::Later { status, retry_after } => {
                let told = Told::later(*status, "BOX_BUSY");
                Told { retry_after: retry_after.or(told.retry_after), ..told }
            }
            upstream::Error::Status(_)
            | upstream::Error::Nonsense(_)
            | upstream::Error::TooLarge(_) => bad_gateway("BOX_ERROR"),
        },
    }
}

/// What every error of ours says.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorBody<'a> {
    success: bool,
    error: ErrorDetail<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    required_state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quota_type: Option<&'static str>,
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorDetail<'a> {
    /// For programs: a code that stays.
    code: &'static str,
    /// For people: may change.
    message: &'a str,
}

/// A value of ours as a body.
pub(crate) fn json<T: Serialize>(value: &T) -> Body {
    Body::from(serde_json::to_vec(value).unwrap_or_default())
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
