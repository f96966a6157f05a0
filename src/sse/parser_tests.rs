//! The reader of event streams against texts: whole, cut anywhere, too long, and broken.
//!
//! Every text is read in one piece and byte by byte, or cut at random places; the frames must be
//! the same. What our own writer writes must come back as it was.

use std::convert::Infallible;
use std::io;
use std::num::NonZeroUsize;

use bytes::BytesMut;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use proptest::prelude::*;

use super::*;
use crate::event::{Event, EventName, Seq, WireJson};
use crate::sse::frame::{self, DataLines};

/// Far above all frames here.
const AMPLE: usize = 1 << 20;

type Read<E> = Vec<Result<Frame, ReadFrame<E>>>;

/// Reads chunks that are all there.
fn read(chunks: &[&[u8]], limit: usize) -> Read<Infallible> {
    let chunks: Vec<_> = chunks.iter().map(|c| Ok(Bytes::copy_from_slice(c))).collect();
    frames(stream::iter(chunks), limit).collect().now_or_never().expect("nothing to wait for")
}

fn frame(id: Option<&str>, name: &str, data: &str) -> Frame {
    Frame { id: id.map(str::to_owned), name: name.to_owned(), data: data.to_owned() }
}

#[track_caller]
fn check(text: &[u8], expected: &[Frame]) {
    let expected: Read<_> = expected.iter().cloned().map(Ok).collect();
    assert_eq!(read(&[text], AMPLE), expected);
    let bytes: Vec<_> = text.chunks(1).collect();
    assert_eq!(read(&bytes, AMPLE), expected, "byte by byte");
}

#[test]
fn a_frame_has_its_id_its_name_and_its_data() {
    check(b"id: 7\nevent: result\ndata: {}\n\n", &[frame(Some("7"), "result", "{}")]);
    check(b"data:x\nid:\n\n", &[frame(Some(""), "message", "x")]);
    check(b"event:\ndata\n\n", &[frame(None, "message", "")]);
    check(b"data:  a:b \n\n", &[frame(None, "message", " a:b ")]);
}

#[test]
fn lines_end_with_lf_cr_or_both_and_a_byte_order_mark_may_lead() {
    let two = [frame(Some("1"), "message", "a"), frame(None, "e", "b")];
    for end in ["\n", "\r", "\r\n"] {
        let text = ["id: 1", "data: a", "", "event: e", "data: b", "", ""].join(end);
        check(text.as_bytes(), &two);
        check(format!("\u{feff}{text}").as_bytes(), &two);
    }
}

#[test]
fn several_lines_of_data_are_joined_by_line_feeds() {
    check(b"data: a\r\ndata:\rdata: \xc3\xa9\n\n", &[frame(None, "message", "a\n\n\u{e9}")]);
}

#[test]
fn comments_and_retry_and_blocks_without_data_are_no_frames() {
    let text = b": connected\n\nretry: 1500\n\nid: 9\n\nevent: lone\n\n:\n:x\ndata: a\n\nid: b\0\n\
        other: x\ndata: b\n\n";
    check(text, &[frame(None, "message", "a"), frame(None, "message", "b")]);
}

#[test]
fn what_the_stream_ends_in_the_middle_of_is_dropped() {
    for cut in ["data: b", "data: b\n", "data: b\nid: 2\n"] {
        check(format!("data: a\n\n{cut}").as_bytes(), &[frame(None, "message", "a")]);
    }
}

#[test]
fn text_that_is_not_utf8_ends_the_stream() {
    let read = read(&[b"data: a\n\ndata: \xff\n\ndata: c\n\n"], AMPLE);
    assert_eq!(read, [Ok(frame(None, "message", "a")), Err(ReadFrame::NotUtf8)]);
}

#[test]
fn the_transports_error_comes_through_after_what_came_before_it() {
    let chunks = [Ok(Bytes::from("data: a\n\ndata: b")), Err(io::ErrorKind::ConnectionReset)];
    let chunks = chunks.map(|chunk| chunk.map_err(io::Error::from));
    let read = frames(stream::iter(chunks), AMPLE).collect::<Vec<_>>().now_or_never();
    let read = read.expect("nothing to wait for");
    assert!(
        matches!(&read[..], [Ok(_), Err(ReadFrame::Transport(e))]
            if e.kind() == io::ErrorKind::ConnectionReset),
        "{read:?}"
    );
}

#[test]
fn a_frame_may_have_exactly_as_many_bytes_as_allowed() {
    let block = b"id: 1\r\ndata: abc\r\n";
    // The line feed behind a carriage return belongs to it and is not counted.
    let len = block.len() - 2;
    let text = [b": a comment of any length\r\n", &block[..], b"\r\n"].concat();
    assert_eq!(read(&[&text, &text], len).len(), 2);
    let too_long = [Err(ReadFrame::TooLong(len - 1))];
    assert_eq!(read(&[&text, &text], len - 1), too_long);
}

#[test]
fn an_endless_line_is_given_up_and_an_endless_comment_is_not() {
    let endless = |piece: &'static [u8]| {
        let pieces = stream::repeat(Ok::<_, Infallible>(Bytes::from_static(piece)));
        pieces.take(10_000)
    };
    for field in [&b"data: x\ndata: x\n"[..], b"data", b"event: x", b"unknown"] {
        let read = frames(endless(field), 1000).collect::<Vec<_>>().now_or_never();
        assert_eq!(read, Some(vec![Err(ReadFrame::TooLong(1000))]));
    }
    for idle in [&b": keepalive\n\n"[..], b":x", b"\r\n", b"retry: 1\n\n"] {
        let read = frames(endless(idle), 1000).collect::<Vec<_>>().now_or_never();
        assert_eq!(read, Some(Vec::new()));
    }
}

