//! What the log holds and clients see: numbers, events, control records.
//!
//! An [`Event`] is built once, from the box's JSON, and its bytes are wire bytes from then on:
//! [`WireJson`] drops white space between tokens and escapes the few characters inside strings
//! at which some clients would split a line; nothing else of the box's JSON changes. Storing,
//! replaying and hashing all use these bytes.

use std::fmt;

use bytes::Bytes;

/// The number of an event in its session, from 1, without holes, never reused: the SSE `id:`.
/// As a cursor it is exclusive: [`Seq::START`] means "from the first event".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(u64);

impl Seq {
    /// Before the first event.
    pub const START: Self = Self(0);

    /// The number `n`.
    #[must_use]
    pub const fn new(n: u64) -> Self {
        Self(n)
    }

    /// The plain number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The one after; saturates, since a client's cursor may be `u64::MAX`.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The one before; [`Seq::START`] stays.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a record in its session, from 1; events and control records alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(u64);

impl Lsn {
    /// Before the first record.
    pub const START: Self = Self(0);

    /// The number `n`.
    #[must_use]
    pub const fn new(n: u64) -> Self {
        Self(n)
    }

    /// The plain number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The one after.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of an SSE event: not empty, no CR, LF or NUL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventName(Bytes);

/// A name that would break its frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an event name must be UTF-8, not empty, and without CR, LF or NUL")]
pub struct InvalidEventName;

impl EventName {
    /// A name of our own, known to be good.
    ///
    /// # Panics
    /// If it would break its frame: the law is that names of ours are literals that fit.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        assert!(is_frame_safe(name.as_bytes()), "a name of ours fits in one SSE line");
        Self(Bytes::from_static(name.as_bytes()))
    }

    /// Checks a name that came from a box or from disk. The bytes are shared, not copied.
    ///
    /// # Errors
    /// [`InvalidEventName`].
    pub fn parse(name: Bytes) -> Result<Self, InvalidEventName> {
        let good = is_frame_safe(&name) && std::str::from_utf8(&name).is_ok();
        if good { Ok(Self(name)) } else { Err(InvalidEventName) }
    }

    /// The name as bytes of UTF-8.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

impl PartialEq<str> for EventName {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

const fn is_frame_safe(name: &[u8]) -> bool {
    let mut rest = name;
    while let [first, tail @ ..] = rest {
        if matches!(*first, b'\r' | b'\n' | 0) {
            return false;
        }
        rest = tail;
    }
    !name.is_empty()
}

/// One line of compact JSON, an object, in its wire form.
#[derive(Clone, PartialEq, Eq)]
pub struct WireJson(Bytes);

/// Bytes that are not one JSON object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not one JSON object in UTF-8")]
pub struct NotAnObject;

impl WireJson {
    /// The wire form of `json`: valid JSON is checked for, tokens keep their bytes.
    ///
    /// # Errors
    /// [`NotAnObject`] if `json` is not valid JSON in UTF-8 or not an object.
    pub fn from_json(json: &[u8]) -> Result<Self, NotAnObject> {
        let raw: &serde_json::value::RawValue =
            serde_json::from_slice(json).map_err(|_| NotAnObject)?;
        if !raw.get().starts_with('{') {
            return Err(NotAnObject);
        }
        Ok(Self(wire_form(raw.get())))
    }

    /// The wire form of a value of ours.
    ///
    /// # Errors
    /// [`NotAnObject`] if it does not serialise to an object.
    pub fn from_value<T: serde::Serialize>(value: &T) -> Result<Self, NotAnObject> {
        let json = serde_json::to_vec(value).map_err(|_| NotAnObject)?;
        Self::from_json(&json)
    }

