//! What the box says about the turn's end and its answer.
//!
//! A session's state may be that of the turn before: a new one reads idle, or failed, until it has
//! begun. So a state is believed only if the turn was seen at work before it was read, or if the
//! session was not there before the turn. A success is believed only together with a complete
//! message of the agent's.

use super::closing::failed;
use super::message::{Completion, Message};
use super::status::{Named, Now, Outcome};
use super::transcript::OfTurn;
use crate::event::WireJson;
use crate::limits;
use crate::upstream::snapshot::nesting::is_nested_deeper_than;
use crate::upstream::snapshot::text::decoded;
use crate::upstream::{Answer, Ending};

/// How the turn ended. `is_trusted` says that the state cannot be an earlier turn's.
pub(super) fn ending(now: &Now, turn: Option<&OfTurn<'_, '_>>, is_trusted: bool) -> Option<Ending> {
    let last = turn.and_then(|turn| turn.messages.last()).copied();
    let is_anothers = now.named == Named::Anothers || turn.is_some_and(|turn| turn.is_taken_over);
    if is_anothers {
        return last.and_then(|last| by_record(last, Completion::Closed));
    }
    if !now.is_over() {
        return last.filter(|last| lingers(now, last)).map(|_| Ending::Completed);
    }
    match now.outcome() {
        Outcome::Failed if is_trusted => {
            let told = last.and_then(|last| last.failure.as_ref());
            Some(failed(told, Some(&now.in_words())))
        }
        Outcome::Stopped if is_trusted => Some(Ending::Cancelled),
        Outcome::Failed | Outcome::Stopped => None,
        Outcome::Succeeded => by_record(last?, Completion::Unsaid),
        Outcome::Unclear => by_record(last?, Completion::Closed),
    }
}

/// The end by the last message alone, if it says at least `enough`.
fn by_record(last: &Message<'_>, enough: Completion) -> Option<Ending> {
    let is_complete = match last.completion {
        Completion::Open => false,
        Completion::Unsaid => enough == Completion::Unsaid,
        Completion::Closed | Completion::Complete => true,
    };
    if let Some(failure) = &last.failure {
        return Some(failed(Some(failure), Some("the agent's last message failed")));
    }
    if !is_complete {
        return None;
    }
    Some(if last.is_interrupted { Ending::Cancelled } else { Ending::Completed })
}

/// Whether the answer is complete although the session still reads busy. Where the box names an
/// execution, that one is at work.
fn lingers(now: &Now, last: &Message<'_>) -> bool {
    let is_whole = last.completion == Completion::Complete && !last.has_open_tool();
    let is_good = !last.is_interrupted && last.failure.is_none();
    is_whole && is_good && !now.is_active && !now.is_waiting()
}

/// What the agent has said so far. `settled_cost` is what its settled messages cost.
pub(super) fn answer(turn: &[&Message<'_>], settled_cost: f64) -> Option<Answer> {
    let last = turn.last()?;
    let texts = last.readable_parts().filter(|part| part.kind == "text");
    let final_text = texts.filter_map(|part| part.raw_text()).map(decoded).collect();
    let tokens = last.tokens.map(|raw| raw.get().as_bytes());
    let tokens = tokens.filter(|raw| !is_nested_deeper_than(limits::MAX_SHOWN_DEPTH, raw));
    let is_told = settled_cost > 0.0 || turn.iter().any(|message| message.cost.is_some());
    let cost = settled_cost + turn.iter().filter_map(|message| message.cost).sum::<f64>();
    Some(Answer {
        final_text,
        token_usage: tokens.and_then(|raw| WireJson::from_json(raw).ok()),
        total_cost_usd: is_told.then_some(cost),
    })
}
