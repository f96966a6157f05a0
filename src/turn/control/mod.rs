//! The control records of a turn and its session, as they stand in the log.
//!
//! A record is a kind number and a JSON object. A kind number never changes its meaning; a new
//! field is optional, so that older logs stay readable. Times are wall-clock milliseconds since
//! 1970, so that what remains of a deadline can be computed after a restart. No record holds a
//! credential or a prompt: both are kept as hashes.

mod as_text;
mod trimmed;

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::credential::CredentialHash;
use crate::event::Control;
use crate::ids::{BoxName, ExecutionId, SessionId, TurnId};
use crate::log::Role;
use crate::trace::Root;
use crate::upstream::{CursorDelta, TextHash};
use as_text::{
    hash_text, hex_text, id_text, optional_hash_text, optional_id_text, optional_text_hash,
    optional_trace_text,
};
pub use trimmed::{FinishedTurn, Origin, Trimmed};

const ACCEPTED: u16 = 1;
const PREPARED: u16 = 2;
const DISPATCHED: u16 = 3;
const POLLED: u16 = 4;
const FINISHED: u16 = 5;
const WITHDRAWN: u16 = 6;
const CANCEL_ASKED: u16 = 7;
const READER_ADDED: u16 = 8;
const REPEATED: u16 = 9;
const TRIMMED: u16 = 10;

/// A decoded control record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TurnRecord {
    /// The turn is in the log; nothing was sent.
    Accepted(Accepted),
    /// The intent to dispatch: from here on the prompt may have left.
    Prepared(Prepared),
    /// The intent to send the prompt once more, under the same ids.
    Repeated,
    /// The box has it.
    Dispatched(Dispatched),
    /// Stands behind the events that this poll gave.
    Polled(CursorDelta),
    /// Stands behind `done`, in the same batch.
    Finished(Finished),
    /// The turn was given up before the box took it: it never was.
    Withdrawn,
    /// Somebody asked for this execution's stop.
    CancelAsked(ExecutionId),
    /// The box vouched for another credential.
    ReaderAdded(CredentialHash),
    /// The oldest turns were cut off: what is remembered of them.
    Trimmed(Trimmed),
}

/// A turn was accepted from a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// When, in wall-clock milliseconds.
    pub at_ms: u64,
    /// The box it is for.
    #[serde(rename = "box", with = "id_text")]
    pub box_name: BoxName,
    /// What the client calls the session.
    #[serde(default, with = "optional_id_text", skip_serializing_if = "Option::is_none")]
    pub client_session: Option<SessionId>,
    /// The execution: the client's id, or one of ours.
    #[serde(with = "id_text")]
    pub execution: ExecutionId,
    /// The client's turn id.
    #[serde(default, with = "optional_id_text", skip_serializing_if = "Option::is_none")]
    pub turn: Option<TurnId>,
    /// Who starts it; none if no credential was shown.
    #[serde(default, with = "optional_hash_text", skip_serializing_if = "Option::is_none")]
    pub starter: Option<CredentialHash>,
    /// Whether `starter` is an own token, of which the box knows nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_own_token: bool,
    /// BLAKE3 of the request's body.
    #[serde(with = "hex_text")]
    pub body_digest: [u8; 32],
    /// BLAKE3 of the prompt's text, if the adapter knows a prompt again by that.
    #[serde(default, with = "optional_text_hash", skip_serializing_if = "Option::is_none")]
    pub text: Option<TextHash>,
    /// The turn's own span, if it is traced. What cannot be read of it is none: it is no reason to lose
    /// a turn.
    #[serde(default, with = "optional_trace_text", skip_serializing_if = "Option::is_none")]
    pub trace: Option<Root>,
}

/// The box's session is open and everything that `find` needs is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// When, in wall-clock milliseconds.
    pub at_ms: u64,
    /// The box's session, if it is known before the dispatch.
    #[serde(default, with = "optional_id_text", skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The adapter's own notes.
    pub notes: String,
}

/// The box took the prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispatched {
    /// When, in wall-clock milliseconds.
    pub at_ms: u64,
    /// The session that the box assigned.
    #[serde(with = "id_text")]
    pub session: SessionId,
    /// The execution id that the box assigned.
    #[serde(default, with = "optional_id_text", skip_serializing_if = "Option::is_none")]
    pub execution: Option<ExecutionId>,
}

