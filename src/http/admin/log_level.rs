//! Which log lines are written, while it runs.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use tracing::Level;

use super::super::error::Error;
use super::wrong::Wrong;
use super::{Inside, answer};

/// The least important line that is written, and the way to change it. Clones are the same.
#[derive(Clone)]
pub struct LogLevel {
    now: Arc<Mutex<Level>>,
    apply: Arc<dyn Fn(Level) -> bool + Send + Sync>,
}

impl LogLevel {
    /// It is `now`, and `apply` makes it another one; false if that fails.
    pub fn new(now: Level, apply: impl Fn(Level) -> bool + Send + Sync + 'static) -> Self {
        Self { now: Arc::new(Mutex::new(now)), apply: Arc::new(apply) }
    }

    /// What it is.
    #[must_use]
    pub fn get(&self) -> Level {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes it `level`; gives what it was, or nothing if it stays so.
    #[must_use]
    pub fn set(&self, level: Level) -> Option<Level> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        (self.apply)(level).then(|| std::mem::replace(&mut *now, level))
    }
}

impl fmt::Debug for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogLevel").field(&self.get()).finish()
    }
}

/// The word of a level, as in the configuration.
pub(super) const fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

fn level(word: &str) -> Option<Level> {
    let all = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
    all.into_iter().find(|level| self::word(*level) == word)
}

/// What is asked for.
#[derive(Debug, Deserialize)]
struct Wanted {
    level: String,
}

/// What is.
#[derive(Debug, Serialize)]
struct Shown {
    level: &'static str,
}

/// What it is.
pub(super) fn get(log_level: &LogLevel) -> Response {
    answer(StatusCode::OK, &Shown { level: word(log_level.get()) })
}

/// Changes it, and says what it is now.
///
/// # Errors
/// Those of a body; [`Wrong::LogLevel`].
pub(super) async fn put(inside: &Inside, parts: &Parts, body: Body) -> Result<Response, Error> {
    let body = inside.door.bodies.read(&parts.headers, body).await?.into_bytes();
    let wanted: Wanted = serde_json::from_slice(&body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Wrong::LogLevel.into(),
        serde_json::error::Category::Io
        | serde_json::error::Category::Syntax
        | serde_json::error::Category::Eof => Error::InvalidJson,
    })?;
    let level = level(&wanted.level).ok_or(Wrong::LogLevel)?;
    let log_level = &inside.admin.controls.log_level;
    let Some(before) = log_level.set(level) else {
        tracing::error!(level = word(level), "the log level cannot be changed");
        return Err(Error::Internal);
    };
    tracing::warn!(from = word(before), to = word(level), "an operator changes the log level");
    Ok(get(log_level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_one_of_five_words() {
        for level in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
            assert_eq!(super::level(word(level)), Some(level));
        }
        for other in ["", "INFO", "info ", "off", "3", "afterbay=debug"] {
            assert_eq!(super::level(other), None, "{other}");
        }
    }

    #[test]
    fn a_level_that_cannot_be_applied_does_not_count() {
        let stuck = LogLevel::new(Level::INFO, |level| level != Level::TRACE);
        assert_eq!(stuck.set(Level::TRACE), None);
        assert_eq!(stuck.get(), Level::INFO);
        assert_eq!(stuck.set(Level::DEBUG), Some(Level::INFO));
        assert_eq!(stuck.clone().get(), Level::DEBUG);
    }
}
