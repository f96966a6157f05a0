//! The names of a path and of `Idempotency-Key`, put into the body that goes to the box, where the
//! box looks for them. Every other byte stays as the client wrote it.
//!
//! A key that is absent is put in after the first brace; `null` and an empty text, which say as
//! little, are replaced where they stand. A key that names something is left alone: whether it
//! names the same was checked before.

use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::ids::{SessionId, TurnId};

/// The names in the body, undecoded.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Names<'a> {
    #[serde(borrow, default, deserialize_with = "said")]
    session_id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "said")]
    turn_id: Option<&'a RawValue>,
}

/// A value that stands there, `null` too: by itself that counts as absent.
fn said<'a, 'de: 'a, D: Deserializer<'de>>(value: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

/// `body` with both names; unchanged if it is no object.
pub(super) fn named(body: &Bytes, session: &SessionId, turn: Option<&TurnId>) -> Bytes {
    let Some(text) = std::str::from_utf8(body).ok().filter(|text| text.contains('{')) else {
        return body.clone();
    };
    let Ok(Names { session_id, turn_id }) = serde_json::from_str::<Names<'_>>(text) else {
        return body.clone();
    };
    let wanted = [
        ("sessionId", session_id, Some(session.as_str())),
        ("turnId", turn_id, turn.map(TurnId::as_str)),
    ];
    let mut put_in = String::new();
    let mut replaced = Vec::new();
    for (key, said, name) in wanted {
        let Some(name) = name else { continue };
        match said {
            // The alphabet of names needs no escapes.
            None => put_in.push_str(&format!("\"{key}\":\"{name}\",")),
            Some(said) if matches!(said.get(), "null" | "\"\"") => {
                // The value is borrowed from the text, so the distance is its place.
                let at = said.get().as_ptr().addr() - text.as_ptr().addr();
                replaced.push((at, at + said.get().len(), format!("\"{name}\"")));
            }
            Some(_) => {}
        }
    }
    let mut whole = text.to_owned();
    replaced.sort_unstable();
    for (from, to, name) in replaced.into_iter().rev() {
        whole.replace_range(from..to, &name);
    }
    if let Some((before, rest)) = whole.split_once('{').filter(|_| !put_in.is_empty()) {
        let is_empty = rest.trim_ascii_start().starts_with('}');
        let names = if is_empty { put_in.trim_end_matches(',') } else { &put_in };
        whole = format!("{before}{{{names}{rest}");
    }
    Bytes::from(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, turn: Option<&str>, expected: &str) {
        let session = SessionId::parse("s").expect("an id");
        let turn = turn.map(|turn| TurnId::parse(turn).expect("an id"));
        let got = named(&Bytes::copy_from_slice(body.as_bytes()), &session, turn.as_ref());
        assert_eq!(std::str::from_utf8(&got), Ok(expected), "{body}");
        let again = named(&got, &session, turn.as_ref());
        assert_eq!(again, got, "once is enough: {body}");
    }

    #[test]
    fn names_are_put_where_they_are_missing_and_nothing_else_changes() {
        let both = Some("t");
        check(r#"{"message":"x"}"#, None, r#"{"sessionId":"s","message":"x"}"#);
        check(
            " {\"a\" : 1.0e2 }\n",
            both,
            " {\"sessionId\":\"s\",\"turnId\":\"t\",\"a\" : 1.0e2 }\n",
        );
        check("{}", both, r#"{"sessionId":"s","turnId":"t"}"#);
        check("{ }", None, r#"{"sessionId":"s" }"#);
        check(r#"{"a":{"sessionId":"x"}}"#, None, r#"{"sessionId":"s","a":{"sessionId":"x"}}"#);
    }

    #[test]
    fn what_says_nothing_is_replaced_where_it_stands_and_what_names_something_stays() {
        check(
            r#"{"turnId":"","m":"é","sessionId":null}"#,
            Some("t"),
            r#"{"turnId":"t","m":"é","sessionId":"s"}"#,
        );
        check(r#"{"sessionId":"s","turnId":"u"}"#, Some("t"), r#"{"sessionId":"s","turnId":"u"}"#);
        check(r#"{"turnId":null}"#, None, r#"{"sessionId":"s","turnId":null}"#);
        check("{\"session\\u0049d\":\"\"}", None, "{\"session\\u0049d\":\"s\"}");
    }

    #[test]
    fn what_is_no_object_is_left_alone() {
        for body in ["", "[]", "{", "null"] {
            let session = SessionId::parse("s").expect("an id");
            let bytes = Bytes::copy_from_slice(body.as_bytes());
            assert_eq!(named(&bytes, &session, None), bytes);
        }
    }
}