/// The turn is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// When, in wall-clock milliseconds.
    pub at_ms: u64,
    /// `completed`, `failed` or `cancelled`.
    pub outcome: String,
    /// The code, unless it completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// A control record that this version cannot read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeControl {
    /// A kind from the future.
    #[error("unknown control record kind {0}")]
    UnknownKind(u16),
    /// A known kind with other content.
    #[error("decode control record of kind {kind}")]
    Content {
        /// Which kind.
        kind: u16,
        /// Why.
        source: serde_json::Error,
    },
}

impl TurnRecord {
    /// The record for the log.
    #[must_use]
    pub fn encode(&self) -> Control {
        let (kind, json) = match self {
            Self::Accepted(record) => (ACCEPTED, to_json(record)),
            Self::Prepared(record) => (PREPARED, to_json(record)),
            Self::Repeated => (REPEATED, Vec::new()),
            Self::Dispatched(record) => (DISPATCHED, to_json(record)),
            Self::Polled(delta) => (POLLED, to_json(delta)),
            Self::Finished(record) => (FINISHED, to_json(record)),
            Self::Withdrawn => (WITHDRAWN, Vec::new()),
            Self::CancelAsked(execution) => {
                (CANCEL_ASKED, to_json(&Stopped { execution: execution.clone() }))
            }
            Self::ReaderAdded(hash) => (READER_ADDED, to_json(&Reader { hash: *hash })),
            Self::Trimmed(record) => return record.encode(),
        };
        Control { kind, bytes: json.into() }
    }

    /// The record that stands in the log.
    ///
    /// # Errors
    /// [`DecodeControl`] if this version cannot read it.
    pub fn decode(control: &Control) -> Result<Self, DecodeControl> {
        let bytes = control.bytes.as_ref();
        let decoded = match control.kind {
            ACCEPTED => serde_json::from_slice(bytes).map(Self::Accepted),
            PREPARED => serde_json::from_slice(bytes).map(Self::Prepared),
            DISPATCHED => serde_json::from_slice(bytes).map(Self::Dispatched),
            POLLED => serde_json::from_slice(bytes).map(Self::Polled),
            FINISHED => serde_json::from_slice(bytes).map(Self::Finished),
            REPEATED => Ok(Self::Repeated),
            WITHDRAWN => Ok(Self::Withdrawn),
            CANCEL_ASKED => {
                serde_json::from_slice(bytes).map(|s: Stopped| Self::CancelAsked(s.execution))
            }
            READER_ADDED => {
                serde_json::from_slice(bytes).map(|r: Reader| Self::ReaderAdded(r.hash))
            }
            TRIMMED => serde_json::from_slice(bytes).map(Self::Trimmed),
            kind => return Err(DecodeControl::UnknownKind(kind)),
        };
        decoded.map_err(|source| DecodeControl::Content { kind: control.kind, source })
    }
}

impl Trimmed {
    /// The record for the log.
    #[must_use]
    pub fn encode(&self) -> Control {
        Control { kind: TRIMMED, bytes: to_json(self).into() }
    }
}

/// Whether `record` ends a turn: it stands right behind the turn's `done`.
#[must_use]
pub const fn is_finish(record: &Control) -> bool {
    record.kind == FINISHED
}

/// What opening the log still needs of records of this kind: of a turn that is over, only who it was
/// and how it ended.
#[must_use]
pub const fn role(kind: u16) -> Role {
    match kind {
        PREPARED | POLLED | CANCEL_ASKED | REPEATED => Role::Passing,
        FINISHED | WITHDRAWN => Role::Closing,
        _ => Role::Lasting,
    }
}

/// The wall clock in milliseconds since 1970; 0 if the clock stands before that.
#[must_use]
pub fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[derive(Serialize, Deserialize)]
struct Stopped {
    #[serde(with = "id_text")]
    execution: ExecutionId,
}

#[derive(Serialize, Deserialize)]
struct Reader {
    #[serde(with = "hash_text")]
    hash: CredentialHash,
}