#[test]
fn a_long_line_in_small_pieces_takes_time_that_grows_with_its_length_alone() {
    // Read again with each piece, this would be a tebibyte.
    let (piece, pieces) = (Bytes::from_static(b"01234567"), 1 << 19);
    let line = stream::iter([Bytes::from("data:")]).chain(stream::repeat(piece).take(pieces));
    let text = line.chain(stream::iter([Bytes::from("\n\n")])).map(Ok::<_, Infallible>);
    let read = frames(text, 8 << 20).collect::<Vec<_>>().now_or_never().expect("all there");
    let [Ok(frame)] = &read[..] else { panic!("one frame") };
    assert_eq!(frame.data.len(), 8 * pieces);
}

#[tokio::test(start_paused = true)]
async fn a_read_given_up_in_the_middle_of_a_frame_loses_nothing() {
    let text = b"id: 1\ndata: a\xc3\xa9\n\nid: 2\ndata: b\n\n";
    let slowly = stream::iter(text).then(|byte| async move {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        Ok::<_, Infallible>(Bytes::copy_from_slice(std::slice::from_ref(byte)))
    });
    let mut frames = frames(slowly, AMPLE);
    let (mut read, mut given_up) = (Vec::new(), 0);
    loop {
        let patience = std::time::Duration::from_millis(700);
        match tokio::time::timeout(patience, frames.next()).await {
            Ok(Some(frame)) => read.push(frame.expect("a frame")),
            Ok(None) => break,
            Err(_) => given_up += 1,
        }
    }
    let whole = [frame(Some("1"), "message", "a\u{e9}"), frame(Some("2"), "message", "b")];
    assert_eq!(read, whole);
    assert!(given_up > 20, "{given_up}");
}

/// Texts made of what matters to a reader, and the places where they are cut.
fn texts() -> impl Strategy<Value = (Vec<u8>, Vec<usize>)> {
    let tokens = prop::sample::select(vec![
        "\n",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        ":",
        ": c",
        "data:",
        "data",
        "data: x",
        "event: e",
        "id: 3",
        "id:",
        "retry: 5",
        "\u{feff}",
        "\u{e9}",
        "\u{10ffff}",
        " ",
        "\0",
        "foo: bar",
    ]);
    let text = prop::collection::vec(tokens, 0..40).prop_map(|tokens| tokens.concat());
    let bytes = text.prop_flat_map(|text| {
        // Now and then a byte that is not UTF-8.
        let broken = prop::option::weighted(0.1, 0..=text.len());
        (Just(text.into_bytes()), broken).prop_map(|(mut bytes, broken)| {
            if let Some(at) = broken {
                bytes.insert(at, 0xff);
            }
            bytes
        })
    });
    (bytes, prop::collection::vec(0_usize..200, 0..20))
}

fn cut<'a>(text: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<_> = cuts.iter().map(|at| at % (text.len() + 1)).collect();
    cuts.extend([0, text.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}

proptest! {
    #[test]
    fn any_cutting_into_chunks_gives_the_same_frames(
        (text, cuts) in texts(), limit in prop_oneof![Just(AMPLE), 0_usize..40],
    ) {
        prop_assert_eq!(read(&cut(&text, &cuts), limit), read(&[&text], limit));
    }

    #[test]
    fn no_more_than_the_limit_comes_out_and_what_fits_comes_out(
        (text, _) in texts(), limit in 0_usize..40,
    ) {
        let (bounded, free) = (read(&[&text], limit), read(&[&text], AMPLE));
        for (bounded, free) in bounded.iter().zip(&free) {
            match bounded {
                Ok(frame) => prop_assert!(frame.data.len() <= limit),
                Err(ReadFrame::TooLong(_)) => continue,
                Err(_) => {}
            }
            prop_assert_eq!(bounded, free);
        }
        let given_up = bounded.last().is_some_and(|last| *last == Err(ReadFrame::TooLong(limit)));
        prop_assert!(given_up || bounded.len() == free.len());
    }

    #[test]
    fn what_our_own_writer_writes_is_read_as_it_was(
        events in prop::collection::vec(("[a-z.]{1,20}", "\\PC*|[\r\n\u{85}\u{2028}: {}\"]*"), 0..8),
        cuts in prop::collection::vec(0_usize..2000, 0..20),
        max_line in prop::option::of(1_usize..30),
    ) {
        let lines = max_line.and_then(NonZeroUsize::new).map_or(DataLines::One, DataLines::AtMost);
        let mut out = BytesMut::from(frame::FIRST_COMMENT);
        frame::write_retry(&mut out, 1500);
        let mut written = Vec::new();
        for (n, (name, text)) in (1_u64..).zip(&events) {
            let data = WireJson::from_value(&serde_json::json!({ "k": text })).expect("an object");
            let json = String::from_utf8(data.as_bytes().to_vec()).expect("UTF-8");
            let event_name = EventName::parse(Bytes::from(name.clone())).expect("a name");
            let event = Event { name: event_name, data };
            frame::write(&mut out, Seq::new(n), &event, lines);
            out.extend_from_slice(frame::KEEPALIVE);
            written.push((n.to_string(), name.clone(), json));
        }
        let read = read(&cut(&out, &cuts), AMPLE);
        prop_assert_eq!(read.len(), written.len());
        for (read, (id, name, json)) in read.into_iter().zip(written) {
            let Frame { id: read_id, name: read_name, data } = read.expect("a frame");
            prop_assert_eq!((read_id, read_name), (Some(id), name));
            // Broken lines come back with line feeds between tokens.
            let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
            prop_assert_eq!(value(&data), value(&json));
            prop_assert!(max_line.is_some() || data == json);
        }
    }
}
