//! What clients read: frames and comments.
//!
//! One frame is `id:`, `event:`, one `data:` line and an empty line, LF only. Real readers need
//! it so: some split on LF alone, some keep only the last `data:` line, some drop a frame without
//! `event:`, and some leak a lone field into the next frame. So every frame is whole, and there
//! are no others. Names and data come as types that cannot hold a line break.

use std::num::NonZeroUsize;

use bytes::{BufMut, BytesMut};

use crate::event::{Event, Seq};

/// The comment that opens every stream, so that the client sees bytes at once.
pub const FIRST_COMMENT: &[u8] = b": connected\n\n";

/// The comment that keeps idle timers from firing.
pub const KEEPALIVE: &[u8] = b": keepalive\n\n";

/// What each line of data begins with.
const DATA: &[u8] = b"data: ";

/// Digits of the largest number, and the fixed parts of a frame: `id: `, `event: `, `data: `,
/// three line feeds and the empty line.
const OVERHEAD: usize = 20 + 4 + 7 + 6 + 4;

/// How a frame's JSON is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DataLines {
    /// On one line, as most clients need it.
    #[default]
    One,
    /// On lines of at most so many bytes after `data: `; a longer token has a line of its own.
    AtMost(NonZeroUsize),
}

/// An upper bound of the bytes that `event` takes as a frame.
#[must_use]
pub fn len_bound(event: &Event, lines: DataLines) -> usize {
    let more_lines = match lines {
        DataLines::One => 0,
        // A line is ended only where the next token does not fit: any two neighbours together
        // hold more than the limit.
        DataLines::AtMost(limit) => 2 * (event.len() / limit) + 2,
    };
    event.len() + OVERHEAD + more_lines * DATA.len().saturating_add(1)
}

/// Writes a frame with the number `seq`.
pub fn write(out: &mut BytesMut, seq: Seq, event: &Event, lines: DataLines) {
    out.reserve(len_bound(event, lines));
    write_id(out, seq);
    write_fields(out, event, lines);
}

/// The bytes of [`write()`] with [`DataLines::One`], in pieces and in their order: for whoever hashes
/// them and need not copy the data, which may be long.
pub fn canonical(seq: Seq, event: &Event, mut take: impl FnMut(&[u8])) {
    let mut head = BytesMut::with_capacity(OVERHEAD + event.name.as_bytes().len());
    write_id(&mut head, seq);
    write_name(&mut head, event);
    head.put_slice(DATA);
    take(&head);
    take(event.data.as_bytes());
    take(b"\n\n");
}

/// Writes a frame without a number, for an event that is not in the log: a client that keeps the
/// last `id:` must not take it for a place to go on from.
pub fn write_unnumbered(out: &mut BytesMut, event: &Event, lines: DataLines) {
    out.reserve(len_bound(event, lines));
    write_fields(out, event, lines);
}

fn write_id(out: &mut BytesMut, seq: Seq) {
    out.put_slice(b"id: ");
    write_decimal(out, seq.get());
    out.put_u8(b'\n');
}

fn write_name(out: &mut BytesMut, event: &Event) {
    out.put_slice(b"event: ");
    out.put_slice(event.name.as_bytes());
    out.put_u8(b'\n');
}

fn write_fields(out: &mut BytesMut, event: &Event, lines: DataLines) {
    write_name(out, event);
    match lines {
        DataLines::One => write_line(out, event.data.as_bytes()),
        DataLines::AtMost(limit) => write_broken(out, event.data.as_bytes(), limit),
    }
    out.put_u8(b'\n');
}

fn write_line(out: &mut BytesMut, data: &[u8]) {
    out.put_slice(DATA);
    out.put_slice(data);
    out.put_u8(b'\n');
}

/// Writes `json` on lines of at most `limit` bytes, broken between tokens.
fn write_broken(out: &mut BytesMut, json: &[u8], limit: NonZeroUsize) {
    let (mut rest, mut taken) = (json, 0);
    while let Some(token) = rest.get(taken..).and_then(token_len) {
        if taken > 0 && taken + token > limit.get() {
            let (line, after) = rest.split_at(taken);
            write_line(out, line);
            (rest, taken) = (after, 0);
        }
        taken += token;
    }
    write_line(out, rest);
}

