//! What is remembered of turns whose events were cut off: the tombstones, and what the session itself
//! would forget with its first turn.
//!
//! The record stands in the batch of its cut, so it is what opening the log finds of them, whether
//! their own records are still on disk or not. A later one repeats what must still be remembered of
//! an earlier one, which is cut off sooner or later.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::as_text::{hash_texts, id_text, optional_hash_text, optional_id_text, seq_number};
use super::{Accepted, Dispatched, Finished};
use crate::credential::CredentialHash;
use crate::event::Seq;
use crate::ids::{BoxName, SessionId};

/// The oldest turns of a session were cut off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trimmed {
    /// When, in wall-clock milliseconds.
    pub at_ms: u64,
    /// The last event that is gone: a turn's last.
    #[serde(with = "seq_number")]
    pub through: Seq,
    /// Whose session it is, whichever turns are left to tell.
    pub origin: Origin,
    /// Those of the turns up to `through` that are remembered, oldest first.
    pub turns: Vec<FinishedTurn>,
    /// Credentials that the box had vouched for.
    #[serde(default, with = "hash_texts", skip_serializing_if = "Vec::is_empty")]
    pub readers: Vec<CredentialHash>,
}

/// What a session keeps of its turns when they are forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The box that it is on.
    #[serde(rename = "box", with = "id_text")]
    pub box_name: BoxName,
    /// What the client calls it.
    #[serde(default, with = "optional_id_text", skip_serializing_if = "Option::is_none")]
    pub client_session: Option<SessionId>,
    /// What the box calls it.
    #[serde(default, with = "optional_id_text", skip_serializing_if = "Option::is_none")]
    pub box_session: Option<SessionId>,
    /// Its owner; none if it was started without a credential.
    #[serde(default, with = "optional_hash_text", skip_serializing_if = "Option::is_none")]
    pub owner: Option<CredentialHash>,
}

/// A turn with its verdict: with its events still in the log, or as their tombstone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishedTurn {
    /// Its ids, starter and body digest.
    pub accepted: Accepted,
    /// What the box assigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatched: Option<Dispatched>,
    /// How it ended.
    pub finished: Finished,
    /// The number of its first event.
    #[serde(with = "seq_number")]
    pub from: Seq,
    /// The number of its `done`.
    #[serde(with = "seq_number")]
    pub last: Seq,
    /// When its events were cut off, if they were, in wall-clock milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trimmed_ms: Option<u64>,
}

impl FinishedTurn {
    /// Whether its tombstone has stood for `age`: from then on its ids mean nothing.
    #[must_use]
    pub fn is_forgotten(&self, now_ms: u64, age: Duration) -> bool {
        let stood = |at_ms| u128::from(now_ms.saturating_sub(at_ms)) >= age.as_millis();
        self.trimmed_ms.is_some_and(stood)
    }
}
