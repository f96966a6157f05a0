//! Prompts that arrive: which turn they mean, what goes wrong with them, how they are answered.
//!
//! The order: the attempt is counted, then it may be refused or lost, then it is taken, then its
//! answer may be lost, late or bad. A prompt that means a turn that is known is never taken again.

use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use http::header::ACCEPT;
use http::{Extensions, HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::Simbox;
use super::account::State;
use super::answers::{self, BadBody, bad, drop_connection, error, not_found};
use super::faults::{Faults, Lose, Mishap};
use super::ledger::Names;
use super::memory::{Execution, Prompt, Taken};
use super::streams::{OnDrop, follow};
use crate::ids::ExecutionId;

/// The body of a dispatch: what of it matters to a box of this kind.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Body {
    message: Option<String>,
    parts: Vec<PromptPart>,
    session_id: Option<String>,
    turn_id: Option<String>,
    execution_id: Option<String>,
    detach: bool,
}

#[derive(Debug, Deserialize)]
struct PromptPart {
    #[serde(default)]
    text: Option<String>,
}

/// A dispatch as it came.
pub(super) struct Arrival {
    pub(super) headers: HeaderMap,
    pub(super) extensions: Extensions,
    pub(super) body: Bytes,
}

impl Arrival {
    fn header(&self, name: &str) -> Option<String> {
        let value = self.headers.get(name)?.to_str().ok()?;
        Some(value.to_owned()).filter(|value| !value.is_empty())
    }

    fn parse(&self) -> Result<Body, BadBody> {
        serde_json::from_slice(&self.body).map_err(BadBody::because)
    }

    /// Whether a receipt is asked for rather than a stream.
    fn wants_a_receipt(&self) -> bool {
        let accept = self.header(ACCEPT.as_str()).unwrap_or_default();
        accept.contains("application/json") && !accept.contains("text/event-stream")
    }
}

impl Body {
    fn text(&self) -> String {
        let parts: Vec<_> = self.parts.iter().filter_map(|part| part.text.as_deref()).collect();
        self.message.clone().filter(|text| !text.is_empty()).unwrap_or_else(|| parts.join("\n"))
    }
}

/// How a taken prompt is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    Stream(OnDrop),
    Receipt,
}

/// `POST /agents/run/stream`: a prompt, or without one a request for a replay.
pub(super) async fn run_stream(simbox: &Simbox, arrival: Arrival) -> Response {
    let body = match arrival.parse() {
        Ok(body) => body,
        Err(wrong) => return wrong.answer(),
    };
    let execution = arrival.header("x-execution-id").or_else(|| given(&body.execution_id));
    let text = body.text();
    if text.is_empty() {
        return replay(simbox, &arrival, execution);
    }
    let execution = execution.unwrap_or_else(|| ExecutionId::mint().to_string());
    let names = Names { execution, session: given(&body.session_id), turn: given(&body.turn_id) };
    let (no, nth) = simbox.ledger().dispatched(&names);
    let plan = match simbox.faults().with_words_of(&text) {
        Ok(plan) => plan,
        Err(mistake) => {
            return error(StatusCode::BAD_REQUEST, "BAD_SCRIPT", &mistake.to_string());
        }
    };
    let reply = if plan.receipt || (body.detach && arrival.wants_a_receipt()) {
        Reply::Receipt
    } else if plan.cancel_on_drop && !body.detach {
        Reply::Stream(OnDrop::Cancel)
    } else {
        Reply::Stream(OnDrop::GoOn)
    };
    let Names { execution, session, turn } = names;
    let prompt = Prompt { execution, session, turn, text, plan, no };
    take(simbox, &arrival, prompt, nth, reply).await
}

/// `POST /agents/sessions/{id}/messages`: a prompt for a session, answered by a receipt.
pub(super) async fn message(simbox: &Simbox, session: String, arrival: Arrival) -> Response {
    let body = match arrival.parse() {
        Ok(body) => body,
        Err(wrong) => return wrong.answer(),
    };
    let text = body.text();
    if text.is_empty() {
        return error(StatusCode::BAD_REQUEST, "BAD_REQUEST", "no text");
    }
    let execution = arrival.header("x-execution-id").or_else(|| given(&body.execution_id));
    let execution = execution.unwrap_or_else(|| ExecutionId::mint().to_string());
    let names = Names { execution, session: Some(session), turn: given(&body.turn_id) };
    let (no, nth) = simbox.ledger().dispatched(&names);
    match simbox.faults().with_words_of(&text) {
        Ok(plan) => {
            let Names { execution, session, turn } = names;
            let prompt = Prompt { execution, session, turn, text, plan, no };
            take(simbox, &arrival, prompt, nth, Reply::Receipt).await
        }
        Err(mistake) => error(StatusCode::BAD_REQUEST, "BAD_SCRIPT", &mistake.to_string()),
    }
}

