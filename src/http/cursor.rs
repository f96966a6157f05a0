//! Where a stream begins: the client's cursor against what there is to show.
//!
//! Pure. A cursor is what the client has seen, so what follows it is sent. `0` or none means
//! from the start. Below the first id of a turn means its start; beyond what there is, or not a
//! number, means everything again, and the head says so: that is what the sandbox does, and its
//! clients know it. Nothing left of a finished turn is an answer of its own: by GET 204, since
//! that alone stops a native EventSource.

use http::HeaderMap;

use super::error::Error;
use super::query::Query;
use crate::event::Seq;
use crate::sse::last_event_id::LastEventId;

/// The header with which a client comes back.
pub(crate) const HEADER: &str = "last-event-id";

/// The names under which clients put a cursor into the query, strongest first. All are exclusive.
const QUERY_NAMES: [&str; 4] = ["lastEventId", "last_event_id", "after", "starting_after"];

/// Where a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// What follows this event.
    After(Seq),
    /// The same, from the start, because the cursor made no sense: the head says `reset`.
    Reset(Seq),
    /// Nothing is left and nothing will come.
    AtEnd,
}

/// What a stream can show at the moment of the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    /// The first id of what was asked for: a turn's, or 1 for a session's log.
    pub(crate) first: Seq,
    /// The number that the session's next event will get.
    pub(crate) next: Seq,
    /// The last id, if nothing will follow it: a finished turn's, or that of an idle session whose
    /// reader wants no more than that.
    pub(crate) last: Option<Seq>,
}

/// The cursor of a request without a body: the header is stronger than the query, because a
/// native EventSource repeats its first URL for ever and moves only the header.
pub(crate) fn of_request(headers: &HeaderMap, query: &Query<'_>) -> LastEventId {
    let mut values = headers.get_all(HEADER).iter();
    let header = match (values.next(), values.next()) {
        (None, _) => LastEventId::None,
        (Some(value), None) => LastEventId::parse(value.as_bytes()),
        // Two lines mean the list of both, which is no number.
        (Some(_), Some(_)) => LastEventId::NotANumber,
    };
    if header.is_given() {
        return header;
    }
    let values = QUERY_NAMES.iter().filter_map(|name| query.get(name));
    values.map(|value| LastEventId::parse(value.as_bytes())).next().unwrap_or_default()
}

/// The cursor of a session's log: as [`of_request`], then `since`, which names the first event
/// that is wanted.
pub(crate) fn of_session_request(headers: &HeaderMap, query: &Query<'_>) -> LastEventId {
    let exclusive = of_request(headers, query);
    if exclusive.is_given() {
        return exclusive;
    }
    match query.get("since").map(|value| LastEventId::parse(value.as_bytes())) {
        Some(LastEventId::Seen(seq)) => LastEventId::Seen(seq.previous()),
        Some(LastEventId::NotANumber) => LastEventId::NotANumber,
        Some(LastEventId::None) | None => LastEventId::None,
    }
}

/// Decides where the stream begins.
pub(crate) fn choose(cursor: LastEventId, shown: Shown) -> Start {
    let Shown { first, next, last } = shown;
    let start = first.previous();
    let seen = match cursor {
        LastEventId::None => return Start::After(start),
        LastEventId::NotANumber => return Start::Reset(start),
        LastEventId::Seen(seen) => seen,
    };
    if seen < first {
        return Start::After(start);
    }
    match last {
        Some(last) if seen == last => Start::AtEnd,
        Some(last) if seen > last => Start::Reset(start),
        Some(_) | None if seen >= next => Start::Reset(start),
        Some(_) | None => Start::After(seen),
    }
}

