//! `tracestate`: what the vendors of tracing keep beside a trace context, carried on unread.
//!
//! It is kept whole or not at all where it is malformed, as the recommendation says, and cut by whole
//! members where it is long: it is kept with the turn.

use http::HeaderMap;

use super::context::TRACESTATE;
use crate::limits;

/// Members that hold more than this many bytes go first when a state is cut, says the recommendation.
const LARGE_MEMBER: usize = 128;

/// The members, between commas; empty if there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceState(String);

impl TraceState {
    /// All members of a request's headers, in their order; none if one of them is malformed.
    #[must_use]
    pub fn of_headers(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(TRACESTATE).iter().map(|line| line.to_str());
        let lines: Result<Vec<_>, _> = lines.collect();
        lines.ok().map(|lines| Self::read(&lines.join(","))).unwrap_or_default()
    }

    /// Reads members between commas; blank around them and empty ones are dropped.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let members = text.split(',').map(|member| member.trim_matches([' ', '\t']));
        let members: Vec<_> = members.filter(|member| !member.is_empty()).collect();
        if members.len() > limits::MAX_TRACE_STATE_MEMBERS
            || !members.iter().all(|one| is_member(one))
        {
            return Self::default();
        }
        Self(cut(members).join(","))
    }

    /// The members between commas.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What of the members is carried on.
fn cut(mut members: Vec<&str>) -> Vec<&str> {
    let is_long = |members: &[&str]| {
        let commas = members.len().saturating_sub(1);
        members.iter().map(|one| one.len()).sum::<usize>() + commas > limits::MAX_TRACE_STATE_BYTES
    };
    while is_long(&members) {
        let large = members.iter().rposition(|one| one.len() > LARGE_MEMBER);
        members.remove(large.unwrap_or(members.len() - 1));
    }
    members
}

fn is_member(text: &str) -> bool {
    let Some((key, value)) = text.split_once('=') else { return false };
    let starts = key.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let of_key = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-*/@".contains(c);
    let of_value = |c: char| matches!(c, ' '..='~') && c != '=';
    // The recommendation's own lengths.
    let is_short = |text: &str| (1..=256).contains(&text.len());
    starts
        && is_short(key)
        && key.chars().all(of_key)
        && is_short(value)
        && value.chars().all(of_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_kept_in_their_order_and_blank_is_not() {
        for (text, kept) in [
            ("", ""),
            ("a=1", "a=1"),
            (" a=1 ,\tb@c=x y,,9t@v=!", "a=1,b@c=x y,9t@v=!"),
            (",, ,", ""),
        ] {
            assert_eq!(TraceState::read(text).as_str(), kept, "{text:?}");
        }
    }

    #[test]
    fn one_malformed_member_makes_it_none() {
        let (long, many) = (format!("a={}", "x".repeat(257)), vec!["a=1"; 33].join(","));
        for text in ["a", "a=", "=1", "A=1", "_a=1", "a=1=2", "a b=1", "a=\u{7f}", &long, &many] {
            assert!(TraceState::read(&format!("ok=1,{text}")).is_empty(), "{text:?}");
        }
        assert!(!TraceState::read(&vec!["a=1"; 32].join(",")).is_empty());
    }

    #[test]
    fn a_long_one_is_cut_by_whole_members_and_large_ones_go_first() {
        let large = format!("large={}", "x".repeat(200));
        let small: Vec<_> = (0..10).map(|n| format!("k{n}={}", "y".repeat(50))).collect();
        let text = [&[small[0].clone(), large][..], &small[1..]].concat().join(",");
        let kept = TraceState::read(&text);
        assert_eq!(kept.as_str(), small[..9].join(","));
        assert!(kept.as_str().len() <= limits::MAX_TRACE_STATE_BYTES);
    }
}
