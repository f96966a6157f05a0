//! A turn's body with its headers as bytes, to be sealed.
//!
//! How many headers there are, then each one's name and value with their lengths before them, then
//! the body. Numbers are of four bytes, little-endian.

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::upstream::Body;

/// The body as bytes.
pub(super) fn encode(body: &Body) -> Vec<u8> {
    let Body { headers, bytes } = body;
    let mut encoded = Vec::with_capacity(bytes.len() + 64 * headers.len());
    put_number(&mut encoded, headers.len());
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), value.as_bytes()] {
            put_number(&mut encoded, part.len());
            encoded.extend_from_slice(part);
        }
    }
    encoded.extend_from_slice(bytes);
    encoded
}

/// A head is far smaller than what four bytes can count.
fn put_number(to: &mut Vec<u8>, number: usize) {
    to.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
}

/// The body that these bytes mean; `None` if they mean none.
pub(super) fn decode(mut encoded: Bytes) -> Option<Body> {
    let mut headers = HeaderMap::new();
    for _ in 0..encoded.try_get_u32_le().ok()? {
        let name = HeaderName::from_bytes(&part(&mut encoded)?).ok()?;
        headers.append(name, HeaderValue::from_bytes(&part(&mut encoded)?).ok()?);
    }
    Some(Body { headers, bytes: encoded })
}

fn part(encoded: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(encoded.try_get_u32_le().ok()?).ok()?;
    (length <= encoded.len()).then(|| encoded.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_back_with_its_headers_in_their_order() {
        let mut headers = HeaderMap::new();
        headers.append("x-many", HeaderValue::from_static("b"));
        headers.append("x-many", HeaderValue::from_bytes(b"\xff a").expect("a value"));
        headers.append("x-empty", HeaderValue::from_static(""));
        for headers in [headers, HeaderMap::new()] {
            let body = Body { headers, bytes: Bytes::from_static(b"{\"a\":1}") };
            let back = decode(encode(&body).into()).expect("a body");
            assert_eq!((back.headers, back.bytes), (body.headers, body.bytes));
        }
    }

    #[test]
    fn what_is_no_body_is_refused() {
        for bytes in
            [&b""[..], b"\x01\0\0", b"\x01\0\0\0", b"\x01\0\0\0\x09\0\0\0a", b"\xff\xff\xff\xff"]
        {
            assert!(decode(Bytes::copy_from_slice(bytes)).is_none(), "{bytes:?}");
        }
    }
}
