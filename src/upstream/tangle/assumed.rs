//! What is assumed of the sandbox's sidecar where nothing public tells: each assumption is one
//! name here, so that one session recorded against a live box can correct it.
//!
//! Everything else that the adapter relies on was seen or is documented.

// [assumed] Where `/health` tells which process answers; the first of these that is there. A value
// that stays the same means that the box has not been started anew.
pub(super) const BOOT_MARKS: [&str; 5] =
    ["bootId", "boot_id", "instanceId", "startedAt", "started_at"];

// [assumed] Where an execution's stream is asked for again, with its id in `X-Execution-ID`. 404
// says that the box does not know the execution, or not any more.
pub(super) const REPLAY_PATH: &str = "/agents/run/stream";

// [assumed] What is posted there: a run without a message starts nothing. It is detached, so that
// the run goes on when the stream is dropped.
pub(super) const REPLAY_BODY: &str = r#"{"identifier":"default","message":"","detach":true}"#;

// [assumed] The cursor before an execution's first frame; that frame names the session.
pub(super) const REPLAY_FROM: &str = "0";

// [assumed] Whether `limit=N` gives the newest message first; it gives the newest N either way.
pub(super) const NEWEST_FIRST: bool = false;

// [assumed] Under which name the result route is told whose result is wanted.
pub(super) const RESULT_EXECUTION: &str = "executionId";

// [assumed] States of a session in which nothing runs. The first six are documented; the others
// were seen, and mean the same of an execution.
pub(super) const TERMINAL: [&str; 9] = [
    "completed",
    "failed",
    "aborted",
    "expired",
    "idle",
    "terminal",
    "success",
    "error",
    "cancelled",
];

// [assumed] Those of them that say that the work succeeded.
pub(super) const SUCCEEDED: [&str; 2] = ["completed", "success"];

// [assumed] Those that say that it failed.
pub(super) const FAILED: [&str; 3] = ["failed", "error", "expired"];

// [assumed] Those that say that somebody stopped it; `interrupted` is a reason, not a state.
pub(super) const STOPPED: [&str; 4] = ["aborted", "cancelled", "canceled", "interrupted"];

// [assumed] Which words of a message's `metadata.status` say that it is complete; the words for
// failed and stopped are the same as a session's.
pub(super) const MESSAGE_COMPLETE: [&str; 4] = ["completed", "complete", "success", "done"];

// [assumed] What an object in `outstandingInteractions` calls its id, the first that is there.
pub(super) const INTERACTION_IDS: [&str; 3] = ["id", "interactionId", "requestId"];

// [assumed] What it calls its kind.
pub(super) const INTERACTION_KINDS: [&str; 2] = ["kind", "type"];
