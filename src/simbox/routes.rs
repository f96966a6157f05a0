//! The routes that a client of the box knows: polls, prompts, aborts, health.
//!
//! All but `/health` ask for a token when there are any. A poll may be answered badly by chance;
//! it is counted either way.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;
use serde_json::json;
use tokio::time::Instant;

use super::Simbox;
use super::answers::{self, BadBody, bad, error, json_text, not_found};
use super::dispatch::{self, Arrival};
use super::ledger::Poll;
use super::messages::list;
use super::{admin, faults::Faults};
use crate::limits;

/// All routes over `simbox`.
pub(super) fn router(simbox: Simbox) -> Router {
    let agents = Router::new()
        .route("/agents/run/stream", post(run_stream))
        .route("/agents/sessions/{id}", get(status))
        .route("/agents/sessions/{id}/messages", get(messages).post(message))
        .route("/agents/sessions/{id}/result", get(result))
        .route("/agents/sessions/{id}/abort", post(abort))
        .layer(from_fn_with_state(simbox.clone(), let_in));
    Router::new()
        .route("/health", get(health))
        .merge(agents)
        .nest("/_simbox", admin::router())
        .fallback(async || not_found("no such route"))
        .layer(DefaultBodyLimit::max(limits::SIMBOX_BODY_BYTES))
        .with_state(simbox)
}

async fn let_in(State(simbox): State<Simbox>, request: Request, next: Next) -> Response {
    match simbox.access().check(request.headers(), simbox.faults().token_life) {
        Ok(()) => next.run(request).await,
        Err(refused) => {
            simbox.ledger().unauthorized();
            refused.answer()
        }
    }
}

async fn health(State(simbox): State<Simbox>) -> Response {
    let boot = simbox.memory().boot_id.clone();
    answers::json(StatusCode::OK, &json!({ "status": "ok", "bootId": boot }))
}

async fn arrival(request: Request) -> Result<Arrival, BadBody> {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, limits::SIMBOX_BODY_BYTES).await;
    let body = body.map_err(BadBody::because)?;
    Ok(Arrival { headers: head.headers, extensions: head.extensions, body })
}

async fn run_stream(State(simbox): State<Simbox>, request: Request) -> Response {
    match arrival(request).await {
        Ok(arrival) => dispatch::run_stream(&simbox, arrival).await,
        Err(wrong) => wrong.answer(),
    }
}

async fn message(
    State(simbox): State<Simbox>,
    Path(session): Path<String>,
    request: Request,
) -> Response {
    match arrival(request).await {
        Ok(arrival) => dispatch::message(&simbox, session, arrival).await,
        Err(wrong) => wrong.answer(),
    }
}

/// Counts a poll of `session`; the bad answer that it gets, if so.
fn poll(simbox: &Simbox, session: &str, poll: Poll) -> Option<Response> {
    let newest = simbox.newest_turn(session);
    simbox.ledger().polled(newest, poll);
    let Faults { polls, retry_after, .. } = simbox.faults();
    let mishap = simbox.chance(&polls)?;
    simbox.ledger().mishap();
    Some(bad(mishap, retry_after))
}

const UNKNOWN_SESSION: &str = "no such session";

async fn status(State(simbox): State<Simbox>, Path(id): Path<String>) -> Response {
    if let Some(bad) = poll(&simbox, &id, Poll::Status) {
        return bad;
    }
    let mut memory = simbox.memory();
    let Some(session) = memory.session(&id) else {
        return not_found(UNKNOWN_SESSION);
    };
    let status = session.status(Instant::now());
    let bare = session.newest.as_ref().is_some_and(|newest| newest.execution.plan.bare_status);
    if bare {
        answers::json(StatusCode::OK, &status)
    } else {
        answers::json(StatusCode::OK, &json!({ "data": status }))
    }
}

/// The value of `name` in a query; the first one if there are several.
fn in_query(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

async fn messages(
    State(simbox): State<Simbox>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    if let Some(bad) = poll(&simbox, &id, Poll::Messages) {
        return bad;
    }
    let limit = in_query(query.as_deref(), "limit").map(|limit| limit.parse::<usize>());
    let Ok(limit) = limit.transpose() else {
        return error(StatusCode::BAD_REQUEST, "BAD_REQUEST", "limit is not a number");
    };
    let (newest, plan) = {
        let mut memory = simbox.memory();
        let Some(session) = memory.session(&id) else {
            return not_found(UNKNOWN_SESSION);
        };
        let older = limit.map_or(0, |limit| session.messages.len().saturating_sub(limit));
        let newest: Vec<_> = session.messages.iter().skip(older).cloned().collect();
        let plan = session.newest.as_ref().map(|newest| newest.execution.plan.clone());
        (newest, plan.unwrap_or_default())
    };
    // Long parts are put together while nobody waits for the memory.
    json_text(list(&newest, &plan))
}

async fn result(
    State(simbox): State<Simbox>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    if let Some(bad) = poll(&simbox, &id, Poll::Result) {
        return bad;
    }
    let mut memory = simbox.memory();
    let Some(session) = memory.session(&id) else {
        return not_found(UNKNOWN_SESSION);
    };
    let newest = session.newest.as_ref().map(|newest| newest.execution.id.clone());
    let execution = in_query(query.as_deref(), "executionId").or(newest).unwrap_or_default();
    match session.outcomes.get(&execution) {
        Some(outcome) => answers::json(StatusCode::OK, &outcome.result()),
        None => not_found("no result of such an execution yet"),
    }
}

async fn abort(State(simbox): State<Simbox>, Path(id): Path<String>) -> Response {
    let mut memory = simbox.memory();
    let newest = memory.session(&id).and_then(|session| session.newest.as_ref());
    match newest.filter(|newest| newest.phase.is_busy()) {
        Some(newest) => {
            newest.execution.abort.cancel();
            answers::json(StatusCode::OK, &json!({ "data": { "cancelled": true } }))
        }
        None => error(StatusCode::NOT_FOUND, "NOT_RUNNING", "nothing runs in such a session"),
    }
}
