//! What the box's record says about the turn: started, ended how, answered what.
//!
//! A turn is judged by the agent's last message. A message that has its end may still be followed
//! by another: after tool calls, and after the summary of a compaction. Then only an idle session
//! says that nothing follows.

use super::api::{Failure, Message};
use crate::event::WireJson;
use crate::limits;
use crate::upstream::snapshot::failure::{NO_NAME, code, cut};
use crate::upstream::snapshot::nesting::is_nested_deeper_than;
use crate::upstream::snapshot::text::decoded;
use crate::upstream::{Answer, Ending};

/// The name of the error that an abort leaves.
const ABORTED: &str = "MessageAbortedError";

/// How the turn ended, if its last message and an idle session say so.
pub(super) fn ending(last: &Message<'_>, idle: bool) -> Option<Ending> {
    if let Some(failure) = &last.info.error {
        return (last.is_completed() || idle).then(|| failed(failure));
    }
    if !last.is_completed() {
        return None;
    }
    let Some(finish) = last.info.finish.as_deref() else {
        // An abort while the box waited to repeat a failed call leaves neither error nor finish.
        return idle.then_some(Ending::Cancelled);
    };
    let mut tools = last.readable_parts().filter_map(|part| part.tool_status()).peekable();
    match finish {
        // A person said no to a permission or dismissed a question: the box stops there. A box
        // that died between two steps leaves a finished tool, and no ending.
        "tool-calls" | "unknown" => {
            (idle && tools.any(|status| status == "error")).then_some(Ending::Cancelled)
        }
        "error" => Some(Ending::Failed {
            code: NO_NAME.to_owned(),
            message: "the model ended with an error".to_owned(),
        }),
        // Some models say `stop` with tool calls, and the box goes on all the same.
        _ if last.is_summary() || tools.peek().is_some() => idle.then_some(Ending::Completed),
        _ => Some(Ending::Completed),
    }
}

fn failed(failure: &Failure) -> Ending {
    if failure.name == ABORTED {
        return Ending::Cancelled;
    }
    let message = failure.data.as_ref().and_then(|data| data.message.as_deref());
    Ending::Failed {
        code: code(&failure.name),
        message: cut(message.unwrap_or(&failure.name)).to_owned(),
    }
}

/// What the agent has said so far. `turn` are its messages since the last settled one, and
/// `settled_cost` is what those up to there cost.
pub(super) fn answer(turn: &[&Message<'_>], settled_cost: f64) -> Option<Answer> {
    let last = turn.iter().rev().find(|message| !message.is_summary()).or(turn.last())?;
    let texts = last.readable_parts().filter(|part| part.kind == "text");
    let final_text = texts.filter_map(|part| part.raw_text()).map(decoded).collect();
    let tokens =
        turn.last().and_then(|message| message.info.tokens.map(|raw| raw.get().as_bytes()));
    let tokens = tokens.filter(|raw| !is_nested_deeper_than(limits::MAX_SHOWN_DEPTH, raw));
    Some(Answer {
        final_text,
        token_usage: tokens.and_then(|raw| WireJson::from_json(raw).ok()),
        total_cost_usd: Some(settled_cost + turn.iter().map(|message| message.cost()).sum::<f64>()),
    })
}
