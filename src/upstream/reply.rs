//! A box's answer, and what it means for the one who asked.
//!
//! An answer is either understood ([`Reply::json`]: a 200 with the JSON that was asked for) or
//! classed as one of [`Error`]'s facts. A gateway in front of a box answers in its place with
//! pages of its own; a page is never taken for the box's word.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use http::{StatusCode, header};
use serde::Deserialize;

use super::{Error, Refusal};
use crate::limits;

/// What came back. The body of a success is whole, that of anything else is cut at
/// [`limits::MAX_REFUSAL_BYTES`].
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers as they came.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// The JSON of a success.
    ///
    /// # Errors
    /// What the answer is instead.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Error> {
        if !self.status.is_success() {
            return Err(self.class());
        }
        let nonsense = |what: &str| Err(Error::Nonsense(what.to_owned()));
        let Ok(text) = std::str::from_utf8(&self.body) else {
            return nonsense("the body is not UTF-8");
        };
        if text.trim_ascii().is_empty() {
            return nonsense("the body is empty");
        }
        if self.is_page() {
            return nonsense("the body is a page, not JSON");
        }
        serde_json::from_str(text).map_err(|error| not_as_expected(&error))
    }

    /// What a failure means. A success is none: its body would be.
    #[must_use]
    pub fn class(&self) -> Error {
        match self.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::Unauthorized(self.status),
            StatusCode::NOT_FOUND if !self.is_page() => Error::Gone,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Error::Later { status: self.status, retry_after: self.retry_after() }
            }
            status => Error::Status(status),
        }
    }

    /// Whether the body is HTML: something that stands in the box's place.
    #[must_use]
    pub fn is_page(&self) -> bool {
        let html = self.headers.get(CONTENT_TYPE).is_some_and(|kind| {
            kind.as_bytes().trim_ascii_start().to_ascii_lowercase().starts_with(b"text/html")
        });
        html || self.body.trim_ascii_start().starts_with(b"<")
    }

    /// Whether the body is a JSON object: what a box says of itself. A gateway that lost the box's
    /// answer has a page, a line of text, or nothing.
    #[must_use]
    pub fn is_object(&self) -> bool {
        let json: Option<&serde_json::value::RawValue> = serde_json::from_slice(&self.body).ok();
        json.is_some_and(|json| json.get().starts_with('{'))
    }

    /// What the box asks for, in seconds or as a date, at most [`limits::MAX_RETRY_AFTER`].
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(&self.headers)
    }

    /// The answer as it is handed to the client: without the headers of its transport.
    #[must_use]
    pub fn into_refusal(self) -> Refusal {
        let Self { status, mut headers, body } = self;
        drop_hop_by_hop(&mut headers);
        // The body may have been cut; whoever sends it on counts it again.
        headers.remove(header::CONTENT_LENGTH);
        Refusal { status, headers, body }
    }
}

/// What an answer with these headers asks for, in seconds or as a date, at most
/// [`limits::MAX_RETRY_AFTER`].
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if value.bytes().all(|b| b.is_ascii_digit()) && !value.is_empty() {
        // More digits than a u64 holds ask for longer than any bound.
        value.parse().map_or(Duration::MAX, Duration::from_secs)
    } else {
        let until = httpdate::parse_http_date(value).ok()?;
        until.duration_since(clock(headers)).unwrap_or_default()
    };
    Some(wait.min(limits::MAX_RETRY_AFTER))
}

/// The time by the clock that wrote the `Retry-After`, if the answer tells it.
fn clock(headers: &HeaderMap) -> SystemTime {
    let date = headers.get(DATE).and_then(|value| value.to_str().ok());
    date.and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or_else(SystemTime::now)
}

/// Whether a status with which a box, or a way to it, fails says for sure that nothing was done: a 4xx
/// but for two that a gateway gives, too, and 508 of whoever finds that the way leads back to it.
pub fn is_clear_no(status: StatusCode) -> bool {
    let gateways = [StatusCode::NOT_FOUND, StatusCode::REQUEST_TIMEOUT];
    status == StatusCode::LOOP_DETECTED || (status.is_client_error() && !gateways.contains(&status))
}