#[expect(clippy::expect_used, reason = "records are plain structs, which always serialise")]
fn to_json<T: Serialize>(record: &T) -> Vec<u8> {
    serde_json::to_vec(record).expect("a control record is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Seq;
    use crate::trace::context::TraceContext;
    use crate::trace::state::TraceState;

    fn session(text: &str) -> SessionId {
        SessionId::parse(text).expect("an id")
    }

    fn trimmed(accepted: Accepted) -> Trimmed {
        let turn = FinishedTurn {
            accepted,
            dispatched: Some(Dispatched { at_ms: 18, session: session("b"), execution: None }),
            finished: Finished { at_ms: 19, outcome: "failed".into(), code: Some("X".into()) },
            from: Seq::new(1),
            last: Seq::new(9),
            trimmed_ms: Some(20),
        };
        let bare = FinishedTurn { dispatched: None, trimmed_ms: None, ..turn.clone() };
        let origin = Origin {
            box_name: BoxName::default_box(),
            client_session: Some(session("s")),
            box_session: None,
            owner: Some(CredentialHash::from_bytes([5; 32])),
        };
        let readers = vec![CredentialHash::from_bytes([6; 32]); 2];
        let through = Seq::new(9);
        Trimmed { at_ms: 20, through, origin, turns: vec![turn, bare], readers }
    }

    #[test]
    fn every_record_is_read_back_as_it_was_written() {
        let mut delta = CursorDelta::default();
        delta.set("part/1", "x".into());
        let client = TraceContext::begin();
        let accepted = Accepted {
            at_ms: 17,
            box_name: BoxName::default_box(),
            client_session: Some(session("s")),
            execution: ExecutionId::mint(),
            turn: None,
            starter: Some(CredentialHash::from_bytes([3; 32])),
            by_own_token: true,
            body_digest: [9; 32],
            text: Some(TextHash::of("hi")),
            trace: Some(Root::below(Some(&client.with_state(TraceState::read("a=1,b=2"))))),
        };
        let new_trace = Accepted { trace: Some(Root::below(None)), ..accepted.clone() };
        let bare = Accepted { trace: None, ..accepted.clone() };
        let bare = Accepted { client_session: None, starter: None, text: None, ..bare };
        let bare = Accepted { by_own_token: false, ..bare };
        let records = [
            TurnRecord::Accepted(accepted.clone()),
            TurnRecord::Accepted(new_trace),
            TurnRecord::Accepted(bare.clone()),
            TurnRecord::Prepared(Prepared { at_ms: 1, session: None, notes: "{\"a\":1}".into() }),
            TurnRecord::Repeated,
            TurnRecord::Dispatched(Dispatched {
                at_ms: 1,
                session: session("ses_1"),
                execution: None,
            }),
            TurnRecord::Polled(delta),
            TurnRecord::Finished(Finished { at_ms: 2, outcome: "completed".into(), code: None }),
            TurnRecord::Withdrawn,
            TurnRecord::CancelAsked(ExecutionId::mint()),
            TurnRecord::ReaderAdded(CredentialHash::from_bytes([4; 32])),
            TurnRecord::Trimmed(trimmed(accepted.clone())),
        ];
        for record in records {
            let back = TurnRecord::decode(&record.encode()).expect("own bytes");
            assert_eq!(back, record);
        }
        // What an older version wrote says nothing of own tokens and traces.
        let older = TurnRecord::Accepted(bare).encode();
        let text = String::from_utf8_lossy(&older.bytes);
        assert!(!text.contains("own_token") && !text.contains("trace"), "{text}");
    }

    #[test]
    fn a_trace_that_cannot_be_read_takes_no_turn_with_it() {
        let accepted =
            r#"{"at_ms":1,"box":"b","execution":"e","body_digest":"DIGEST","trace":TRACE}"#;
        let digest = "09".repeat(32);
        for trace in [r#"{"span":"nonsense"}"#, r#"{"span":"ff-1-2-3","parent":"x"}"#, "null", "7"]
        {
            let json = accepted.replace("DIGEST", &digest).replace("TRACE", trace);
            let record = Control { kind: ACCEPTED, bytes: json.into_bytes().into() };
            let read = TurnRecord::decode(&record).expect("a turn");
            assert!(matches!(read, TurnRecord::Accepted(Accepted { trace: None, .. })), "{trace}");
        }
    }

    #[test]
    fn kinds_and_content_that_are_not_ours_are_named() {
        let unknown = Control { kind: 999, bytes: bytes::Bytes::new() };
        assert!(matches!(TurnRecord::decode(&unknown), Err(DecodeControl::UnknownKind(999))));
        let broken = Control { kind: PREPARED, bytes: bytes::Bytes::from_static(b"{}") };
        assert!(matches!(
            TurnRecord::decode(&broken),
            Err(DecodeControl::Content { kind: PREPARED, .. })
        ));
    }
}
