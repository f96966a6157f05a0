//! The names that travel: boxes, sessions, executions, turns.
//!
//! Parsed once at the door, safe from then on: an [`Id`] holds 1 to 256 characters of
//! `[A-Za-z0-9._:@=+~-]` and is neither `.` nor `..`, so it can stand in a path, a header, a log
//! line or an SSE frame without another check. [`SessionKey`] is ours alone: it names a session
//! in the log, whatever names its client and its box gave it.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;

use crate::limits;

/// A checked external name; `K` says what it names, so that two kinds cannot be confused.
pub struct Id<K> {
    text: Arc<str>,
    kind: PhantomData<fn() -> K>,
}

/// What kind of thing an [`Id`] names, for error messages.
pub trait IdKind {
    /// The name of the kind as a client knows it, for example `sessionId`.
    const NAME: &'static str;
}

/// Marks the name of a session, as a client sent it or a box assigned it.
#[derive(Debug)]
pub enum Session {}
/// Marks the name of one execution of a turn.
#[derive(Debug)]
pub enum Execution {}
/// Marks the name that a client gave to a turn, so that a repeat is recognised.
#[derive(Debug)]
pub enum Turn {}
/// Marks the configured name of a box.
#[derive(Debug)]
pub enum Boxed {}

impl IdKind for Session {
    const NAME: &'static str = "sessionId";
}
impl IdKind for Execution {
    const NAME: &'static str = "executionId";
}
impl IdKind for Turn {
    const NAME: &'static str = "turnId";
}
impl IdKind for Boxed {
    const NAME: &'static str = "box";
}

/// A session's external name (client-sent, box-assigned, or minted from its key).
pub type SessionId = Id<Session>;
/// An execution's external name.
pub type ExecutionId = Id<Execution>;
/// A turn's external name.
pub type TurnId = Id<Turn>;
/// A box's configured name.
pub type BoxName = Id<Boxed>;

/// Text that cannot be an id. Public code: `INVALID_ID`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} must be 1 to 256 of A-Z a-z 0-9 . _ : @ = + ~ - and not a dot segment")]
pub struct InvalidId {
    /// Which id, as the client names it.
    pub kind: &'static str,
}

impl<K: IdKind> Id<K> {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`InvalidId`] if it is empty, too long, a dot segment, or holds another character.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._:@=+~-".contains(&b);
        let fits = (1..=limits::MAX_ID_BYTES).contains(&text.len());
        if fits && text.bytes().all(allowed) && text != "." && text != ".." {
            Ok(Self { text: text.into(), kind: PhantomData })
        } else {
            Err(InvalidId { kind: K::NAME })
        }
    }

    /// As [`Id::parse`], but empty means absent, as the sandbox reads it.
    ///
    /// # Errors
    /// [`InvalidId`] as for [`Id::parse`].
    pub fn parse_optional(text: &str) -> Result<Option<Self>, InvalidId> {
        if text.is_empty() { Ok(None) } else { Self::parse(text).map(Some) }
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl ExecutionId {
    /// A fresh execution id, time-ordered and unguessable.
    #[must_use]
    pub fn mint() -> Self {
        Self { text: format!("exec_{}", uuid::Uuid::now_v7().simple()).into(), kind: PhantomData }
    }
}

impl BoxName {
    /// The name of the box of a one-box set-up.
    #[must_use]
    pub fn default_box() -> Self {
        Self { text: "default".into(), kind: PhantomData }
    }
}

impl<K: IdKind> FromStr for Id<K> {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::parse(text)
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        Self { text: Arc::clone(&self.text), kind: PhantomData }
    }
}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}
impl<K> std::hash::Hash for Id<K> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}
impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl<K> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The internal name of a session: 128 bits, minted once, never shown except through
/// [`SessionKey::session_id`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey([u8; 16]);

impl SessionKey {
    /// A fresh key, ordered by creation time (UUID version 7).
    #[must_use]
    pub fn mint() -> Self {
        Self(uuid::Uuid::now_v7().into_bytes())
    }

    /// The key that these bytes of the log mean.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes for the log.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// The session id that a client gets who sent none and whose box assigned none.
    #[must_use]
    pub fn session_id(self) -> SessionId {
        let text = format!("sess_{}", uuid::Uuid::from_bytes(self.0).simple());
        SessionId { text: text.into(), kind: PhantomData }
    }

    /// The key whose [`SessionKey::session_id`] this is; `None` if it is another id.
    #[must_use]
    pub fn of_id(id: &SessionId) -> Option<Self> {
        let digits = id.as_str().strip_prefix("sess_")?;
        let key = Self(uuid::Uuid::try_parse(digits).ok()?.into_bytes());
        // The same number can be written otherwise.
        (key.session_id() == *id).then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_takes_the_allowed_alphabet_and_nothing_else() {
        for good in ["a", "ses_1.2:3@4=5+6~7-8", &"x".repeat(256), "...", "-"] {
            assert_eq!(SessionId::parse(good).map(|id| id.to_string()).as_deref(), Ok(good));
        }
        for bad in ["", ".", "..", "a/b", "a b", "a\n", "a\0", "é", "%2e", &"x".repeat(257)] {
            assert!(SessionId::parse(bad).is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn an_empty_id_is_absent_when_it_may_be() {
        assert_eq!(TurnId::parse_optional(""), Ok(None));
        assert!(TurnId::parse_optional("a b").is_err());
    }

    #[test]
    fn minted_ids_are_valid_ids() {
        let execution = ExecutionId::mint();
        assert_eq!(ExecutionId::parse(execution.as_str()), Ok(execution.clone()));
        let session = SessionKey::mint().session_id();
        assert_eq!(SessionId::parse(session.as_str()), Ok(session.clone()));
    }

    #[test]
    fn a_key_is_known_again_by_its_own_id_alone() {
        let key = SessionKey::mint();
        assert_eq!(SessionKey::of_id(&key.session_id()), Some(key));
        let digits = key.session_id().as_str().trim_start_matches("sess_").to_owned();
        let dashed = uuid::Uuid::from_bytes(key.to_bytes()).hyphenated().to_string();
        for other in [&digits, &format!("sess_{dashed}"), "sess_", "sess_12", "s-1"] {
            let id = SessionId::parse(other).expect("an id");
            assert_eq!(SessionKey::of_id(&id), None, "{other}");
        }
    }
}