/// Where to begin, for clients that are told of a wrong cursor: it must be one that somebody can have
/// been given, so below the number that the next event will get.
///
/// # Errors
/// [`Error::InvalidCursor`], [`Error::CursorBeyondTail`].
pub(crate) fn strictly_after(cursor: LastEventId, next: Seq) -> Result<Seq, Error> {
    match cursor {
        LastEventId::None => Ok(Seq::START),
        LastEventId::NotANumber => Err(Error::InvalidCursor),
        LastEventId::Seen(seen) if seen >= next => Err(Error::CursorBeyondTail),
        LastEventId::Seen(seen) => Ok(seen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(HEADER, http::HeaderValue::from_static(line));
        }
        headers
    }

    fn seen(n: u64) -> LastEventId {
        LastEventId::Seen(Seq::new(n))
    }

    #[track_caller]
    fn check_source(lines: &[&'static str], query: &str, expected: LastEventId) {
        assert_eq!(of_request(&headers(lines), &Query::parse(Some(query))), expected);
    }

    #[test]
    fn the_header_is_stronger_than_the_query_and_the_names_have_an_order() {
        let all = "starting_after=4&after=3&last_event_id=2&lastEventId=1";
        check_source(&["9"], all, seen(9));
        check_source(&[], all, seen(1));
        check_source(&[], "starting_after=4&after=3&last_event_id=2", seen(2));
        check_source(&[], "starting_after=4&after=3", seen(3));
        check_source(&[], "starting_after=4", seen(4));
        check_source(&[], "", LastEventId::None);
    }

    #[test]
    fn an_empty_source_is_passed_over_and_a_wrong_one_is_not() {
        check_source(&[""], "lastEventId=&after=3", seen(3));
        check_source(&["x"], "lastEventId=1", LastEventId::NotANumber);
        check_source(&[], "lastEventId=x&after=3", LastEventId::NotANumber);
        check_source(&["5", "5"], "", LastEventId::NotANumber);
    }

    #[test]
    fn signs_and_spaces_in_a_query_are_not_numbers() {
        for query in ["after=+5", "after=%2B5", "after=%205", "after=-0", "after=5%20"] {
            check_source(&[], query, LastEventId::NotANumber);
        }
        check_source(&[], "after=007", seen(7));
        check_source(&[], "after=18446744073709551616", LastEventId::NotANumber);
    }

    #[test]
    fn since_names_the_first_event_wanted_and_is_the_weakest() {
        let of = |query: &str| of_session_request(&headers(&[]), &Query::parse(Some(query)));
        assert_eq!(of("since=5"), seen(4));
        assert_eq!(of("since=0"), seen(0));
        assert_eq!(of("since=1"), seen(0));
        assert_eq!(of("since=x"), LastEventId::NotANumber);
        assert_eq!(of("since=5&after=2"), seen(2));
        assert_eq!(of(""), LastEventId::None);
    }

    /// A turn with the ids 5 to 9 of a session whose next id is `next`.
    #[track_caller]
    fn check(cursor: LastEventId, next: u64, last: Option<u64>, expected: Start) {
        let shown = Shown { first: Seq::new(5), next: Seq::new(next), last: last.map(Seq::new) };
        assert_eq!(choose(cursor, shown), expected, "{cursor:?} {next} {last:?}");
    }

    const START: Seq = Seq::new(4);

    #[test]
    fn none_and_zero_and_anything_below_the_first_id_mean_the_start() {
        for cursor in [LastEventId::None, seen(0), seen(1), seen(4)] {
            check(cursor, 5, None, Start::After(START));
            check(cursor, 8, None, Start::After(START));
            check(cursor, 10, Some(9), Start::After(START));
            check(cursor, 30, Some(9), Start::After(START));
        }
    }

    #[test]
    fn inside_the_turn_the_stream_goes_on_after_the_cursor() {
        check(seen(5), 8, None, Start::After(Seq::new(5)));
        check(seen(7), 8, None, Start::After(Seq::new(7)));
        check(seen(8), 30, Some(9), Start::After(Seq::new(8)));
    }

    #[test]
    fn at_the_end_of_a_finished_turn_nothing_is_left() {
        check(seen(9), 10, Some(9), Start::AtEnd);
        check(seen(9), 30, Some(9), Start::AtEnd);
    }

    #[test]
    fn beyond_what_there_is_everything_is_sent_again_and_the_head_says_so() {
        check(seen(5), 5, None, Start::Reset(START));
        check(seen(8), 8, None, Start::Reset(START));
        check(seen(u64::MAX), 8, None, Start::Reset(START));
        check(seen(10), 10, Some(9), Start::Reset(START));
        // Inside the session, but of a later turn.
        check(seen(12), 30, Some(9), Start::Reset(START));
        check(LastEventId::NotANumber, 8, None, Start::Reset(START));
        check(LastEventId::NotANumber, 10, Some(9), Start::Reset(START));
    }

    #[test]
    fn a_sessions_log_begins_at_one_and_waits_at_its_tail() {
        let shown = Shown { first: Seq::new(1), next: Seq::new(4), last: None };
        assert_eq!(choose(LastEventId::None, shown), Start::After(Seq::START));
        assert_eq!(choose(seen(0), shown), Start::After(Seq::START));
        assert_eq!(choose(seen(3), shown), Start::After(Seq::new(3)));
        assert_eq!(choose(seen(4), shown), Start::Reset(Seq::START));
        let idle = Shown { last: Some(Seq::new(3)), ..shown };
        assert_eq!(choose(seen(3), idle), Start::AtEnd);
        assert_eq!(choose(seen(4), idle), Start::Reset(Seq::START));
    }
}
