//! The poll cursor: how far a turn has been read, opaque to everyone but its adapter.
//!
//! A small map from names (a part's id, `status`, …) to values that the adapter wrote. A poll
//! yields a [`CursorDelta`], only what changed; the driver appends it with the events it belongs
//! to and then folds it. After a restart the deltas in the log are folded again, in order.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Where the next poll goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PollCursor {
    marks: BTreeMap<String, String>,
}

/// What one step changed in the cursor. On disk: a JSON object, `null` removes a mark.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CursorDelta {
    changes: BTreeMap<String, Option<String>>,
}

/// Bytes in the log that are no cursor delta of this version.
#[derive(Debug, thiserror::Error)]
#[error("decode poll cursor")]
pub struct DecodeCursor(#[from] serde_json::Error);

impl PollCursor {
    /// The value that the adapter kept under `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.marks.get(name).map(String::as_str)
    }

    /// The marks whose names start with `prefix`, in order of name.
    pub fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> + 'a {
        self.marks
            .range(prefix.to_owned()..)
            .take_while(move |(name, _)| name.starts_with(prefix))
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Takes over what a step changed; to be called once its events are durable.
    pub fn fold(&mut self, delta: CursorDelta) {
        for (name, change) in delta.changes {
            match change {
                Some(value) => self.marks.insert(name, value),
                None => self.marks.remove(&name),
            };
        }
    }
}

impl CursorDelta {
    /// Keeps `value` under `name`.
    pub fn set(&mut self, name: &str, value: String) {
        self.changes.insert(name.to_owned(), Some(value));
    }

    /// Forgets `name`.
    pub fn remove(&mut self, name: &str) {
        self.changes.insert(name.to_owned(), None);
    }

    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The bytes for the log.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a map of strings always serialises")]
    pub fn encode(&self) -> Bytes {
        serde_json::to_vec(self).expect("a map of strings is JSON").into()
    }

    /// The delta that these bytes of the log mean.
    ///
    /// # Errors
    /// [`DecodeCursor`] if they are not one.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeCursor> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_the_logged_deltas_again_gives_the_same_cursor() {
        let mut first = CursorDelta::default();
        first.set("part/a", "1".into());
        first.set("part/b", "2".into());
        let mut second = CursorDelta::default();
        second.set("part/a", "3".into());
        second.remove("part/b");

        let mut live = PollCursor::default();
        let mut resumed = PollCursor::default();
        for delta in [first, second] {
            resumed.fold(CursorDelta::decode(&delta.encode()).expect("own bytes"));
            live.fold(delta);
        }
        assert_eq!(live, resumed);
        assert_eq!(live.with_prefix("part/").collect::<Vec<_>>(), [("part/a", "3")]);
    }
}
