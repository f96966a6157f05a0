//! The query of a request, decoded once, for the few names that we know.
//!
//! Decoding is that of HTML forms (`+` is a space, `%XX` a byte), as every client library
//! encodes. The first value of a name counts. Requests that are passed on keep their bytes;
//! nothing here touches them.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use super::error::Error;
use crate::sse::frame::DataLines;

/// A decoded query.
#[derive(Debug)]
pub(crate) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Decodes `query`, the part after `?`.
    pub(crate) fn parse(query: Option<&'a str>) -> Self {
        Self(form_urlencoded::parse(query.unwrap_or("").as_bytes()).collect())
    }

    /// The first value of `name`; an empty one counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let values = self.0.iter().filter(|(n, _)| n == name);
        values.map(|(_, value)| value.as_ref()).find(|value| !value.is_empty())
    }
}

impl Query<'_> {
    /// How the client wants its JSON laid out.
    ///
    /// # Errors
    /// [`Error::InvalidMaxLine`] if `max_line` is not a positive number.
    pub(crate) fn data_lines(&self) -> Result<DataLines, Error> {
        match self.get("max_line").map(str::parse) {
            None => Ok(DataLines::One),
            Some(Ok(limit)) => Ok(DataLines::AtMost(limit)),
            Some(Err(_)) => Err(Error::InvalidMaxLine),
        }
    }
}

impl Query<'_> {
    /// A number of ours: decimal digits, within these bounds.
    ///
    /// # Errors
    /// [`Error::InvalidQuery`].
    pub(crate) fn number(
        &self,
        name: &'static str,
        bounds: RangeInclusive<u64>,
    ) -> Result<Option<u64>, Error> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| is_plain && bounds.contains(number));
        number.map(Some).ok_or(Error::InvalidQuery(name))
    }
}

/// `text` with its `%XX` decoded, as one segment of a path; `None` if that is not UTF-8.
pub(crate) fn decode_segment(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let pair = tail.split_first_chunk::<2>();
        let decoded = pair.and_then(|([a, b], after)| Some((hex(*a)? * 16 + hex(*b)?, after)));
        match decoded {
            Some((byte, after)) if *first == b'%' => {
                out.push(byte);
                rest = after;
            }
            Some(_) | None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_that_is_not_empty_counts() {
        let query = Query::parse(Some("after=&after=3&after=4&x&%61b=%2B5+"));
        assert_eq!(query.get("after"), Some("3"));
        assert_eq!(query.get("ab"), Some("+5 "));
        assert_eq!(query.get("x"), None);
        assert_eq!(Query::parse(None).get("x"), None);
    }

    #[test]
    fn lines_are_limited_by_a_positive_number_or_not_at_all() {
        let of = |query| Query::parse(Some(query)).data_lines();
        assert!(matches!(of("max_line="), Ok(DataLines::One)));
        assert!(matches!(of("max_line=65536"), Ok(DataLines::AtMost(n)) if n.get() == 65536));
        for query in ["max_line=0", "max_line=-1", "max_line=x", "max_line=99999999999999999999"] {
            assert!(matches!(of(query), Err(Error::InvalidMaxLine)), "{query}");
        }
    }

    #[test]
    fn a_number_is_digits_within_its_bounds() {
        let of = |query| Query::parse(Some(query)).number("limit", 1..=100);
        assert!(matches!(of(""), Ok(None)));
        assert!(matches!(of("limit=007"), Ok(Some(7))));
        for value in ["0", "101", "-1", "%2B5", "1.5", "x", "99999999999999999999"] {
            let query = format!("limit={value}");
            let refused = Query::parse(Some(&query)).number("limit", 1..=100);
            assert!(matches!(refused, Err(Error::InvalidQuery("limit"))), "{value}");
        }
    }

    #[test]
    fn a_segment_is_decoded_byte_by_byte_and_broken_escapes_stay() {
        for (text, decoded) in [
            ("plain+", Some("plain+")),
            ("a%3Ab%40c", Some("a:b@c")),
            ("%2e%2E", Some("..")),
            ("a%2Fb", Some("a/b")),
            ("%", Some("%")),
            ("%4", Some("%4")),
            ("%zz%41", Some("%zzA")),
            ("%C3%A9", Some("é")),
            ("%ff", None),
        ] {
            assert_eq!(decode_segment(text).as_deref(), decoded, "{text}");
        }
    }
}
