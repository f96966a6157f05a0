//! Getting a sandbox although the API is busy: a failed create is sent once more.
//!
//! Only a create that carries an idempotency key, in its header or its body: whether the API took the
//! first one cannot be known, and without a key it might make two. The same request goes out each time,
//! after what the API asks for (`Retry-After`) or longer each time, within a budget: clients give up
//! by themselves. What would come too late is not begun; then the API's last answer is the answer. If the
//! client goes away, or afterbay stops, no more is sent.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep_until};

use super::super::Door;
use super::super::error::Error;
use super::Front;
use crate::limits;
use crate::upstream::reply;
use crate::upstream::schedule::{Intervals, Pace, Schedule};

/// The header that names a request, so that the API knows its repeat.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// How failed creates are sent once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acquire {
    /// From the first sending to the last one.
    pub budget: Duration,
}

impl Acquire {
    /// Sends a create, again if that may help.
    ///
    /// # Errors
    /// As [`Front::send`]; those of the body.
    // Cancel-safe: dropped, nothing more is sent.
    pub(super) async fn create(
        self,
        front: &Front,
        door: &Door,
        mut parts: Parts,
        body: Body,
    ) -> Result<Response, Error> {
        let most = limits::MAX_CREATE_BODY_BYTES;
        let fits = body.size_hint().exact().is_some_and(|bytes| bytes <= most as u64);
        if !fits {
            return front.send(parts, body).await;
        }
        // Encoded or not, the bytes are the client's; they are kept as they are.
        let held = door.bodies.up_to(most).read(&HeaderMap::new(), body).await?;
        let is_named = has_key(&parts.headers) || names_itself(&held.bytes);
        if !is_named {
            return front.send(parts, Body::from(held.into_bytes())).await;
        }
        // The whole body is here.
        parts.headers.remove(header::EXPECT);
        let end = Instant::now() + self.budget;
        let mut schedule = Schedule::new(Intervals {
            fastest: limits::CREATE_FIRST_PAUSE,
            slowest: limits::CREATE_LONGEST_PAUSE,
            waiting: limits::CREATE_LONGEST_PAUSE,
        });
        loop {
            let answer = front.send(parts.clone(), Body::from(held.bytes.clone())).await;
            let Some(asked) = worth_another(&answer) else {
                return answer;
            };
            let now = Instant::now();
            let pause = schedule.next(now, Pace::Failing, None, rand::random()).at;
            let next = asked.map_or(pause, |asked| pause.max(now + asked));
            if next > end {
                return answer;
            }
            // Both arms only wait.
            tokio::select! {
                biased;
                () = door.doors.drain.cancelled() => return answer,
                () = sleep_until(next) => {}
            }
            front.metrics.retries.inc();
            tracing::info!("a failed create is sent once more");
        }
    }
}

/// Whether another try may end otherwise, and after which wait, if the API says so.
fn worth_another(answer: &Result<Response, Error>) -> Option<Option<Duration>> {
    match answer {
        Ok(answer) => may_pass(answer.status()).then(|| reply::retry_after(answer.headers())),
        Err(error) => matches!(error, Error::ApiUnreachable).then_some(None),
    }
}

/// Whether a refusal is about the moment and not about the request; 520 to 527 are those of a gateway
/// that does not get through to the API.
const fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 502..=504 | 520..=527)
}

fn has_key(headers: &HeaderMap) -> bool {
    headers.get(IDEMPOTENCY_KEY).is_some_and(|key| !key.as_bytes().trim_ascii().is_empty())
}

/// Whether the body carries a key. Assumed: `idempotencyKey`, at its top.
fn names_itself(body: &Bytes) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Said<'a> {
        #[serde(borrow)]
        idempotency_key: Option<&'a RawValue>,
    }
    // An array would be taken for the keys in their order.
    let object = Some(body).filter(|body| body.trim_ascii_start().starts_with(b"{"));
    let said = object.and_then(|body| serde_json::from_slice::<Said<'_>>(body).ok());
    let key = said.and_then(|said| said.idempotency_key);
    key.is_some_and(|key| key.get().starts_with('"') && key.get() != "\"\"")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn answer(status: u16, retry_after: Option<&'static str>) -> Result<Response, Error> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        if let Some(value) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(value));
        }
        Ok(response)
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for status in [408, 425, 429, 502, 503, 504, 520, 522, 524, 527] {
            assert_eq!(worth_another(&answer(status, None)), Some(None), "{status}");
        }
        for status in [200, 201, 202, 301, 400, 401, 403, 404, 409, 422, 500, 501, 505, 519, 528] {
            assert_eq!(worth_another(&answer(status, Some("1"))), None, "{status}");
        }
        assert_eq!(worth_another(&answer(503, Some("7"))), Some(Some(Duration::from_secs(7))));
        assert_eq!(worth_another(&Err(Error::ApiUnreachable)), Some(None));
        // It may have been made.
        assert_eq!(worth_another(&Err(Error::ApiBroke)), None);
        assert_eq!(worth_another(&Err(Error::LoopDetected)), None);
    }

    #[test]
    fn a_request_is_known_by_its_header_or_by_its_body() {
        let header = |value| {
            HeaderMap::from_iter([(
                http::HeaderName::from_static(IDEMPOTENCY_KEY),
                HeaderValue::from_static(value),
            )])
        };
        assert!(has_key(&header("k")) && !has_key(&header(" ")) && !has_key(&HeaderMap::new()));
        for (body, named) in [
            (r#"{"idempotencyKey":"k"}"#, true),
            (r#"{"a":1,"idempotencyKey" : "k","b":{}}"#, true),
            (r#"{"idempotencyKey":""}"#, false),
            (r#"{"idempotencyKey":null}"#, false),
            (r#"{"idempotencyKey":7}"#, false),
            (r#"{"metadata":{"idempotencyKey":"k"}}"#, false),
            (r#"["idempotencyKey"]"#, false),
            ("", false),
            ("{", false),
        ] {
            assert_eq!(names_itself(&Bytes::from(body)), named, "{body}");
        }
    }
}