fn given(id: &Option<String>) -> Option<String> {
    id.clone().filter(|id| !id.is_empty())
}

fn replay(simbox: &Simbox, arrival: &Arrival, execution: Option<String>) -> Response {
    let no = execution.as_deref().and_then(|id| simbox.ledger().of_execution(id));
    simbox.ledger().replayed(no);
    let Some(execution) = execution else {
        return error(StatusCode::BAD_REQUEST, "BAD_REQUEST", "neither a message nor an execution");
    };
    match simbox.memory().execution(&execution) {
        Some(execution) if !execution.buffer.is_reaped() => {
            let after = place(arrival, &execution);
            follow(simbox, execution, after, OnDrop::GoOn)
        }
        Some(_) | None => not_found("no such execution, or its events are gone"),
    }
}

fn place(arrival: &Arrival, execution: &Execution) -> u64 {
    let cursor = arrival.header("last-event-id");
    cursor.map_or(0, |cursor| execution.buffer.place(&cursor))
}

/// What goes wrong with one attempt.
struct Mishaps {
    lose: Option<Lose>,
    dispatch: Option<Mishap>,
    answer: Option<Mishap>,
}

impl Mishaps {
    /// The attempt number `nth` of a turn with this plan; chances only where the plan is silent.
    fn of(simbox: &Simbox, plan: &Faults, nth: u32) -> Self {
        let planned = |faults: &Option<super::setting::Repeated<Mishap>>| {
            faults.as_ref().and_then(|repeated| repeated.at(nth)).copied()
        };
        let lose = plan.lose.as_ref().and_then(|repeated| repeated.at(nth)).copied();
        Self {
            lose: lose.or_else(|| simbox.chance(&plan.losses)),
            dispatch: planned(&plan.dispatch).or_else(|| simbox.chance(&plan.dispatches)),
            answer: planned(&plan.answer).or_else(|| simbox.chance(&plan.answers)),
        }
    }
}

async fn take(
    simbox: &Simbox,
    arrival: &Arrival,
    prompt: Prompt,
    nth: u32,
    reply: Reply,
) -> Response {
    let plan = prompt.plan.clone();
    if let Some(refusal) = plan.refuse {
        let status = StatusCode::from_u16(refusal.0).unwrap_or(StatusCode::BAD_REQUEST);
        return error(status, "REFUSED", "the prompt is refused");
    }
    let mishaps = Mishaps::of(simbox, &plan, nth);
    if mishaps.lose == Some(Lose::Prompt) {
        simbox.ledger().mishap();
        return drop_connection(&arrival.extensions).await;
    }
    if let Some(mishap) = mishaps.dispatch {
        simbox.ledger().mishap();
        return bad(mishap, plan.retry_after);
    }
    let (execution, existed) = match simbox.take(prompt) {
        Taken::New(execution) => (execution, false),
        Taken::Existing(execution) => (execution, true),
        Taken::Busy => {
            return error(StatusCode::CONFLICT, "CONCURRENT_TURN", "another turn is running");
        }
    };
    if let Some(late) = plan.hold {
        tokio::time::sleep(late).await;
    }
    if mishaps.lose == Some(Lose::Answer) {
        simbox.ledger().mishap();
        return drop_connection(&arrival.extensions).await;
    }
    if let Some(mishap) = mishaps.answer {
        simbox.ledger().mishap();
        return bad(mishap, plan.retry_after);
    }
    match reply {
        Reply::Receipt => receipt(&execution, existed),
        // The turn is known but its events are gone: all that can be said is that it is there.
        Reply::Stream(_) if execution.buffer.is_reaped() => receipt(&execution, existed),
        Reply::Stream(on_drop) => {
            let after = place(arrival, &execution);
            // Whoever only reads along does not hold the turn.
            let on_drop = if existed { OnDrop::GoOn } else { on_drop };
            follow(simbox, execution, after, on_drop)
        }
    }
}

fn receipt(execution: &Execution, existed: bool) -> Response {
    let status = if existed { StatusCode::OK } else { StatusCode::ACCEPTED };
    let receipt = json!({
        "sessionId": execution.session,
        "executionId": execution.id,
        "status": "running",
        "dispatched": !existed,
        "alreadyExisted": existed,
    });
    answers::json(status, &receipt)
}

impl Simbox {
    /// Takes a prompt and starts its agent, unless it was taken before or has to wait.
    fn take(&self, prompt: Prompt) -> Taken {
        let mut memory = self.memory();
        let taken = memory.take(prompt);
        if let Taken::New(execution) = &taken {
            let never = execution.plan.never;
            let state = if never { State::Never } else { State::Queued };
            self.ledger().took(execution.no, &execution.session, state);
            if !never {
                self.start_agent(Arc::clone(execution));
            }
        }
        taken
    }
}
