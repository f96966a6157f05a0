//! A run goes on when its stream is dropped only if it was asked for detached. This sees to it,
//! and leaves every other byte of the body as the client wrote it.
//!
//! Only the body's own `detach` counts: one deeper inside, or in a text, is somebody else's. Absent,
//! it is put in after the first brace; `false`, and `null`, which says as little as an absent one,
//! become `true`, each time they stand there. Any other value is an error: one box might take it
//! for yes and another for no, and a run that is not detached dies with its stream.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::upstream::BadPrompt;

const KEY: &str = "detach";

/// The body with `detach` true; the same bytes if it is so already.
pub(super) fn detached(body: &Bytes) -> Result<Bytes, BadPrompt> {
    let not_an_object = || BadPrompt("the body is not a JSON object".to_owned());
    let text = std::str::from_utf8(body).map_err(|_| not_an_object())?;
    let found: Found<'_> = serde_json::from_str(text).map_err(|_| not_an_object())?;
    let mut changed = Vec::with_capacity(text.len() + 16);
    let mut kept_from = 0;
    for value in &found.values {
        match value.get() {
            "true" => {}
            "false" | "null" => {
                // The value is borrowed from the text, so the distance is its place.
                let at = value.get().as_ptr().addr() - text.as_ptr().addr();
                changed.extend_from_slice(text.get(kept_from..at).unwrap_or_default().as_bytes());
                changed.extend_from_slice(b"true");
                kept_from = at + value.get().len();
            }
            _ => return Err(BadPrompt("`detach` is neither true nor false".to_owned())),
        }
    }
    if found.values.is_empty() {
        let (before, rest) = text.split_once('{').ok_or_else(not_an_object)?;
        let comma = if found.is_empty { "" } else { "," };
        changed.extend_from_slice(format!("{before}{{\"{KEY}\":true{comma}{rest}").as_bytes());
    } else if changed.is_empty() {
        return Ok(body.clone());
    } else {
        changed.extend_from_slice(text.get(kept_from..).unwrap_or_default().as_bytes());
    }
    Ok(changed.into())
}

/// The values of `detach` in an object, in order.
#[derive(Default)]
struct Found<'a> {
    values: Vec<&'a RawValue>,
    is_empty: bool,
}

impl<'de> Deserialize<'de> for Found<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FindDetach)
    }
}

struct FindDetach;

impl<'de> Visitor<'de> for FindDetach {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found<'de>, A::Error> {
        let mut found = Found { values: Vec::new(), is_empty: true };
        while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
            found.is_empty = false;
            if key == KEY {
                found.values.push(value);
            }
        }
        Ok(found)
    }
}

#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detach_becomes_true_and_nothing_else_changes() {
        for (body, sent) in [
            // Absent.
            (r#"{"message":"x"}"#, r#"{"detach":true,"message":"x"}"#),
            (" \n{ \"a\" : 1.0e2 }\n", " \n{\"detach\":true, \"a\" : 1.0e2 }\n"),
            ("{}", r#"{"detach":true}"#),
            ("{ }", r#"{"detach":true }"#),
            // True already.
            (r#"{"detach":true,"a":1}"#, r#"{"detach":true,"a":1}"#),
            (r#"{"a":1,"detach" : true }"#, r#"{"a":1,"detach" : true }"#),
            // Not true.
            (r#"{"detach":false}"#, r#"{"detach":true}"#),
            (
                r#"{"a":[false], "detach" :  false , "b":2}"#,
                r#"{"a":[false], "detach" :  true , "b":2}"#,
            ),
            (r#"{"detach":null,"b":2}"#, r#"{"detach":true,"b":2}"#),
            // The key in another spelling.
            (r#"{"det\u0061ch":false}"#, r#"{"det\u0061ch":true}"#),
            (r#"{"Detach":false}"#, r#"{"detach":true,"Detach":false}"#),
            // Twice.
            (r#"{"detach":false,"a":1,"detach":false}"#, r#"{"detach":true,"a":1,"detach":true}"#),
            (r#"{"detach":true,"detach":false}"#, r#"{"detach":true,"detach":true}"#),
            // Somebody else's.
            (r#"{"a":{"detach":false}}"#, r#"{"detach":true,"a":{"detach":false}}"#),
            (
                r#"{"a":[{"detach":false}],"detach":true}"#,
                r#"{"a":[{"detach":false}],"detach":true}"#,
            ),
            (
                r#"{"message":"say \"detach\":false, {\"detach\":false}"}"#,
                r#"{"detach":true,"message":"say \"detach\":false, {\"detach\":false}"}"#,
            ),
            (r#"{"a":"detach","b":"{"}"#, r#"{"detach":true,"a":"detach","b":"{"}"#),
            (
                "{\"é\u{1F600}\":\"\u{2028}\",\"detach\":false}",
                "{\"é\u{1F600}\":\"\u{2028}\",\"detach\":true}",
            ),
        ] {
            let got = detached(&Bytes::copy_from_slice(body.as_bytes())).expect("an object");
            assert_eq!(std::str::from_utf8(&got), Ok(sent), "{body}");
            let again = detached(&got).expect("an object");
            assert_eq!(again, got, "once is enough: {body}");
        }
    }

    #[test]
    fn a_detach_that_is_neither_true_nor_false_is_an_error() {
        for value in ["0", "1", "\"false\"", "\"x\"", "{}", "[false]"] {
            let body = format!(r#"{{"detach":{value}}}"#);
            assert!(detached(&Bytes::from(body)).is_err(), "{value}");
        }
        for body in ["", "[]", "{", r#"{"detach":false"#, "null", "\"{}\"", "{} x"] {
            assert!(detached(&Bytes::copy_from_slice(body.as_bytes())).is_err(), "{body}");
        }
        assert!(detached(&Bytes::from_static(b"{\"a\":\"\xff\"}")).is_err());
    }
}
