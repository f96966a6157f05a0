//! What clients read: frames and comments.
//!
//! One frame is `id:`, `event:`, one `data:` line and an empty line, LF only. Real readers need
//! it so: some split on LF alone, some keep only the last `data:` line, some drop a frame without
//! `event:`, and some leak a lone field into the next frame. So every frame is whole, and there
//! are no others. Names and data come as types that cannot hold a line break.

use bytes::{BufMut, BytesMut};

use crate::event::{Event, Seq};

/// The comment that opens every stream, so that the client sees bytes at once.
pub const FIRST_COMMENT: &[u8] = b": connected\n\n";

/// The comment that keeps idle timers from firing.
pub const KEEPALIVE: &[u8] = b": keepalive\n\n";

/// Digits of the largest number, and the fixed parts of a frame: `id: `, `event: `, `data: `,
/// three line feeds and the empty line.
const OVERHEAD: usize = 20 + 4 + 7 + 6 + 4;

/// An upper bound of the bytes that `event` takes as a frame.
#[must_use]
pub fn len_bound(event: &Event) -> usize {
    event.len() + OVERHEAD
}

/// Writes a frame with the number `seq`.
pub fn write(out: &mut BytesMut, seq: Seq, event: &Event) {
    out.reserve(len_bound(event));
    out.put_slice(b"id: ");
    write_decimal(out, seq.get());
    out.put_u8(b'\n');
    write_fields(out, event);
}

/// Writes a frame without a number, for an event that is not in the log: a client that keeps the
/// last `id:` must not take it for a place to go on from.
pub fn write_unnumbered(out: &mut BytesMut, event: &Event) {
    out.reserve(len_bound(event));
    write_fields(out, event);
}

fn write_fields(out: &mut BytesMut, event: &Event) {
    out.put_slice(b"event: ");
    out.put_slice(event.name.as_bytes());
    out.put_slice(b"\ndata: ");
    out.put_slice(event.data.as_bytes());
    out.put_slice(b"\n\n");
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
        write(&mut out, Seq::new(42), &event("result", "{\"a\": \n 1}"));
        assert_eq!(out, "id: 42\nevent: result\ndata: {\"a\":1}\n\n");
    }

    #[test]
    fn an_event_that_is_not_in_the_log_has_no_id() {
        let mut out = BytesMut::new();
        write_unnumbered(&mut out, &event("error", "{}"));
        assert_eq!(out, "event: error\ndata: {}\n\n");
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
        let event = event("message.part.updated", "{\"part\":{}}");
        let mut out = BytesMut::with_capacity(len_bound(&event));
        let room = out.capacity();
        write(&mut out, Seq::new(u64::MAX), &event);
        assert!(out.len() <= len_bound(&event) && out.capacity() == room);
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
            write(&mut out, Seq::new(7), &event("raw", &pretty));
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