/// The length of the token that compact JSON begins with: a mark, a string, or a run of anything
/// else; `None` at its end.
fn token_len(json: &[u8]) -> Option<usize> {
    let is_mark = |b: u8| matches!(b, b'{' | b'}' | b'[' | b']' | b':' | b',');
    let (first, rest) = json.split_first()?;
    if is_mark(*first) {
        return Some(1);
    }
    if *first != b'"' {
        let run = rest.iter().take_while(|b| !is_mark(**b) && **b != b'"');
        return Some(1 + run.count());
    }
    let mut escaped = false;
    let inner = rest.iter().take_while(|b| {
        let goes_on = escaped || **b != b'"';
        escaped = **b == b'\\' && !escaped;
        goes_on
    });
    Some((inner.count() + 2).min(json.len()))
}

/// Writes the reconnection time for native EventSource clients, as a block of its own.
pub fn write_retry(out: &mut BytesMut, millis: u64) {
    out.put_slice(b"retry: ");
    write_decimal(out, millis);
    out.put_slice(b"\n\n");
}

/// Writes `n` without going through the formatter: it is the only number of each frame.
fn write_decimal(out: &mut BytesMut, n: u64) {
    let mut digits = [0_u8; 20];
    let mut rest = n;
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    out.put_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::event::{EventName, WireJson};

    fn event(name: &'static str, json: &str) -> Event {
        Event {
            name: EventName::from_static(name),
            data: WireJson::from_json(json.as_bytes()).expect("an object"),
        }
    }

    #[test]
    fn a_frame_is_id_event_one_data_line_and_an_empty_line() {
        let mut out = BytesMut::new();
        write(&mut out, Seq::new(42), &event("result", "{\"a\": \n 1}"), DataLines::One);
        assert_eq!(out, "id: 42\nevent: result\ndata: {\"a\":1}\n\n");
    }

    #[test]
    fn an_event_that_is_not_in_the_log_has_no_id() {
        let mut out = BytesMut::new();
        write_unnumbered(&mut out, &event("error", "{}"), DataLines::One);
        assert_eq!(out, "event: error\ndata: {}\n\n");
    }

    #[test]
    fn the_pieces_of_a_frame_are_its_bytes_on_one_line() {
        proptest::proptest!(|(n: u64, name in "[a-z.]{1,20}", text in "\\PC*")| {
            let name = EventName::parse(Bytes::from(name)).expect("a name");
            let data = WireJson::from_value(&serde_json::json!({ "k": text })).expect("an object");
            let event = Event { name, data };
            let (mut whole, mut pieces) = (BytesMut::new(), BytesMut::new());
            write(&mut whole, Seq::new(n), &event, DataLines::One);
            canonical(Seq::new(n), &event, |piece| pieces.put_slice(piece));
            assert_eq!(pieces, whole);
        });
    }

    #[test]
    fn numbers_are_plain_decimals_over_the_whole_range() {
        for n in [0, 1, 9, 10, 1005, u64::MAX - 1, u64::MAX] {
            let mut out = BytesMut::new();
            write_retry(&mut out, n);
            assert_eq!(out, format!("retry: {n}\n\n"));
        }
    }

    #[test]
    fn the_bound_holds_and_a_frame_fits_without_growing() {
        let event = event("message.part.updated", r#"{"part":{"a":[1,2,"x",true],"b":""}}"#);
        for limit in 0..50 {
            let lines = NonZeroUsize::new(limit).map_or(DataLines::One, DataLines::AtMost);
            let mut out = BytesMut::with_capacity(len_bound(&event, lines));
            let room = out.capacity();
            write(&mut out, Seq::new(u64::MAX), &event, lines);
            assert!(out.len() <= len_bound(&event, lines), "{limit}");
            assert_eq!(out.capacity(), room, "{limit}");
        }
    }

    #[track_caller]
    fn check_broken(json: &str, limit: usize, lines: &[&str]) {
        let limit = DataLines::AtMost(NonZeroUsize::new(limit).expect("not zero"));
        let mut out = BytesMut::new();
        write(&mut out, Seq::new(1), &event("n", json), limit);
        let lines: String = lines.iter().map(|line| format!("data: {line}\n")).collect();
        assert_eq!(out, format!("id: 1\nevent: n\n{lines}\n"));
    }

    #[test]
    fn json_is_broken_between_tokens_and_a_long_token_stands_alone() {
        check_broken(r#"{"a":1,"b":[true,null]}"#, 100, &[r#"{"a":1,"b":[true,null]}"#]);
        check_broken(
            r#"{"a":1,"b":[true,null]}"#,
            8,
            &[r#"{"a":1,"#, r#""b":["#, "true,", "null]}"],
        );
        check_broken(r#"{"a":-1.5e3}"#, 1, &["{", r#""a""#, ":", "-1.5e3", "}"]);
        check_broken(
            r#"{"a":"\\\",}{:","b":2}"#,
            6,
            &[r#"{"a":"#, r#""\\\",}{:""#, r#","b":2"#, "}"],
        );
    }

    #[test]
    fn broken_json_means_the_same_and_keeps_to_its_limit() {
        proptest::proptest!(|(text in "\\PC*|[\"\\\\{},:\\[\\]]*", n in 0.., limit in 1_usize..40)| {
            let value = serde_json::json!({ "k": [text, n, { text.clone(): true }] });
            let json = value.to_string();
            let lines = DataLines::AtMost(NonZeroUsize::new(limit).expect("not zero"));
            let mut out = BytesMut::new();
            let event = event("raw", &json);
            write(&mut out, Seq::new(7), &event, lines);
            assert!(out.len() <= len_bound(&event, lines));
            let read = read(&out);
            let (_, _, data) = read.first().expect("a frame");
            assert_eq!(serde_json::from_str::<serde_json::Value>(data).expect("JSON"), value);
            for line in data.lines().filter(|line| line.len() > limit) {
                assert_eq!(token_len(line.as_bytes()), Some(line.len()), "one token: {line}");
            }
        });
    }

    /// Reads frames as the standard says, in a few lines: enough to see one frame as one event.
    fn read(bytes: &[u8]) -> Vec<(String, String, String)> {
        let text = std::str::from_utf8(bytes).expect("UTF-8");
        let blocks = text.split("\n\n").filter(|block| !block.is_empty());
        blocks
            .map(|block| {
                let field = |name: &str| {
                    let lines = block.split('\n').filter_map(|line| line.strip_prefix(name));
                    lines.collect::<Vec<_>>().join("\n")
                };
                (field("id: "), field("event: "), field("data: "))
            })
            .collect()
    }

    #[test]
    fn whatever_the_json_holds_the_frame_stays_one_event() {
        proptest::proptest!(|(text in "\\PC*|[\r\n\u{85}\u{2028}\u{2029}\u{b}\u{c}: {}\"]*")| {
            let value = serde_json::json!({ "k": text });
            let pretty = serde_json::to_string_pretty(&value).expect("json");
            let mut out = BytesMut::new();
            write(&mut out, Seq::new(7), &event("raw", &pretty), DataLines::One);
            let data = WireJson::from_json(pretty.as_bytes()).expect("an object");
            let data = String::from_utf8(data.as_bytes().to_vec()).expect("UTF-8");
            assert_eq!(read(&out), [("7".to_owned(), "raw".to_owned(), data)]);
        });
    }

    #[test]
    fn comments_are_blocks_of_their_own() {
        for comment in [FIRST_COMMENT, KEEPALIVE] {
            let bytes = Bytes::from_static(comment);
            assert!(bytes.starts_with(b": ") && bytes.ends_with(b"\n\n"));
            assert_eq!(bytes.iter().filter(|b| **b == b'\n').count(), 2);
        }
    }
}
