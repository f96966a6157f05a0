//! The frames of a capture: what a client has saved of one connection, or of several, one after
//! the other.
//!
//! Fields, line ends and bounds are [`parser`]'s, which reads what afterbay writes as it reads what
//! a box writes; comments and `retry:` are passed over there. What it does not know is done here:
//! - Lines of data that a client has asked to be broken are joined as they were, with nothing
//!   between. They are broken between tokens of the JSON alone, so the parser's line feeds are JSON,
//!   too, or the frame is not one that was sent.
//! - Text that is not UTF-8 is a change in one frame, and not the end of all reading.
//! - A connection that was cut in the middle of a frame leaves its beginning, and the next one's
//!   first comment glued to it. That is no frame. Cut between two lines of its data, it can only be
//!   told from a broken one by the whole one that comes later.

use std::io::{self, Read};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use serde_json::value::RawValue;

use crate::event::{Event, EventName, Seq, WireJson};
use crate::limits;
use crate::sse::frame::FIRST_COMMENT;
use crate::sse::last_event_id::LastEventId;
use crate::sse::parser::{self, ReadFrame};

/// What stands between two blank lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// A frame with its number.
    Frame(Frame),
    /// One without, and its name.
    Unnumbered(String),
    /// One whose id afterbay does not write.
    BadId(String),
    /// The beginning of a frame, where a connection was cut.
    Torn,
}

/// A frame with its number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) id: Seq,
    /// Tells it from all other frames.
    pub(super) mark: blake3::Hash,
    pub(super) content: Content,
}

/// What a frame holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// An event, as it was sent.
    Event(Event),
    /// Something that was not sent so, at least not all of it.
    Broken { name: String, data: String },
}

/// The blocks of `input`. The stream ends after its first error.
pub(super) fn blocks(input: impl Read) -> impl Stream<Item = Result<Block, ReadFrame<io::Error>>> {
    let frames = parser::frames(stream::iter(chunks(input)), limits::MAX_TRANSCRIPT_FRAME_BYTES);
    frames.map(|frame| frame.map(Block::of))
}

impl Block {
    fn of(frame: parser::Frame) -> Self {
        let parser::Frame { id, name, data } = frame;
        let id = match id {
            None => return Self::Unnumbered(name),
            Some(text) if text.is_empty() => return Self::Unnumbered(name),
            Some(text) => match number(&text) {
                Some(id) => id,
                None => return Self::BadId(text.chars().take(limits::MAX_ID_BYTES).collect()),
            },
        };
        let mut mark = blake3::Hasher::new();
        mark.update(name.as_bytes()).update(b"\n").update(data.as_bytes());
        let is_torn = ends_in_a_comment(&data);
        let content = Content::of(name, data);
        match &content {
            Content::Broken { .. } if is_torn => return Self::Torn,
            Content::Broken { .. } => {}
            Content::Event(Event { name, data }) => {
                // The same frame on other lines is the same frame.
                mark.reset().update(name.as_bytes()).update(b"\n").update(data.as_bytes());
            }
        }
        Self::Frame(Frame { id, mark: mark.finalize(), content })
    }
}

/// The number that `text` is, if it is written as afterbay does.
fn number(text: &str) -> Option<Seq> {
    match LastEventId::parse(text.as_bytes()) {
        LastEventId::Seen(id) if !text.starts_with('0') => Some(id),
        LastEventId::Seen(_) | LastEventId::None | LastEventId::NotANumber => None,
    }
}

/// Whether a connection was cut in this data, and the next one's first comment stands behind it. It
/// reads as a field if the cut was right before its colon.
fn ends_in_a_comment(data: &str) -> bool {
    let comment = FIRST_COMMENT.trim_ascii();
    let last = data.rsplit('\n').next().unwrap_or_default().as_bytes();
    last.ends_with(comment) || comment.strip_prefix(b": ").is_some_and(|text| last == text)
}

