//! What the session is doing, and whether that is about our turn.
//!
//! The state is the session's, not the turn's: it counts for the turn only if the ids agree, or if
//! the box names no execution. A session whose state says that it is over is not, as long as an
//! execution is active, it can be reconnected to, or something waits for a person.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::api::{flag, json_of, object, word};
use super::assumed::{FAILED, STOPPED, SUCCEEDED, TERMINAL};
use super::interactions::Outstanding;
use crate::credential::Credential;
use crate::ids::{ExecutionId, SessionId};
use crate::metrics::upstream::Call;
use crate::upstream::client::BoxClient;
use crate::upstream::snapshot::failure::cut;
use crate::upstream::{Activity, Error};

/// States in which the session waits for a person.
const WAITING: [&str; 3] = ["awaiting_question", "awaiting_plan_decision", "blocked_on_approval"];

/// The path of a session.
pub(super) fn path(session: &SessionId) -> String {
    format!("/agents/sessions/{session}")
}

/// Whose execution the box names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Nobodys,
    Ours,
    Anothers,
}

/// What a state says of the work that it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Succeeded,
    Failed,
    Stopped,
    /// The messages must tell.
    Unclear,
}

/// The session's status at one moment.
#[derive(Debug)]
pub(super) struct Now {
    /// The box's word; empty if it has none.
    state: String,
    /// Why the session is over, for people or as a word.
    pub(super) reason: Option<String>,
    pub(super) named: Named,
    /// An execution is active, whoever's.
    pub(super) is_active: bool,
    is_over: bool,
    waits: bool,
    /// What waits for a person.
    pub(super) outstanding: Outstanding,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    #[serde(borrow, default)]
    session: Option<&'a RawValue>,
    #[serde(borrow, default)]
    active_execution: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session<'a> {
    #[serde(borrow, default)]
    state: Option<&'a RawValue>,
    #[serde(borrow, default)]
    active_execution_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reconnectable: Option<&'a RawValue>,
    #[serde(borrow, default)]
    terminal_reason: Option<&'a RawValue>,
    #[serde(borrow, default)]
    outstanding_interactions: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Execution<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
}

/// Reads the status. `execution` is the id that the prompt went out under, `assigned` the one that
/// the box gave it, if it did.
pub(super) async fn read(
    client: &BoxClient,
    who: Option<&Credential>,
    session: &SessionId,
    execution: &ExecutionId,
    assigned: Option<&ExecutionId>,
) -> Result<Now, Error> {
    let reply = client.read(Call::Status, who, &path(session)).await?;
    Now::of(json_of(&reply)?, execution, assigned)
        .ok_or_else(|| Error::Nonsense("the session's status has another shape".into()))
}

impl Now {
    fn of(json: &RawValue, own: &ExecutionId, assigned: Option<&ExecutionId>) -> Option<Self> {
        let payload: Payload<'_> = object(json)?;
        let session: Session<'_> = object(payload.session?)?;
        let execution: Execution<'_> =
            payload.active_execution.and_then(object).unwrap_or_default();
        let lower = |raw| word(raw).map(|word| word.to_ascii_lowercase());
        let (active, latest) = (word(session.active_execution_id), word(execution.id));
        let status = lower(execution.status);
        let is_terminal =
            |word: &Option<String>| word.as_deref().is_some_and(|word| TERMINAL.contains(&word));
        let is_ours =
            |id: &String| id == own.as_str() || assigned.is_some_and(|ours| id == ours.as_str());
        let named = match active.iter().chain(&latest).map(is_ours).max() {
            Some(true) => Named::Ours,
            // Who was told no id of the box's own cannot know that this one is another's.
            Some(false) if assigned.is_some() => Named::Anothers,
            Some(false) | None => Named::Nobodys,
        };
        let is_active = active.is_some() || (latest.is_some() && !is_terminal(&status));
        let state = lower(session.state);
        let waits = state.as_deref().is_some_and(|state| WAITING.contains(&state));
        let outstanding =
            Outstanding::read(session.outstanding_interactions, state.as_deref().filter(|_| waits));
        let reconnectable = flag(session.reconnectable);
        let may_go_on = is_active || waits || outstanding.is_any() || reconnectable == Some(true);
        let is_over = !may_go_on && (is_terminal(&state) || reconnectable == Some(false));
        // The execution's own end is told more exactly than the session's.
        let own_end = status.filter(|word| {
            latest.as_ref().is_some_and(is_ours) && is_over && TERMINAL.contains(&word.as_str())
        });
        let state = own_end.or(state).unwrap_or_default();
        let reason = word(session.terminal_reason);
        Some(Self { state, reason, named, is_active, is_over, waits, outstanding })
    }

