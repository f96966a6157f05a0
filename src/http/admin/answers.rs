//! The JSON of sessions and turns as operators see them.
//!
//! Times are wall-clock milliseconds since 1970, or milliseconds that have passed. A field that has nothing to
//! say is absent.

use serde::Serialize;

use crate::event::Seq;
use crate::mode::Mode;
use crate::session::operators::Seen;
use crate::session::overview::{Lack, Overview, Times, TurnOverview};

/// Some of the sessions, newest first.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    pub(super) sessions: Vec<Session>,
    /// Asks for those that follow; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_page: Option<String>,
}

/// A session.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Session {
    /// Its own name, which no other session has on any box.
    key: String,
    /// The box's name for it if there is one, else the client's.
    id: String,
    #[serde(rename = "box")]
    box_name: String,
    /// `busy` while a turn runs, else `idle`.
    state: &'static str,
    turn_count: usize,
    /// The number of its last event.
    last_event_id: u64,
    /// What the log keeps of it, on disk.
    bytes: u64,
    /// How many streams of clients are open on it; those of operators are none of them.
    readers: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    newest_turn: Option<Turn>,
}

/// A session with its turns.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionDetail {
    #[serde(flatten)]
    pub(super) session: Session,
    /// All names under which it is found.
    pub(super) names: Vec<String>,
    /// Oldest first; of very many, the newest.
    pub(super) turns: Vec<Turn>,
}

/// A turn.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Turn {
    execution_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    turn_id: Option<String>,
    #[serde(rename = "box")]
    box_name: String,
    /// How it is run.
    mode: &'static str,
    /// Where it is.
    state: &'static str,
    /// What it waits for that somebody must bring: `credential` or `body`.
    #[serde(skip_serializing_if = "Option::is_none")]
    lacks: Option<&'static str>,
    /// How it ended, once it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    /// The code of its end, unless it completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    first_event_id: u64,
    /// The number of its last event so far, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_event_id: Option<u64>,
    /// How many it has.
    events: u64,
    /// Whether they are no longer kept.
    expired: bool,
    accepted_at_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dispatched_at_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at_ms: Option<u64>,
    /// From its acceptance to its end, or to now.
    age_ms: u64,
    /// How long it has shown nothing new; absent once it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    quiet_ms: Option<u64>,
}

impl Session {
    /// A session at this time.
    pub(super) fn of(seen: Seen, now_ms: u64) -> Self {
        let Seen { key, overview, bytes, readers, newest } = seen;
        let Overview { box_name, id, is_busy, turns, last } = overview;
        Self {
            key: key.session_id().to_string(),
            id: id.to_string(),
            state: if is_busy { "busy" } else { "idle" },
            turn_count: turns,
            last_event_id: last.get(),
            bytes,
            readers,
            newest_turn: newest.map(|turn| Turn::of(turn, box_name.as_str(), last, now_ms)),
            box_name: box_name.to_string(),
        }
    }
}

impl Turn {
    /// A turn at this time, on a session whose last event has this number.
    pub(super) fn of(overview: TurnOverview, box_name: &str, tail: Seq, now_ms: u64) -> Self {
        let TurnOverview { execution, turn, phase, outcome, code, first, .. } = overview;
        let TurnOverview { last, is_expired, times, lacks, .. } = overview;
        let Times { accepted_ms, dispatched_ms, finished_ms, quiet } = times;
        // A turn may have no event, and end without one.
        let last = Some(last.unwrap_or(tail)).filter(|last| *last >= first);
        Self {
            execution_id: execution.to_string(),
            turn_id: turn.map(|turn| turn.to_string()),
            box_name: box_name.to_owned(),
            // Turns of the other mode are passed through and nothing of them is kept.
            mode: Mode::Poll.as_str(),
            state: phase.as_str(),
            lacks: lacks.map(|lack| match lack {
                Lack::Credential => "credential",
                Lack::Body => "body",
            }),
            outcome: outcome.map(|outcome| outcome.as_str()),
            code,
            first_event_id: first.get(),
            last_event_id: last.map(Seq::get),
            events: last.map_or(0, |last| last.get() - first.get() + 1),
            expired: is_expired,
            accepted_at_ms: accepted_ms,
            dispatched_at_ms: dispatched_ms,
            finished_at_ms: finished_ms,
            // The clock may have been set back meanwhile.
            age_ms: finished_ms.unwrap_or(now_ms).saturating_sub(accepted_ms),
            quiet_ms: quiet.map(|quiet| u64::try_from(quiet.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}
