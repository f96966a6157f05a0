//! This program's own tokens: where some are configured, every request must show one.
//!
//! A client shows it in `Authorization: Bearer TOKEN`; one whose `Authorization` is the box's, in
//! `x-afterbay-token`. It is taken off here, before anything is looked at or sent, and what is left
//! of it is its hash: no part of the program behind this one can tell it to anybody. It is looked
//! up by that hash, so the time that it takes says nothing about a token.
//!
//! `x-afterbay-token` ends here also where no tokens are configured.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::error::Error;
use crate::credential::{CredentialHash, HashKey, OwnToken};

/// The header for a token beside a credential of the box.
pub(crate) const X_AFTERBAY_TOKEN: HeaderName = HeaderName::from_static("x-afterbay-token");

/// The tokens that let a request in. Without any, every request is let in. Clones share them, also
/// when they are replaced.
#[derive(Debug, Clone, Default)]
pub struct OwnTokens(Arc<RwLock<Option<Arc<Known>>>>);

#[derive(Debug)]
struct Known {
    key: HashKey,
    hashes: HashSet<CredentialHash>,
}

/// Stands beside a request that has shown an own token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown(pub(super) CredentialHash);

impl OwnTokens {
    /// These tokens, and no request without one of them; their holders are told apart by `key`.
    #[must_use]
    pub fn required(key: HashKey, tokens: &[OwnToken]) -> Self {
        let own = Self::default();
        own.replace(Some((key, tokens.to_vec())));
        own
    }

    /// From the next request on, these count and no others; without any, none is asked for.
    pub fn replace(&self, tokens: Option<(HashKey, Vec<OwnToken>)>) {
        let known = tokens.map(|(key, tokens)| {
            let hashes = tokens.iter().map(|token| key.hash_own(token)).collect();
            Arc::new(Known { key, hashes })
        });
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = known;
    }

    fn known(&self) -> Option<Arc<Known>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the token off the request and remembers beside it who it is from. What stays in
    /// `Authorization` is the box's.
    ///
    /// # Errors
    /// [`Error::TokenRequired`]; [`Error::InvalidCredential`] if there are two `Authorization`s.
    pub(super) fn admit(&self, parts: &mut Parts) -> Result<(), Error> {
        let beside = take_beside(&mut parts.headers);
        let Some(known) = self.known() else { return Ok(()) };
        if parts.headers.get_all(header::AUTHORIZATION).iter().nth(1).is_some() {
            return Err(Error::InvalidCredential);
        }
        let bearer = parts.headers.get(header::AUTHORIZATION).and_then(bearer);
        let in_authorization = bearer.and_then(|token| known.find(token));
        if in_authorization.is_some() {
            parts.headers.remove(header::AUTHORIZATION);
        }
        let shown = match beside {
            Beside::None => in_authorization,
            // One that is wrong is told, whatever else the request shows.
            Beside::One(value) => {
                let beside = value.to_str().ok().and_then(|token| known.find(token));
                beside.map(|beside| in_authorization.unwrap_or(beside))
            }
            Beside::More => None,
        };
        parts.extensions.insert(Shown(shown.ok_or(Error::TokenRequired)?));
        Ok(())
    }
}

impl Known {
    fn find(&self, token: &str) -> Option<CredentialHash> {
        let hash = self.key.hash_own(&OwnToken::new(token));
        self.hashes.contains(&hash).then_some(hash)
    }
}

/// What stands in `x-afterbay-token`.
enum Beside {
    None,
    One(HeaderValue),
    More,
}

fn take_beside(headers: &mut HeaderMap) -> Beside {
    let more = headers.get_all(&X_AFTERBAY_TOKEN).iter().nth(1).is_some();
    match headers.remove(&X_AFTERBAY_TOKEN) {
        None => Beside::None,
        Some(_) if more => Beside::More,
        Some(value) => Beside::One(value),
    }
}

/// The token of a value with the scheme `Bearer`, in any case.
pub(super) fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "token-of-a-0123456789";
    const B: &str = "token-of-b-0123456789";

    fn key() -> HashKey {
        HashKey::from_bytes([3; 32])
    }

    /// Whose token it is, and what the box would still get as `Authorization`.
    fn ask(
        tokens: &OwnTokens,
        lines: &[(&'static str, &str)],
    ) -> Result<(Option<&'static str>, Option<String>), Error> {
        let mut request = http::Request::builder();
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let mut parts = request.body(()).expect("a request").into_parts().0;
        let admitted = tokens.admit(&mut parts);
        assert!(!parts.headers.contains_key(X_AFTERBAY_TOKEN), "it ends here: {lines:?}");
        admitted?;
        let shown = parts.extensions.get::<Shown>().map(|Shown(hash)| *hash);
        let is = |token: &str| shown == Some(key().hash_own(&OwnToken::new(token)));
        let whose = if is(A) { Some("a") } else { is(B).then_some("b") };
        assert_eq!(whose.is_some(), shown.is_some());
        let left = parts.headers.get(header::AUTHORIZATION).map(|v| v.to_str().expect("text"));
        Ok((whose, left.map(str::to_owned)))
    }

    fn tokens() -> OwnTokens {
        OwnTokens::required(key(), &[OwnToken::new(A), OwnToken::new(B)])
    }

    #[test]
    fn a_token_lets_in_and_ends_here_and_the_boxs_credential_stays() {
        let of = |lines: &[(&'static str, &str)]| ask(&tokens(), lines).expect("let in");
        for scheme in ["Bearer", "bearer", "BEARER ", "Bearer  "] {
            let value = format!("{scheme} {A}");
            assert_eq!(of(&[("authorization", &value)]), (Some("a"), None), "{scheme:?}");
        }
        assert_eq!(of(&[("x-afterbay-token", B)]), (Some("b"), None));
        let boxs = ("authorization", "Bearer boxs");
        assert_eq!(of(&[("x-afterbay-token", B), boxs]), (Some("b"), Some("Bearer boxs".into())));
        let two = format!("Bearer {A}");
        assert_eq!(of(&[("x-afterbay-token", B), ("authorization", &two)]), (Some("a"), None));
    }

    #[test]
    fn whatever_is_no_token_is_turned_away() {
        let (right, basic) = (format!("Bearer {A}"), format!("Basic {A}"));
        let (longer, doubled) = (format!("Bearer {A}0"), format!("Bearer {A}, Bearer {A}"));
        let (no, beside) = ("authorization", "x-afterbay-token");
        for lines in [
            &[][..],
            &[(no, "")],
            &[(no, A)],
            &[(no, "Bearer")],
            &[(no, "Bearer ")],
            &[(no, &basic)],
            &[(no, &longer)],
            &[(no, &doubled)],
            &[(beside, &right)],
            &[(beside, "")],
            &[(beside, A), (beside, A)],
            // A wrong one is not made good by a right one.
            &[(no, &right), (beside, "wrong")],
        ] {
            assert!(matches!(ask(&tokens(), lines), Err(Error::TokenRequired)), "{lines:?}");
        }
        let two = ask(&tokens(), &[(no, &right), (no, "Bearer x")]);
        assert!(matches!(two, Err(Error::InvalidCredential)), "{two:?}");
    }

    #[test]
    fn without_tokens_nobody_is_asked_and_authorization_is_the_boxs() {
        let open = OwnTokens::default();
        assert_eq!(ask(&open, &[("x-afterbay-token", A)]).expect("let in"), (None, None));
        let kept = ask(&open, &[("authorization", "Bearer x")]).expect("let in");
        assert_eq!(kept, (None, Some("Bearer x".into())));
    }
}
