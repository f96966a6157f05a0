//! Where a box tells the result of a turn, if it has such a route: a path with `{id}` in the
//! place of the session.

use std::str::FromStr;

use crate::ids::SessionId;

const PLACE: &str = "{id}";

/// The path of a box's result route, below its base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultPath {
    before: String,
    after: String,
}

impl ResultPath {
    /// The path for one session.
    #[must_use]
    pub fn of(&self, session: &SessionId) -> String {
        format!("{}{session}{}", self.before, self.after)
    }

    /// The segment of `path` that stands in the session's place, as it came.
    #[must_use]
    pub fn session_in<'p>(&self, path: &'p str) -> Option<&'p str> {
        let id = path.strip_prefix(&self.before)?.strip_suffix(&self.after)?;
        (!id.is_empty() && !id.contains('/')).then_some(id)
    }
}

impl FromStr for ResultPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no path with one `{PLACE}` as a whole segment");
        let (before, after) = text.split_once(PLACE).ok_or_else(wrong)?;
        let plain = |part: &str| {
            part.bytes().all(|b| b.is_ascii_graphic() && !b"{}?#%\"<>\\^`|".contains(&b))
        };
        let whole = before.ends_with('/') && (after.is_empty() || after.starts_with('/'));
        if !(before.starts_with('/') && whole && plain(before) && plain(after)) {
            return Err(wrong());
        }
        Ok(Self { before: before.to_owned(), after: after.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_place_leads_there_and_back() {
        let path: ResultPath = "/agents/sessions/{id}/result".parse().expect("a path");
        let session = SessionId::parse("s-1").expect("an id");
        assert_eq!(path.of(&session), "/agents/sessions/s-1/result");
        assert_eq!(path.session_in("/agents/sessions/s-1/result"), Some("s-1"));
        for other in [
            "/agents/sessions//result",
            "/agents/sessions/a/b/result",
            "/x",
            "/agents/sessions/result",
        ] {
            assert_eq!(path.session_in(other), None, "{other}");
        }
    }

    #[test]
    fn anything_else_is_no_path() {
        for bad in [
            "",
            "/a",
            "a/{id}",
            "/a{id}",
            "/{id}b",
            "/{id}/{id}",
            "/{id}?x",
            "/ {id}",
            "http://x/{id}#",
        ] {
            assert!(bad.parse::<ResultPath>().is_err(), "{bad}");
        }
    }
}
