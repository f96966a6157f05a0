//! WebSockets: a request for one goes to the box with its handshake, and so does what follows.
//!
//! Promises: the handshake reaches the box with every header of its own, subprotocols included;
//! whatever the box answers comes back, a refusal with its status and body; after a 101 the bytes
//! of both sides are carried untouched by a task of their own ([`super::tunnel`]). So many at
//! once, since such a connection no longer counts as one of the server's.
//!
//! Only what RFC 6455 calls a handshake is carried: GET over HTTP/1.1. WebSockets over HTTP/2
//! (extended CONNECT) are not; other protocols in `Upgrade` end here, as all hop-by-hop headers.

use axum::body::{Body, HttpBody};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;

use super::end_to_end::member;
use super::error::Error;
use super::guard;
use super::leave::Leave;
use super::passthrough::Passthrough;
use super::{Door, passthrough, tunnel};

/// Whether the request is the handshake of a WebSocket that can be carried.
pub(super) fn is_asked(parts: &Parts) -> bool {
    parts.method == Method::GET
        && parts.version == Version::HTTP_11
        && member(&parts.headers, header::CONNECTION, "upgrade").is_some()
        && guard::is_websocket(&parts.headers)
}

/// Sends the handshake on this way, to the box or the API, and carries the connection if the box agrees.
///
/// # Errors
/// [`Error::Draining`], [`Error::TooManyWebSockets`]; [`Error::AmbiguousFraming`] for a handshake
/// with a body, whose end and the socket's beginning two readers could see in different places;
/// those of the pass-through; [`Error::BoxBroke`] if the box switches to something else.
// Cancel-safe: dropping it closes the connection to the box, as the client closed its own.
pub(super) async fn carry(
    door: &Door,
    way: &Passthrough,
    mut parts: Parts,
    body: Body,
) -> Result<Response, Error> {
    let place = door.places.take_socket()?;
    let asked = protocol(&parts.headers).ok_or(Error::Internal)?;
    let on_client = parts.extensions.remove::<OnUpgrade>().ok_or(Error::Internal)?;
    if !body.is_end_stream() {
        return Err(Error::AmbiguousFraming);
    }
    let mut request = way.request(parts, body)?;
    switch(request.headers_mut(), asked);
    let mut answer = way.exchange(request).await?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(passthrough::relay(answer));
    }
    let Some(agreed) = protocol(answer.headers()) else {
        tracing::warn!("the box switches to a protocol that was not asked for");
        return Err(Error::BoxBroke);
    };
    let on_box = hyper::upgrade::on(&mut answer);
    let mut response = passthrough::relay(answer);
    *response.body_mut() = Body::empty();
    // A 101 has no body, so it has no length either.
    response.headers_mut().remove(header::CONTENT_LENGTH);
    switch(response.headers_mut(), agreed);

    let metrics = door.doors.metrics.clone();
    let leave = Leave::early(door.doors.drain.clone(), door.doors.settings.grace);
    let stop = door.doors.tasks.stop_token().clone();
    door.doors.tasks.spawn("websocket", async move {
        let _place = place;
        metrics.socket_opened();
        metrics.socket_ended(tunnel::carry(both(on_client, on_box), leave, stop).await);
    });
    Ok(response)
}

/// Both sides, once each has switched; `None` if one of them has gone before.
async fn both(client: OnUpgrade, at_box: OnUpgrade) -> Option<(Socket, Socket)> {
    let (client, at_box) = tokio::try_join!(client, at_box).ok()?;
    Some((TokioIo::new(client), TokioIo::new(at_box)))
}

type Socket = TokioIo<Upgraded>;

/// Says of a message that its connection switches to `protocol`.
fn switch(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, protocol);
}

/// The protocol as the message spells it, if a WebSocket is among those that it names.
fn protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let found = member(headers, header::UPGRADE, "websocket")?;
    HeaderValue::from_str(found).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: Method, version: Version, lines: &[(&'static str, &'static str)]) -> bool {
        let mut request = http::Request::builder().method(method).version(version);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        is_asked(&request.body(()).expect("a request").into_parts().0)
    }

    #[test]
    fn only_a_get_over_http_1_1_that_says_both_words_asks_for_a_websocket() {
        let (get, http11) = (Method::GET, Version::HTTP_11);
        let socket = [("connection", "Upgrade"), ("upgrade", "websocket")];
        let firefox = [("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")];
        let among = [("connection", "x"), ("connection", "upgrade"), ("upgrade", "h2c, websocket")];
        for lines in [&socket[..], &firefox, &among] {
            assert!(check(get.clone(), http11, lines), "{lines:?}");
        }
        assert!(!check(Method::POST, http11, &socket));
        for version in [Version::HTTP_10, Version::HTTP_2] {
            assert!(!check(get.clone(), version, &socket), "{version:?}");
        }
        let other = [("connection", "upgrade"), ("upgrade", "h2c")];
        for lines in [&socket[..1], &socket[1..], &other] {
            assert!(!check(get.clone(), http11, lines), "{lines:?}");
        }
    }
}