    /// Whether the box says that our execution is the one that runs.
    pub(super) const fn names_ours(&self) -> bool {
        matches!(self.named, Named::Ours)
    }

    /// Whether our execution is at work.
    pub(super) const fn is_at_work(&self) -> bool {
        self.names_ours() && self.is_active
    }

    /// Whether this may be said of our turn.
    pub(super) fn is_about_us(&self) -> bool {
        self.named != Named::Anothers
    }

    /// Whether nothing runs, and nothing will without a new prompt.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether it waits for a person.
    pub(super) const fn is_waiting(&self) -> bool {
        self.waits || self.outstanding.is_any()
    }

    /// What this is to our turn.
    pub(super) fn activity(&self) -> Activity {
        match self.named {
            _ if self.is_over => Activity::Idle,
            Named::Ours | Named::Nobodys if self.is_waiting() => Activity::Waiting,
            Named::Ours | Named::Nobodys | Named::Anothers => Activity::Busy,
        }
    }

    /// What the state says of the end. A state that says nothing may have a reason that does.
    pub(super) fn outcome(&self) -> Outcome {
        let reason = self.reason.as_deref().map(str::to_ascii_lowercase);
        [Some(self.state.as_str()), reason.as_deref()]
            .into_iter()
            .flatten()
            .find_map(outcome_of)
            .unwrap_or(Outcome::Unclear)
    }

    /// The status in one short word, to see that it moved.
    pub(super) fn mark(&self) -> String {
        let state = self.state.get(..self.state.floor_char_boundary(SHOWN_STATE_BYTES));
        let Self { named, is_over, is_active, .. } = self;
        format!("{}/{named:?}/{is_active}/{is_over}", state.unwrap_or_default())
    }

    /// The state and its reason, for people.
    pub(super) fn in_words(&self) -> String {
        match &self.reason {
            Some(reason) => format!("the session is {}: {}", self.state, cut(reason)),
            None => format!("the session is {}", self.state),
        }
    }
}

/// How much of a state tells it from another.
const SHOWN_STATE_BYTES: usize = 64;

