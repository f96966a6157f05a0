//! The boot mark: whether the process that answers is the one that answered before.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::api::{json_of, object};
use super::assumed::BOOT_MARKS;
use crate::limits;
use crate::metrics::upstream::Call;
use crate::upstream::client::BoxClient;
use crate::upstream::{Boot, Error};

/// Reads the mark; `None` if the box tells none.
///
/// # Errors
/// [`Error::Connect`] alone: a box that does not listen may be just about to come up anew.
pub(super) async fn mark(client: &BoxClient) -> Result<Option<String>, Error> {
    // The route needs no credential, so none is shown.
    match client.read(Call::Health, None, "/health").await {
        Ok(reply) => Ok(json_of(&reply).ok().and_then(mark_in)),
        Err(error @ Error::Connect(_)) => Err(error),
        Err(
            Error::NoAnswer(_)
            | Error::Status(_)
            | Error::Unauthorized(_)
            | Error::Gone
            | Error::Later { .. }
            | Error::Nonsense(_)
            | Error::TooLarge(_),
        ) => Ok(None),
    }
}

/// The mark's JSON token, with the name that it stands under.
fn mark_in(health: &RawValue) -> Option<String> {
    let fields: BTreeMap<String, &RawValue> = object(health)?;
    let told = BOOT_MARKS.iter().find_map(|name| {
        let token = fields.get(*name)?.get();
        let is_mark = token.starts_with(|first: char| first == '"' || first.is_ascii_digit());
        (is_mark && token != "\"\"").then(|| format!("{name}={token}"))
    })?;
    (told.len() <= limits::MAX_BOOT_MARK_BYTES).then_some(told)
}

/// What two readings say.
pub(super) fn compare(before: Option<&str>, now: Option<&str>) -> Boot {
    match (before, now) {
        (Some(before), Some(now)) if before == now => Boot::Same,
        (Some(_), Some(_)) => Boot::Changed,
        (Some(_) | None, None) | (None, Some(_)) => Boot::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_the_first_of_the_known_names_that_holds_a_word_or_a_number() {
        let long = format!(r#"{{"bootId":"{}"}}"#, "x".repeat(1000));
        for (json, mark) in [
            (r#"{"status":"ok","bootId":"a"}"#, Some(r#"bootId="a""#)),
            (r#"{"startedAt":17,"bootId":null}"#, Some("startedAt=17")),
            (r#"{"bootId":"","startedAt":{}}"#, None),
            (r#"{"status":"ok","uptime":3}"#, None),
            ("[]", None),
            (&long, None),
        ] {
            let raw = RawValue::from_string(json.to_owned()).expect("JSON");
            assert_eq!(mark_in(&raw).as_deref(), mark, "{json}");
        }
    }

    #[test]
    fn only_two_marks_tell_anything() {
        assert_eq!(compare(Some("a"), Some("a")), Boot::Same);
        assert_eq!(compare(Some("a"), Some("b")), Boot::Changed);
        for (before, now) in [(None, None), (Some("a"), None), (None, Some("a"))] {
            assert_eq!(compare(before, now), Boot::Unknown);
        }
    }
}
