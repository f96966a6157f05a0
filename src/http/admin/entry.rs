//! Who is let in where operators are: whoever shows the token in the data folder, as
//! `Authorization: Bearer TOKEN`.
//!
//! A change needs the header `x-afterbay-admin: 1`, too: no page of another site can send it without
//! being asked first whether it may, and none is told that it may. What foreign pages do is refused
//! before anything else (`guard`). A session's events can be read with a ticket in the place of the token
//! (`ticket`), since a browser's `EventSource` sends no header.

use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, header};

use super::super::error::Error;
use super::super::guard;
use super::super::own_tokens::bearer;
use super::route::Route;
use super::wrong::Wrong;
use super::{Inside, ticket};
use crate::credential::AdminToken;

/// What each change must bear.
pub(super) const X_AFTERBAY_ADMIN: HeaderName = HeaderName::from_static("x-afterbay-admin");

/// Lets a request in, and takes the token off it: nothing behind this sees it.
///
/// # Errors
/// Those of `guard`; [`Wrong::TokenRequired`], [`Wrong::HeaderRequired`].
pub(super) fn admit(
    inside: &Inside,
    parts: &mut Parts,
    route: Option<&Route>,
) -> Result<(), Error> {
    let allowed = &inside.door.doors.settings.allowed;
    guard::check_host(parts, allowed)?;
    guard::check_origin(parts, allowed)?;
    let token = &inside.admin.token;
    let has_ticket = || matches!(route, Some(Route::Events(_))) && ticket::admits(token, parts);
    if !shows(&parts.headers, token) && !has_ticket() {
        return Err(Wrong::TokenRequired.into());
    }
    parts.headers.remove(header::AUTHORIZATION);
    let reads = parts.method == Method::GET || parts.method == Method::HEAD;
    if reads || says_that_it_is_meant(&parts.headers) {
        Ok(())
    } else {
        Err(Wrong::HeaderRequired.into())
    }
}

fn shows(headers: &HeaderMap, token: &AdminToken) -> bool {
    let mut shown = headers.get_all(header::AUTHORIZATION).iter();
    match (shown.next().and_then(bearer), shown.next()) {
        (Some(shown), None) => token.is(shown),
        (_, _) => false,
    }
}

fn says_that_it_is_meant(headers: &HeaderMap) -> bool {
    headers.get(X_AFTERBAY_ADMIN).is_some_and(|value| value == "1")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_token_is_shown_once_as_a_bearer_and_not_otherwise() {
        let token = AdminToken::from_bytes([7; 32]);
        let (digits, other) = (token.expose().to_owned(), "08".repeat(32));
        let right = format!("Bearer {digits}");
        let lines = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).expect("text"));
            }
            shows(&headers, &token)
        };
        assert!(lines(&[&right]) && lines(&[&format!("bearer {digits}")]));
        for values in [
            &[][..],
            &[""],
            &["Bearer"],
            &["Bearer "],
            &[&digits],
            &[&format!("Basic {digits}")],
            &[&format!("Bearer {other}")],
            &[&format!("Bearer {digits}0")],
            &[&right, &right],
            &[&right, "Bearer x"],
        ] {
            assert!(!lines(values), "{values:?}");
        }
    }

    #[test]
    fn a_change_is_meant_if_it_says_so() {
        for (value, meant) in [("1", true), ("", false), ("0", false), ("true", false)] {
            let mut headers = HeaderMap::new();
            headers.insert(X_AFTERBAY_ADMIN, HeaderValue::from_static(value));
            assert_eq!(says_that_it_is_meant(&headers), meant, "{value}");
        }
        assert!(!says_that_it_is_meant(&HeaderMap::new()));
    }
}
