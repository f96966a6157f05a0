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
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Simbox;
use super::answers::{Connection, error, json as answer};
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
        Err(refused) => refused,
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
        Err(refused) => return refused,
    };
    match crash.down.map_or(Ok(Duration::ZERO), |down| Duration::read(&down)) {
        Ok(down) => {
            connection.spare.cancel();
            simbox.crash(down);
            done()
        }
        Err(wrong) => error(StatusCode::BAD_REQUEST, "BAD_REQUEST", &wrong),
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
        Err(refused) => refused,
    }
}

async fn answer_waiting(State(simbox): State<Simbox>) -> Response {
    simbox.answer_waiting();
    done()
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Response> {
    let parsed = serde_json::from_slice(body);
    parsed.map_err(|wrong| error(StatusCode::BAD_REQUEST, "BAD_REQUEST", &wrong.to_string()))
}

fn shown<T: serde::Serialize>(value: &T) -> Response {
    match serde_json::to_value(value) {
        Ok(value) => answer(StatusCode::OK, &value),
        Err(wrong) => {
            error(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", &wrong.to_string())
        }
    }
}

fn done() -> Response {
    let done: Value = json!({ "success": true });
    answer(StatusCode::OK, &done)
}
