//! Who asks: the caller of a request, and the right to read.
//!
//! A cursor or an id grants nothing. The right is checked before anything of a session is
//! revealed: before a replay, a head, and an answer that only a reader may have. Starting and
//! stopping turns check inside the session, in the same step as the act.

use http::request::Parts;
use http::{HeaderMap, header};

use super::error::{Error, Refused, Resource};
use super::own_tokens::Shown;
use crate::credential::{Caller, Credential};
use crate::session::{Session, Sessions};

/// Who sends the request: the holder of its credential, else of the own token that let it in.
///
/// # Errors
/// [`Error::InvalidCredential`] if there are two credentials, or one that is not visible ASCII.
pub(crate) fn caller(parts: &Parts) -> Result<Option<Caller>, Error> {
    let own = parts.extensions.get().map(|Shown(hash)| Caller::Own(*hash));
    Ok(credential(&parts.headers)?.map(Caller::Holder).or(own))
}

/// The request's credential; an empty header counts as none.
///
/// # Errors
/// [`Error::InvalidCredential`] if there are two, or one that is not visible ASCII: what cannot be
/// sent on as it came is not guessed at.
fn credential(headers: &HeaderMap) -> Result<Option<Credential>, Error> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Error::InvalidCredential);
    }
    let text = value.to_str().map_err(|_| Error::InvalidCredential)?;
    Ok((!text.is_empty()).then(|| Credential::new(text)))
}

/// Checks the right to read `session`, which was asked for as `resource`.
///
/// # Errors
/// [`Error::Denied`].
pub(crate) async fn may_read(
    sessions: &Sessions,
    session: &Session,
    who: Option<&Caller>,
    resource: Resource,
) -> Result<(), Error> {
    let checked = sessions.may_read(session, who).await;
    checked.map_err(|denied| Error::Denied(Refused { denied, resource }))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(values: &[&'static [u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_bytes(value).expect("a header value");
            headers.append(header::AUTHORIZATION, value);
        }
        headers
    }

    #[test]
    fn the_whole_header_value_is_the_credential() {
        let found = credential(&headers(&[b"Basic b3BlbmNvZGU6eA=="])).expect("valid");
        assert_eq!(found.expect("one").expose(), "Basic b3BlbmNvZGU6eA==");
    }

    #[test]
    fn none_and_empty_are_none() {
        assert!(matches!(credential(&headers(&[])), Ok(None)));
        assert!(matches!(credential(&headers(&[b""])), Ok(None)));
    }

    #[test]
    fn two_of_them_or_one_that_is_not_text_is_refused() {
        for values in [&[&b"Bearer a"[..], b"Bearer b"][..], &[b"Bearer \xff"]] {
            assert!(matches!(credential(&headers(values)), Err(Error::InvalidCredential)));
        }
    }
}
