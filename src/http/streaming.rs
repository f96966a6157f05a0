//! The mode of one request: a client may choose for itself.
//!
//! The header is about this program and not about the box, so it ends here.

use http::{HeaderMap, HeaderName};

use super::error::Error;
use crate::mode::Mode;

/// The header that says how a request is to be served.
const X_AFTERBAY_STREAMING: HeaderName = HeaderName::from_static("x-afterbay-streaming");

/// Takes the header out and says which mode it names.
///
/// # Errors
/// [`Error::InvalidStreaming`] if it names none, or is there twice.
pub(crate) fn take(headers: &mut HeaderMap) -> Result<Option<Mode>, Error> {
    let mut values = headers.get_all(&X_AFTERBAY_STREAMING).iter();
    let mode = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.to_str().ok().and_then(|text| text.parse().ok()),
        (Some(_), Some(_)) => None,
    };
    headers.remove(X_AFTERBAY_STREAMING);
    mode.map(Some).ok_or(Error::InvalidStreaming)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn asked(values: &[&'static [u8]]) -> Result<Option<Mode>, Error> {
        let mut headers = HeaderMap::new();
        headers.insert("x-other", HeaderValue::from_static("sse"));
        for value in values {
            headers.append(X_AFTERBAY_STREAMING, HeaderValue::from_bytes(value).expect("a value"));
        }
        let asked = take(&mut headers);
        assert_eq!(headers.len(), 1, "it ends here");
        asked
    }

    #[test]
    fn a_mode_is_named_once_in_its_own_spelling_or_not_at_all() {
        assert!(matches!(asked(&[]), Ok(None)));
        assert!(matches!(asked(&[b"poll"]), Ok(Some(Mode::Poll))));
        assert!(matches!(asked(&[b"sse"]), Ok(Some(Mode::Sse))));
        for values in [
            &[&b""[..]][..],
            &[b"SSE"],
            &[b"hybrid"],
            &[b"poll, sse"],
            &[b"\xff"],
            &[b"poll", b"poll"],
        ] {
            assert!(matches!(asked(values), Err(Error::InvalidStreaming)), "{values:?}");
        }
    }
}