impl Content {
    /// The event with its data on one line, if it was sent so.
    fn of(name: String, data: String) -> Self {
        let json = serde_json::from_str::<&RawValue>(&data);
        let is_object = json.is_ok_and(|json| json.get().starts_with('{'));
        match EventName::parse(Bytes::from(name.clone())) {
            Ok(name) if is_object => {
                let data = if data.contains('\n') { data.replace('\n', "") } else { data };
                Self::Event(Event { name, data: WireJson::from_stored(Bytes::from(data)) })
            }
            Ok(_) | Err(_) => Self::Broken { name, data },
        }
    }
}

impl Frame {
    /// Whether `whole` may have been cut between two lines of its data and this be what came before.
    pub(super) fn begins(&self, whole: &Self) -> bool {
        let (Content::Broken { name, data }, Content::Event(event)) =
            (&self.content, &whole.content)
        else {
            return false;
        };
        let beginning = data.replace('\n', "");
        self.id == whole.id
            && event.name.as_bytes() == name.as_bytes()
            && event.data.as_bytes().starts_with(beginning.as_bytes())
    }
}

/// The bytes of `input`, all of them UTF-8.
fn chunks(mut input: impl Read) -> impl Iterator<Item = io::Result<Bytes>> {
    let mut buffer = vec![0; limits::TRANSCRIPT_CHUNK_BYTES];
    let mut rest = Vec::new();
    std::iter::from_fn(move || {
        loop {
            match input.read(&mut buffer) {
                // What is left of a character is in the middle of a frame, which is dropped.
                Ok(0) => return None,
                Ok(read) => {
                    let read = buffer.get(..read).unwrap_or_default();
                    return Some(Ok(mended(&mut rest, read)));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Some(Err(error)),
            }
        }
    })
}

/// `rest` and then `bytes`, with a NUL for each byte that is not UTF-8: no frame of ours can hold
/// one. A character that is not complete yet is the new `rest`.
fn mended(rest: &mut Vec<u8>, bytes: &[u8]) -> Bytes {
    let mut all = std::mem::take(rest);
    all.extend_from_slice(bytes);
    let mut mended = Vec::with_capacity(all.len());
    let mut pieces = all.utf8_chunks().peekable();
    while let Some(piece) = pieces.next() {
        mended.extend_from_slice(piece.valid().as_bytes());
        let is_last = pieces.peek().is_none();
        let may_go_on = |bytes| std::str::from_utf8(bytes).is_err_and(|e| e.error_len().is_none());
        if is_last && may_go_on(piece.invalid()) {
            rest.extend_from_slice(piece.invalid());
        } else {
            mended.resize(mended.len() + piece.invalid().len(), 0);
        }
    }
    Bytes::from(mended)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// Gives one byte at a time.
    struct Dripping<'a>(&'a [u8]);

    impl Read for Dripping<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let (one, _) = buffer.split_at_mut(1);
            self.0.read(one)
        }
    }

    #[track_caller]
    fn read(text: &[u8]) -> Vec<Block> {
        let all = |input: Box<dyn Read + '_>| {
            let read = blocks(input).collect::<Vec<_>>().now_or_never().expect("never waits");
            read.into_iter().map(|block| block.expect("readable")).collect::<Vec<_>>()
        };
        let blocks = all(Box::new(text));
        assert_eq!(all(Box::new(Dripping(text))), blocks, "byte by byte");
        blocks
    }

    #[track_caller]
    fn one(text: &[u8]) -> Option<Event> {
        match read(text).as_slice() {
            [Block::Frame(frame)] => event(frame),
            other => panic!("{other:?}"),
        }
    }

    fn event(frame: &Frame) -> Option<Event> {
        match &frame.content {
            Content::Event(event) => Some(event.clone()),
            Content::Broken { .. } => None,
        }
    }

    fn json(text: &'static str) -> Option<Event> {
        let data = WireJson::from_stored(Bytes::from_static(text.as_bytes()));
        Some(Event { name: EventName::from_static("raw"), data })
    }

    #[test]
    fn comments_and_retry_are_passed_over_and_a_frame_is_what_was_sent() {
        let text = ": connected\n\nretry: 1500\n\n: keepalive\n\nid: 7\nevent: raw\n\
            data: {\"a\":\"\u{e9}\"}\n\n: keepalive\n\n";
        assert_eq!(one(text.as_bytes()), json("{\"a\":\"\u{e9}\"}"));
    }

    #[test]
    fn broken_lines_are_joined_and_the_frame_is_the_same_as_on_one_line() {
        let broken = b"id: 7\nevent: raw\ndata: {\"a\":\ndata: [1,\ndata: \"x\"]}\n\n";
        assert_eq!(one(broken), json(r#"{"a":[1,"x"]}"#));
        assert_eq!(read(broken), read(b"id: 7\nevent: raw\ndata: {\"a\":[1,\"x\"]}\n\n"));
    }

    #[test]
    fn a_line_that_is_broken_within_a_token_was_not_sent() {
        for data in [
            "{\"a\":\"x\ndata: y\"}",
            "{\"a\":1\ndata: 2}",
            "{\"a\":tr\ndata: ue}",
            "{\"a\":1}\ndata: {\"a\":1}",
            "[1]",
            "{",
            "",
        ] {
            let text = format!("id: 7\nevent: raw\ndata: {data}\n\n");
            assert_eq!(one(text.as_bytes()), None, "{data}");
        }
    }

    #[test]
    fn a_byte_that_is_no_text_changes_its_frame_alone() {
        let text = b"id: 1\nevent: raw\ndata: {\"a\":\"\xc3\"}\n\nid: 2\nevent: raw\ndata: {}\n\n";
        let blocks = read(text);
        let [Block::Frame(one), Block::Frame(two)] = blocks.as_slice() else {
            panic!("{blocks:?}");
        };
        assert_eq!((event(one), event(two)), (None, json("{}")));
        assert_eq!((one.id, two.id), (Seq::new(1), Seq::new(2)));
        assert_eq!(one_name(b"id: 1\nevent: r\xffw\ndata: {}\n\n"), None);
    }

    #[track_caller]
    fn one_name(text: &[u8]) -> Option<EventName> {
        one(text).map(|event| event.name)
    }

    #[test]
    fn ids_are_numbers_as_afterbay_writes_them() {
        for id in ["0", "07", "+7", "7 ", "x", "18446744073709551616"] {
            let text = format!("id: {id}\nevent: raw\ndata: {{}}\n\n");
            assert_eq!(read(text.as_bytes()), [Block::BadId(id.to_owned())]);
        }
        for id in ["", "id:\n"] {
            let text = format!("{id}event: error\ndata: {{}}\n\n");
            assert_eq!(read(text.as_bytes()), [Block::Unnumbered("error".to_owned())]);
        }
    }

    #[test]
    fn a_frame_cut_anywhere_and_the_next_connection_behind_it_make_no_frame() {
        let frame = "id: 12\nevent: raw\ndata: {\"a\":\"\u{e9}\"}\n\n".as_bytes();
        for cut in 0..frame.len() {
            let mut blocks = read(&[&frame[..cut], FIRST_COMMENT, frame].concat());
            blocks.retain(|block| *block != Block::Torn);
            let whole = read(frame);
            // Where only its blank line is missing, the comment's own ends the frame.
            let times = if cut == frame.len() - 1 { 2 } else { 1 };
            assert_eq!(blocks.len(), times, "cut after {cut}: {blocks:?}");
            assert!(blocks.iter().all(|block| *block == whole[0]), "cut after {cut}: {blocks:?}");
        }
    }

    #[test]
    fn a_frame_cut_between_two_lines_of_its_data_is_known_by_the_whole_one() {
        let first = |text: &str| {
            let Block::Frame(frame) = read(text.as_bytes()).remove(0) else {
                panic!("no frame: {text:?}");
            };
            frame
        };
        let whole = first("id: 7\nevent: raw\ndata: {\"a\":\ndata: [1,\ndata: 2]}\n\n");
        let cut = "id: 7\nevent: raw\ndata: {\"a\":\ndata: [1,\n: connected\n\n";
        assert!(first(cut).begins(&whole));
        for (from, to) in [("id: 7", "id: 8"), ("raw", "row"), ("[1", "[2"), ("[1,", "[1,2]}")] {
            assert!(!first(&cut.replace(from, to)).begins(&whole), "{to}");
        }
        assert!(!whole.begins(&whole) && !whole.begins(&first(cut)));
    }
}
