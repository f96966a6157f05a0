//! Reading the box's JSON where its form differs from version to version: what is wrapped in
//! `data` and what is not, and values whose type is not certain.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::upstream::Error;
use crate::upstream::reply::Reply;

/// The JSON of a success, taken out of `data` if it is wrapped.
pub(super) fn json_of(reply: &Reply) -> Result<&RawValue, Error> {
    Ok(unwrapped(reply.json()?))
}

#[derive(Deserialize)]
struct Wrapped<'a> {
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// What stands under `data`, if that is there and holds anything; else the value itself.
pub(super) fn unwrapped(raw: &RawValue) -> &RawValue {
    let inner = object::<Wrapped<'_>>(raw).and_then(|wrapped| wrapped.data);
    inner.filter(|inner| inner.get().starts_with(['{', '['])).unwrap_or(raw)
}

/// A JSON object as `T`. An array is none, though it might be read as the fields in their order.
pub(super) fn object<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    raw.get().starts_with('{').then(|| serde_json::from_str(raw.get()).ok()).flatten()
}

/// A string that is not empty.
pub(super) fn word(raw: Option<&RawValue>) -> Option<String> {
    let word: String = serde_json::from_str(raw?.get()).ok()?;
    Some(word).filter(|word| !word.is_empty())
}

/// A number that is one.
pub(super) fn number(raw: Option<&RawValue>) -> Option<f64> {
    raw?.get().parse().ok().filter(|number: &f64| number.is_finite())
}

/// What a flag says: a moment or any other value stands for yes. `None` if it says nothing.
pub(super) fn flag(raw: Option<&RawValue>) -> Option<bool> {
    match raw?.get() {
        "null" => None,
        "false" | "0" | "\"\"" | "\"false\"" => Some(false),
        _ => Some(true),
    }
}

/// How the box tells of a failure, in any of its forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// A code or a name.
    pub(super) name: Option<String>,
    /// For people.
    pub(super) message: Option<String>,
}

#[derive(Deserialize)]
struct FailureFields<'a> {
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

impl Failure {
    /// A text, `{code, message}`, or `{name, data: {message}}`; `None` if it is none of them.
    pub(super) fn read(raw: Option<&RawValue>) -> Option<Self> {
        if let Some(message) = word(raw) {
            return Some(Self { name: None, message: Some(message) });
        }
        let FailureFields { code, name, message, data } = object(raw?)?;
        let inner: Option<FailureFields<'_>> = data.and_then(object);
        let inner = inner.and_then(|inner| word(inner.message));
        let name = word(code).or_else(|| word(name));
        let message = word(message).or(inner);
        Some(Self { name, message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).expect("JSON")
    }

    #[test]
    fn what_is_wrapped_is_unwrapped_once() {
        for (json, inner) in [
            (r#"{"data":{"a":1}}"#, r#"{"a":1}"#),
            (r#"{"data":[1]}"#, "[1]"),
            (r#"{"data":null,"a":1}"#, r#"{"data":null,"a":1}"#),
            (r#"{"a":1}"#, r#"{"a":1}"#),
            ("[{}]", "[{}]"),
        ] {
            assert_eq!(unwrapped(&raw(json)).get(), inner);
        }
    }

    #[test]
    fn a_failure_is_read_in_each_of_its_forms() {
        for (json, name, message) in [
            (r#""it broke""#, None, Some("it broke")),
            (r#"{"code":"X","message":"m"}"#, Some("X"), Some("m")),
            (r#"{"name":"APIError","data":{"message":"m"}}"#, Some("APIError"), Some("m")),
            ("{}", None, None),
        ] {
            let expected =
                Failure { name: name.map(str::to_owned), message: message.map(str::to_owned) };
            assert_eq!(Failure::read(Some(&raw(json))), Some(expected), "{json}");
        }
        assert_eq!(Failure::read(Some(&raw("null"))), None);
        assert_eq!(Failure::read(Some(&raw("[]"))), None);
    }

    #[test]
    fn a_flag_may_be_a_moment() {
        for (json, says) in [
            ("true", Some(true)),
            ("false", Some(false)),
            ("1790000000", Some(true)),
            (r#""2026-01-01T00:00:00Z""#, Some(true)),
            ("null", None),
        ] {
            assert_eq!(flag(Some(&raw(json))), says, "{json}");
        }
    }
}
