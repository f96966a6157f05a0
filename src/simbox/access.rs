//! Bearer tokens: which are accepted, and until when.
//!
//! No token is 401, a wrong one 403, an expired one 401 again. With none to accept, none is asked
//! for. Tokens are of the outside world: a crash does not change them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::response::Response;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use super::answers::error;

#[derive(Debug, Default)]
pub(super) struct Access(Mutex<Vec<(String, Instant)>>);

/// Why a request is not let in: how its token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Missing,
    Wrong,
    Expired,
}

impl Access {
    fn accepted(&self) -> MutexGuard<'_, Vec<(String, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts `tokens` and no others; one that was accepted before keeps its age.
    pub(super) fn accept(&self, tokens: Vec<String>) {
        let mut accepted = self.accepted();
        let now = Instant::now();
        let since = |token: &String| {
            let known = accepted.iter().find(|(known, _)| known == token);
            known.map_or(now, |(_, since)| *since)
        };
        let next = tokens.into_iter().map(|token| (since(&token), token)).collect::<Vec<_>>();
        *accepted = next.into_iter().map(|(since, token)| (token, since)).collect();
    }

    /// Lets a request in, or says why not.
    pub(super) fn check(&self, headers: &HeaderMap, life: Option<Duration>) -> Result<(), Refused> {
        let accepted = self.accepted();
        if accepted.is_empty() {
            return Ok(());
        }
        let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token =
            token.and_then(|value| value.strip_prefix("Bearer ")).ok_or(Refused::Missing)?;
        let known = accepted.iter().find(|(known, _)| known == token);
        let (_, since) = known.ok_or(Refused::Wrong)?;
        let expired = life.is_some_and(|life| since.elapsed() >= life);
        if expired { Err(Refused::Expired) } else { Ok(()) }
    }
}

impl Refused {
    /// How it is answered.
    pub(super) fn answer(self) -> Response {
        match self {
            Self::Missing => error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "no token"),
            Self::Expired => error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "expired token"),
            Self::Wrong => error(StatusCode::FORBIDDEN, "FORBIDDEN", "wrong token"),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(access: &Access, token: &'static str, life: Option<Duration>) -> Result<(), Refused> {
        let mut headers = HeaderMap::new();
        if !token.is_empty() {
            headers.insert(AUTHORIZATION, HeaderValue::from_static(token));
        }
        access.check(&headers, life)
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_are_asked_for_only_if_there_are_any() {
        let access = Access::default();
        assert_eq!(check(&access, "", None), Ok(()));
        access.accept(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(check(&access, "", None), Err(Refused::Missing));
        assert_eq!(check(&access, "Basic a", None), Err(Refused::Missing));
        assert_eq!(check(&access, "Bearer c", None), Err(Refused::Wrong));
        assert_eq!(check(&access, "Bearer b", None), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_expires_and_naming_it_again_does_not_renew_it() {
        let (access, life) = (Access::default(), Some(Duration::from_secs(10)));
        access.accept(vec!["a".to_owned()]);
        tokio::time::advance(Duration::from_secs(9)).await;
        access.accept(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(check(&access, "Bearer a", life), Ok(()));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(check(&access, "Bearer a", life), Err(Refused::Expired));
        assert_eq!(check(&access, "Bearer b", life), Ok(()));
    }
}