    /// Bytes that were wire bytes before they were stored; whoever stored them vouches, and the
    /// log's checksum vouches for the time between.
    #[must_use]
    pub const fn from_stored(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

impl fmt::Debug for WireJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// Drops white space between tokens; inside strings escapes U+0085, U+2028 and U+2029 (VT and FF
/// cannot stand raw in valid JSON). `json` is valid, so a quote outside a string opens one.
fn wire_form(json: &str) -> Bytes {
    let mut out = Vec::with_capacity(json.len());
    let mut in_string = false;
    let mut escaped = false;
    let mut buffer = [0; 4];
    for c in json.chars() {
        if !in_string {
            if !matches!(c, ' ' | '\t' | '\n' | '\r') {
                out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            }
            in_string = c == '"';
            continue;
        }
        match c {
            '\u{85}' => out.extend_from_slice(b"\\u0085"),
            '\u{2028}' => out.extend_from_slice(b"\\u2028"),
            '\u{2029}' => out.extend_from_slice(b"\\u2029"),
            other => out.extend_from_slice(other.encode_utf8(&mut buffer).as_bytes()),
        }
        in_string = escaped || c != '"';
        escaped = c == '\\' && !escaped;
    }
    Bytes::from(out)
}

/// A named event with its JSON object; it has no number until it is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The SSE `event:` field.
    pub name: EventName,
    /// The SSE `data:` field.
    pub data: WireJson,
}

impl Event {
    /// An event of ours: a fixed name and a value that serialises to an object.
    ///
    /// # Panics
    /// If it does not: the law is that values of ours are structs.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a law about our own types, stated in the message")]
    pub fn ours<T: serde::Serialize>(name: &'static str, value: &T) -> Self {
        let data = WireJson::from_value(value).expect("events of ours are JSON objects");
        Self { name: EventName::from_static(name), data }
    }

    /// Bytes that count against bounds: name and data.
    #[must_use]
    pub fn len(&self) -> usize {
        self.name.as_bytes().len() + self.data.as_bytes().len()
    }

    /// Never true: a name is not empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }
}

/// Turn bookkeeping in the same log; opaque here, encoded by the turn floor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// What it is; a number on disk never changes its meaning.
    pub kind: u16,
    /// Its encoded content.
    pub bytes: Bytes,
}

/// What the log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Shown to clients; gets a [`Seq`] and an [`Lsn`].
    Event(Event),
    /// Not shown; gets an [`Lsn`].
    Control(Control),
}

impl Record {
    /// Bytes that count against bounds.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Event(event) => event.len(),
            Self::Control(control) => control.bytes.len(),
        }
    }

    /// Whether it has no content at all (a control record may have none).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_wire(json: &str, wire: &str) {
        let got = WireJson::from_json(json.as_bytes()).expect("an object");
        assert_eq!(std::str::from_utf8(got.as_bytes()), Ok(wire));
    }

    #[test]
    fn the_wire_form_keeps_the_bytes_of_every_token() {
        check_wire("{}", "{}");
        check_wire("{ \"a\" :\r\n [ 1.50e+3 , -0, null ] }", r#"{"a":[1.50e+3,-0,null]}"#);
        check_wire(r#"{"a":" \" { \\","b":"\u00e9é\/"}"#, r#"{"a":" \" { \\","b":"\u00e9é\/"}"#);
        check_wire(r#"{"a\\":"\\\" x"}"#, r#"{"a\\":"\\\" x"}"#);
    }

    #[test]
    fn characters_at_which_clients_split_lines_are_escaped_inside_strings() {
        check_wire("{\"\u{85}\":\"\u{2028}x\u{2029}\"}", r#"{"\u0085":"\u2028x\u2029"}"#);
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for bad in ["", "[]", "1", "{", "{}{}", "{\"a\":\"\u{b}\"}", "{'a':1}"] {
            assert_eq!(WireJson::from_json(bad.as_bytes()), Err(NotAnObject), "{bad:?}");
        }
        assert_eq!(WireJson::from_json(b"{\"a\":\"\xff\"}"), Err(NotAnObject));
    }

    #[test]
    fn a_name_that_would_break_its_frame_cannot_be_built() {
        for bad in ["", "a\r", "a\nb", "\0"] {
            assert!(EventName::parse(Bytes::from(bad)).is_err(), "{bad:?}");
        }
        assert!(EventName::parse(Bytes::from_static(b"message.part.updated")).is_ok());
    }

    #[test]
    fn the_wire_form_means_the_same_value() {
        proptest::proptest!(|(text in "\\PC*|[\u{85}\u{2028}\u{2029}\"\\\\ \n]*")| {
            let value = serde_json::json!({ "k": text, text.clone(): [text] });
            let pretty = serde_json::to_string_pretty(&value).expect("json");
            let wire = WireJson::from_json(pretty.as_bytes()).expect("an object");
            let back: serde_json::Value = serde_json::from_slice(wire.as_bytes()).expect("json");
            assert_eq!(back, value);
            assert!(!wire.as_bytes().iter().any(|b| *b == b'\n' || *b == b'\r'));
            for c in ['\u{85}', '\u{2028}', '\u{2029}'] {
                assert!(!String::from_utf8_lossy(wire.as_bytes()).contains(c));
            }
        });
    }
}