/// Removes the headers that belong to one connection, those that `Connection` names included.
pub fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(|name| name.trim().to_ascii_lowercase()))
        .collect();
    for name in named {
        headers.remove(name.as_str());
    }
    for name in [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::TE,
        header::TRAILER,
        header::UPGRADE,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
    ] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
}

/// Where and how JSON failed, without any of its text: serde's own message quotes the body.
pub fn not_as_expected(error: &serde_json::Error) -> Error {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "the JSON ends too early",
        serde_json::error::Category::Data => "the JSON has another shape",
        serde_json::error::Category::Syntax => "the body is not JSON",
        serde_json::error::Category::Io => "the body cannot be read",
    };
    Error::Nonsense(format!("{what} (line {}, column {})", error.line(), error.column()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, headers: &[(&'static str, &'static str)], body: &'static [u8]) -> Reply {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (header::HeaderName::from_static(name), header::HeaderValue::from_static(value))
            })
            .collect();
        let status = StatusCode::from_u16(status).expect("a status");
        Reply { status, headers, body: Bytes::from_static(body) }
    }

    #[test]
    fn an_answer_is_classed_by_what_can_be_relied_on() {
        let table: [(Reply, &str); 13] = [
            (reply(401, &[], b""), "unauthorized"),
            (reply(403, &[], b"<html>"), "unauthorized"),
            (reply(404, &[], b"{}"), "gone"),
            (reply(404, &[], b""), "gone"),
            (reply(404, &[("content-type", "text/html; charset=utf-8")], b"no tunnel"), "status"),
            (reply(404, &[], b" <!doctype html>"), "status"),
            (reply(429, &[], b""), "later"),
            (reply(503, &[], b"<html>"), "later"),
            (reply(500, &[], b"{}"), "status"),
            (reply(302, &[], b""), "status"),
            (reply(200, &[], b"<html></html>"), "nonsense"),
            (reply(200, &[], b""), "nonsense"),
            (reply(200, &[], b"{\"a\":\"\xff\"}"), "nonsense"),
        ];
        for (reply, class) in table {
            let error = reply.json::<serde::de::IgnoredAny>().expect_err("no good answer");
            assert_eq!(error.class(), class, "{reply:?}");
        }
    }

    #[test]
    fn a_no_is_clear_if_no_gateway_gives_it_for_a_request_that_it_lost() {
        for (status, clear) in [
            (400, true),
            (409, true),
            (422, true),
            (508, true),
            (404, false),
            (408, false),
            (500, false),
            (502, false),
            (504, false),
            (302, false),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(is_clear_no(status), clear, "{status}");
        }
    }

    #[test]
    fn nonsense_is_told_without_its_text() {
        let half = reply(200, &[], b"{\"secret-key\":\"secret-val");
        let shape = reply(200, &[], b"[\"secret-val\"]");
        for reply in [half, shape] {
            let error = reply.json::<std::collections::BTreeMap<String, u8>>().expect_err("bad");
            let text = format!("{error} {error:?}");
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_bounded() {
        let date = ("date", "Sun, 22 Nov 2026 18:26:52 GMT");
        for (value, wait) in [
            ("3", Some(3)),
            (" 7 ", Some(7)),
            ("0", Some(0)),
            ("999999", Some(300)),
            ("99999999999999999999999", Some(300)),
            ("Sun, 22 Nov 2026 18:27:02 GMT", Some(10)),
            ("Sun, 22 Nov 2026 18:26:02 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let reply = reply(429, &[("retry-after", value), date], b"");
            assert_eq!(reply.retry_after(), wait.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn a_refusal_leaves_the_headers_of_its_connection_behind() {
        let reply = reply(
            400,
            &[
                ("connection", "close, x-hop"),
                ("x-hop", "1"),
                ("content-length", "2"),
                ("x-e", "2"),
            ],
            b"{}",
        );
        let refusal = reply.into_refusal();
        let names: Vec<_> = refusal.headers.keys().map(http::HeaderName::as_str).collect();
        assert_eq!(names, ["x-e"]);
    }
}
