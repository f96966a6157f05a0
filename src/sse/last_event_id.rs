//! The cursor that a client sends back: the last event id it has seen.
//!
//! A number is decimal digits within u64, leading zeros allowed; nothing else is: no sign, no
//! space, no exponent. Empty means that there is none. What a cursor means for a stream (resume,
//! replay, nothing left) is not decided here.

use crate::event::Seq;

/// What a client said it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LastEventId {
    /// Nothing, or it did not say.
    #[default]
    None,
    /// Everything up to and with this event.
    Seen(Seq),
    /// Text that is no number of ours.
    NotANumber,
}

impl LastEventId {
    /// Reads the text of a header, a query value or a JSON string.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        if text.is_empty() {
            return Self::None;
        }
        let mut n: u64 = 0;
        for byte in text {
            let digit = byte.wrapping_sub(b'0');
            let next = n.checked_mul(10).and_then(|n| n.checked_add(u64::from(digit)));
            let Some(next) = next.filter(|_| digit <= 9) else {
                return Self::NotANumber;
            };
            n = next;
        }
        Self::Seen(Seq::new(n))
    }

    /// Whether the client said anything.
    #[must_use]
    pub const fn is_given(self) -> bool {
        !matches!(self, Self::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: LastEventId) {
        assert_eq!(LastEventId::parse(text.as_bytes()), expected, "{text:?}");
    }

    #[test]
    fn digits_within_u64_are_a_number_leading_zeros_allowed() {
        for (text, n) in [
            ("0", 0),
            ("7", 7),
            ("007", 7),
            ("18446744073709551615", u64::MAX),
            ("000000000000000000000000000018446744073709551615", u64::MAX),
        ] {
            check(text, LastEventId::Seen(Seq::new(n)));
        }
    }

    #[test]
    fn empty_is_none() {
        check("", LastEventId::None);
    }

    #[test]
    fn anything_else_is_not_a_number() {
        for text in ["+5", " 5", "5 ", "-0", "-1", "5.0", "5e1", "0x5", "٥", "a", "5a", "\0", ":"]
        {
            check(text, LastEventId::NotANumber);
        }
        check("18446744073709551616", LastEventId::NotANumber);
        check("99999999999999999999999999", LastEventId::NotANumber);
    }
}