fn outcome_of(word: &str) -> Option<Outcome> {
    if SUCCEEDED.contains(&word) {
        return Some(Outcome::Succeeded);
    }
    if FAILED.contains(&word) {
        return Some(Outcome::Failed);
    }
    STOPPED.contains(&word).then_some(Outcome::Stopped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(json: &str, assigned: Option<&str>) -> Now {
        let raw = RawValue::from_string(json.to_owned()).expect("JSON");
        let own = ExecutionId::parse("own").expect("an id");
        let assigned = assigned.map(|id| ExecutionId::parse(id).expect("an id"));
        Now::of(super::super::api::unwrapped(&raw), &own, assigned.as_ref()).expect("a status")
    }

    /// One session object, and what it is to a turn whose assigned id is `ours`.
    #[track_caller]
    fn check(session: &str, activity: Activity, over: bool) {
        let now = now(&format!(r#"{{"data":{{"session":{session}}}}}"#), Some("ours"));
        assert_eq!((now.activity(), now.is_over()), (activity, over), "{session}");
    }

    #[test]
    fn a_state_is_over_only_if_nothing_speaks_against_it() {
        for state in TERMINAL {
            let with = |more: &str| format!(r#"{{"state":"{state}"{more}}}"#);
            check(&with(""), Activity::Idle, true);
            check(&with(r#","activeExecutionId":null,"reconnectable":null"#), Activity::Idle, true);
            check(&with(r#","reconnectable":false"#), Activity::Idle, true);
            check(&with(r#","activeExecutionId":"ours""#), Activity::Busy, false);
            check(
                &with(r#","activeExecutionId":"ours","reconnectable":false"#),
                Activity::Busy,
                false,
            );
            check(&with(r#","reconnectable":true"#), Activity::Busy, false);
            check(&with(r#","outstandingInteractions":["i1"]"#), Activity::Waiting, false);
            check(&with(r#","outstandingInteractions":[]"#), Activity::Idle, true);
            check(&with(r#","outstandingInteractions":0"#), Activity::Idle, true);
        }
        check(r#"{"state":"running","reconnectable":false}"#, Activity::Idle, true);
        check(r#"{"reconnectable":false}"#, Activity::Idle, true);
    }

    #[test]
    fn whatever_else_a_box_says_is_busy_or_waiting() {
        for state in ["queued", "running", "processing", "new-word", "busy\\r\\nevent: done", ""] {
            check(&format!(r#"{{"state":"{state}"}}"#), Activity::Busy, false);
        }
        check("{}", Activity::Busy, false);
        check(r#"{"state":7}"#, Activity::Busy, false);
        for state in WAITING {
            check(&format!(r#"{{"state":"{state}"}}"#), Activity::Waiting, false);
            check(
                &format!(r#"{{"state":"{state}","reconnectable":false}}"#),
                Activity::Waiting,
                false,
            );
        }
    }

    #[test]
    fn the_state_is_ours_if_the_ids_agree_or_none_is_named() {
        for (status, assigned, named) in [
            (r#"{"session":{"state":"idle"}}"#, Some("ours"), Named::Nobodys),
            (r#"{"session":{"activeExecutionId":"ours"}}"#, Some("ours"), Named::Ours),
            (r#"{"session":{"activeExecutionId":"own"}}"#, Some("ours"), Named::Ours),
            (r#"{"session":{"activeExecutionId":"x"}}"#, Some("ours"), Named::Anothers),
            (r#"{"session":{"activeExecutionId":"x"}}"#, None, Named::Nobodys),
            (r#"{"session":{},"activeExecution":{"id":"ours"}}"#, Some("ours"), Named::Ours),
            (
                r#"{"data":{"session":{},"activeExecution":{"id":"x"}}}"#,
                Some("ours"),
                Named::Anothers,
            ),
        ] {
            assert_eq!(now(status, assigned).named, named, "{status}");
        }
        let others = r#"{"session":{"state":"awaiting_question","activeExecutionId":"x"}}"#;
        assert_eq!(now(others, Some("ours")).activity(), Activity::Busy);
    }

    #[test]
    fn an_execution_that_has_ended_is_not_active_and_tells_its_own_end() {
        let ended =
            r#"{"session":{"state":"idle"},"activeExecution":{"id":"ours","status":"failed"}}"#;
        let ended = now(ended, Some("ours"));
        assert!(ended.is_over() && !ended.is_active);
        assert_eq!(ended.outcome(), Outcome::Failed);
        let runs =
            r#"{"session":{"state":"idle"},"activeExecution":{"id":"ours","status":"running"}}"#;
        assert!(now(runs, Some("ours")).is_at_work());
    }

    #[test]
    fn an_outcome_is_told_by_the_state_else_by_its_reason() {
        for (session, outcome) in [
            (r#"{"state":"completed","terminalReason":"error"}"#, Outcome::Succeeded),
            (r#"{"state":"expired"}"#, Outcome::Failed),
            (r#"{"state":"Aborted"}"#, Outcome::Stopped),
            (r#"{"state":"terminal","terminalReason":"error"}"#, Outcome::Failed),
            (r#"{"state":"terminal","terminalReason":"went home"}"#, Outcome::Unclear),
            (r#"{"state":"idle"}"#, Outcome::Unclear),
        ] {
            let now = now(&format!(r#"{{"session":{session}}}"#), None);
            assert_eq!(now.outcome(), outcome, "{session}");
        }
    }

    #[test]
    fn what_is_no_status_is_none() {
        let own = ExecutionId::parse("own").expect("an id");
        for json in ["[]", "{}", r#"{"session":[]}"#, r#"{"session":null}"#, "1"] {
            let raw = RawValue::from_string(json.to_owned()).expect("JSON");
            assert!(Now::of(&raw, &own, None).is_none(), "{json}");
        }
    }
}
