//! The box's own routes, under `/_simbox`: faults, the account, crashes, tokens, answers.
//!
//! No client of the box uses them and no token is asked for: the box listens on loopback only.

use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, State};
use axum::response::Response;
use axum::routing::{get, post, put};
use bytes::Bytes;
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Simbox;
use super::answers::{BadBody, Connection, json as answer};
use super::faults::Faults;
use super::setting::Value as _;

pub(super) fn router() -> Router<Simbox> {
    Router::new()
        .route("/faults", get(faults).merge(put(set_faults)))
        .route("/account", get(account))
        .route("/crash", post(crash))
        .route("/tokens", post(tokens))
        .route("/answer", post(answer_waiting))
}

async fn faults(State(simbox): State<Simbox>) -> Response {
    shown(&simbox.faults())
}

async fn set_faults(State(simbox): State<Simbox>, body: Bytes) -> Response {
    match parsed::<Faults>(&body) {
        Ok(faults) => {
            simbox.set_faults(faults);
            shown(&simbox.faults())
        }
        Err(wrong) => wrong.answer(),
    }
}

async fn account(State(simbox): State<Simbox>) -> Response {
    shown(&simbox.account())
}

/// What a crash takes.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Crash {
    /// How long nobody listens; not at all if it is missing.
    down: Option<String>,
}

async fn crash(
    State(simbox): State<Simbox>,
    Extension(connection): Extension<Connection>,
    body: Bytes,
) -> Response {
    let body = if body.is_empty() { Bytes::from_static(b"{}") } else { body };
    let crash = match parsed::<Crash>(&body) {
        Ok(crash) => crash,
        Err(wrong) => return wrong.answer(),
    };
    match crash.down.map_or(Ok(Duration::ZERO), |down| Duration::read(&down)) {
        Ok(down) => {
            connection.spare.cancel();
            simbox.crash_and_wait(down).await;
            done()
        }
        Err(wrong) => BadBody::because(wrong).answer(),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tokens {
    accept: Vec<String>,
}

async fn tokens(State(simbox): State<Simbox>, body: Bytes) -> Response {
    match parsed::<Tokens>(&body) {
        Ok(tokens) => {
            simbox.accept_tokens(tokens.accept);
            done()
        }
        Err(wrong) => wrong.answer(),
    }
}

async fn answer_waiting(State(simbox): State<Simbox>) -> Response {
    simbox.answer_waiting();
    done()
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, BadBody> {
    serde_json::from_slice(body).map_err(BadBody::because)
}

fn shown<T: Serialize>(value: &T) -> Response {
    answer(StatusCode::OK, value)
}

fn done() -> Response {
    answer(StatusCode::OK, &json!({ "success": true }))
}
