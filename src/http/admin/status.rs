//! How the program goes, in one answer; and its end, when an operator asks for it.

use std::collections::BTreeMap;

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use tokio::time::Instant;

use super::super::error::Error;
use super::super::listing::looking;
use super::readiness::{self, Readiness};
use super::{Inside, answer, log_level};
use crate::session::operators::Counts;
use crate::turn::control::wall_ms;

/// When the program began to serve.
#[derive(Debug)]
pub(super) struct Begun {
    at_ms: u64,
    at: Instant,
}

impl Begun {
    pub(super) fn now() -> Self {
        Self { at_ms: wall_ms(), at: Instant::now() }
    }
}

/// How it goes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    version: &'static str,
    process_id: u32,
    started_at_ms: u64,
    uptime_ms: u64,
    /// Where clients connect.
    clients: &'a str,
    readiness: Readiness<'a>,
    log_level: &'static str,
    sessions: usize,
    /// How many turns run.
    running: usize,
    /// These, by where they are.
    turns: BTreeMap<&'static str, usize>,
}

/// Says how it goes.
///
/// # Errors
/// None but a broken law of ours.
pub(super) async fn get(inside: &Inside) -> Result<Response, Error> {
    let Inside { admin, begun, door: _ } = inside;
    let sessions = admin.doors.sessions.clone();
    let counted = looking(move || sessions.counts()).await?;
    let Counts { sessions, turns } = counted;
    let uptime = begun.at.elapsed().as_millis();
    let status = Status {
        version: env!("CARGO_PKG_VERSION"),
        process_id: std::process::id(),
        started_at_ms: begun.at_ms,
        uptime_ms: u64::try_from(uptime).unwrap_or(u64::MAX),
        clients: &admin.clients,
        readiness: readiness::now(admin),
        log_level: log_level::word(admin.controls.log_level.get()),
        sessions,
        running: turns.values().sum(),
        turns,
    };
    Ok(answer(StatusCode::OK, &status))
}

/// What is said to whoever asks for the end.
#[derive(Debug, Serialize)]
struct Ending {
    draining: bool,
}

/// Begins the end, as a first SIGTERM does; harmless when repeated.
pub(super) fn shutdown(inside: &Inside) -> Response {
    inside.admin.controls.shutdown.cancel();
    answer(StatusCode::ACCEPTED, &Ending { draining: true })
}
