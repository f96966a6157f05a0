//! What clients are told: status, code, extras and headers of each kind of error.

use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::*;
use crate::mode::Phase;
use crate::upstream::BadPrompt;

async fn answer(error: Error) -> (StatusCode, http::HeaderMap, Value) {
    let (parts, body) = error.into_response().into_parts();
    let bytes = body.collect().await.expect("a body").to_bytes();
    (parts.status, parts.headers, serde_json::from_slice(&bytes).expect("JSON"))
}

#[track_caller]
fn check_head(status: StatusCode, headers: &http::HeaderMap, expected: u16, code: &str) {
    assert_eq!((status.as_u16(), &headers[X_AFTERBAY_ERROR]), (expected, &code.parse().unwrap()));
    assert_eq!(headers["content-type"], "application/json");
}

fn denied(status: u16) -> Denied {
    Denied { status: StatusCode::from_u16(status).expect("a status") }
}

#[tokio::test]
async fn an_error_has_status_code_message_and_header() {
    let (status, headers, body) = answer(Error::IdConflict).await;
    check_head(status, &headers, 400, "ID_CONFLICT");
    let message = Error::IdConflict.to_string();
    let expected = json!({"success": false, "error": {"code": "ID_CONFLICT", "message": message}});
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_404_names_what_was_not_found() {
    let id = ExecutionId::parse("e-1").expect("an id");
    let (status, headers, body) =
        answer(Error::ExecutionNotFound(Resource::Execution(id.clone()))).await;
    check_head(status, &headers, 404, "EXECUTION_NOT_FOUND");
    assert_eq!((&body["resourceType"], &body["resourceId"]), (&json!("execution"), &json!("e-1")));

    let session = SessionId::parse("s-1").expect("an id");
    let refused = Refused { denied: denied(404), resource: Resource::Session(session) };
    let (status, headers, body) = answer(Error::Denied(refused)).await;
    check_head(status, &headers, 404, "NOT_FOUND");
    assert_eq!((&body["resourceType"], &body["resourceId"]), (&json!("session"), &json!("s-1")));

    let refused = Refused { denied: denied(403), resource: Resource::Execution(id) };
    let (status, headers, body) = answer(Error::Denied(refused)).await;
    check_head(status, &headers, 403, "FORBIDDEN");
    assert!(body.get("resourceId").is_none());
}

#[tokio::test]
async fn a_409_says_where_the_other_turn_is_and_where_it_must_be() {
    let error = Error::Start(StartError::Running { phase: Phase::Waiting });
    let (status, headers, body) = answer(error).await;
    check_head(status, &headers, 409, "TURN_RUNNING");
    assert_eq!(
        (&body["currentState"], &body["requiredState"]),
        (&json!("waiting"), &json!("idle"))
    );
}

#[tokio::test]
async fn a_429_names_the_quota_and_when_to_come_back() {
    let (status, headers, body) = answer(Error::TooManyStreams).await;
    check_head(status, &headers, 429, "TOO_MANY_STREAMS");
    assert_eq!(body["quotaType"], "streams");
    assert_eq!(headers["retry-after"], "2");
    let (status, headers, body) = answer(Error::TooManyWebSockets).await;
    check_head(status, &headers, 429, "TOO_MANY_WEBSOCKETS");
    assert_eq!(
        (&body["quotaType"], &headers["retry-after"]),
        (&json!("websockets"), &"2".parse().unwrap())
    );
}

async fn check(error: Error, expected: u16, code: &str, retry_after: Option<&str>) {
    let (status, headers, _) = answer(error).await;
    check_head(status, &headers, expected, code);
    let got = headers.get("retry-after").map(|value| value.to_str().expect("text"));
    assert_eq!(got, retry_after, "{code}");
}

#[tokio::test]
async fn starts_and_withdrawals_have_their_statuses() {
    let prompt = StartError::BadPrompt(BadPrompt("no prompt".into()));
    check(Error::Start(StartError::Denied(denied(401))), 401, "UNAUTHORIZED", None).await;
    check(Error::Start(prompt), 400, "INVALID_PROMPT", None).await;
    let soon = Some("2");
    check(Error::Start(StartError::LogUnavailable), 503, "LOG_UNAVAILABLE", soon).await;
    check(Error::Start(StartError::Draining), 503, "DRAINING", soon).await;
    check(Error::Start(StartError::Overloaded), 503, "OVERLOADED", soon).await;
    check(Error::Start(StartError::NoRoom), 503, "NO_ROOM", soon).await;
    let withdrawn = Error::Withdrawn;
    check(withdrawn(Withdrawal::BoxUnreachable), 502, "BOX_UNREACHABLE", None).await;
    check(withdrawn(Withdrawal::LogUnavailable), 503, "LOG_UNAVAILABLE", soon).await;
}

#[tokio::test]
async fn failed_aborts_have_their_statuses() {
    use upstream::Error as Box;
    let session = Resource::Session(SessionId::parse("s-1").expect("an id"));
    let aborted = |error| Error::Abort { error: AbortError::Box(error), session: session.clone() };
    let later = Box::Later {
        status: StatusCode::TOO_MANY_REQUESTS,
        retry_after: Some(Duration::from_millis(4100)),
    };
    check(aborted(Box::Connect("x".into())), 502, "BOX_UNREACHABLE", None).await;
    let refused = Box::Unauthorized(StatusCode::UNAUTHORIZED);
    check(aborted(refused), 401, "UNAUTHORIZED", None).await;
    check(aborted(later), 429, "BOX_BUSY", Some("5")).await;
    check(aborted(Box::Nonsense("x".into())), 502, "BOX_ERROR", None).await;
    let (status, headers, body) = answer(aborted(Box::Gone)).await;
    check_head(status, &headers, 404, "NOT_FOUND");
    assert_eq!(body["resourceId"], "s-1");
}

#[tokio::test]
async fn a_405_lists_the_methods_and_a_body_that_was_not_read_ends_the_connection() {
    let (status, headers, _) = answer(Error::MethodNotAllowed(Allowed("GET"))).await;
    check_head(status, &headers, 405, "METHOD_NOT_ALLOWED");
    assert_eq!(headers["allow"], "GET");
    let (status, headers, _) = answer(Error::BodyTooLarge(5)).await;
    check_head(status, &headers, 413, "BODY_TOO_LARGE");
    assert_eq!(headers["connection"], "close");
}
