//! The reader of `text/event-stream`: any bytes, in any chunks.
//!
//! However the bytes are cut into chunks, the frames are the same, and the same as a reader written
//! down from the standard gives; no frame is longer than the bound; nothing follows an error. What is
//! read and can be an event of ours is written as one and read again.

use std::convert::Infallible;
use std::num::NonZeroUsize;

use afterbay::event::{Event, EventName, Seq, WireJson};
use afterbay::sse::frame::{self, DataLines};
use afterbay::sse::parser::{Frame, ReadFrame, frames};
use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt, stream};

use super::input::Input;

const BOUNDS: [usize; 4] = [usize::MAX, 1024, 64, 12];

/// Reads `bytes` as the fuzzer has it: a bound, a way to cut, and the stream.
pub(crate) fn check(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let bound = BOUNDS[input.below(BOUNDS.len())];
    let count = input.below(8);
    let sizes: Vec<usize> = input.bytes(count).iter().map(|size| usize::from(*size)).collect();
    let stream = input.rest();
    let whole = read([Bytes::copy_from_slice(stream)].into(), bound);
    assert_eq!(read(cut(stream, &sizes), bound), whole, "cut after {sizes:?} bytes");
    assert_eq!(read(cut(stream, &[1]), bound), whole, "cut after each byte");
    check_bound(&whole, bound);
    check_standard(stream, &whole);
    for frame in whole.into_iter().flatten() {
        check_written(&frame);
    }
}

type Read = Vec<Result<Frame, ReadFrame<Infallible>>>;

/// `stream` in chunks of these sizes, again and again; in one if there are none.
fn cut(stream: &[u8], sizes: &[usize]) -> Vec<Bytes> {
    let mut chunks = Vec::new();
    let mut rest = stream;
    for size in sizes.iter().cycle() {
        // An empty chunk is one, too, but there is an end to them.
        let goes_on = !rest.is_empty() && chunks.len() < 2 * stream.len();
        if !goes_on {
            break;
        }
        let (chunk, behind) = rest.split_at((*size).min(rest.len()));
        chunks.push(Bytes::copy_from_slice(chunk));
        rest = behind;
    }
    chunks.push(Bytes::copy_from_slice(rest));
    chunks
}

fn read(chunks: Vec<Bytes>, bound: usize) -> Read {
    let chunks = stream::iter(chunks.into_iter().map(Ok::<_, Infallible>));
    frames(chunks, bound).collect().now_or_never().expect("nothing is waited for")
}

fn check_bound(read: &Read, bound: usize) {
    for frame in read.iter().flatten() {
        let Frame { id, name, data } = frame;
        let name = if name == "message" { 0 } else { name.len() };
        let long = id.as_ref().map_or(0, String::len) + name + data.len();
        assert!(long <= bound, "a frame of {long} bytes");
    }
    let failed = read.iter().position(Result::is_err);
    assert!(failed.is_none_or(|at| at + 1 == read.len()), "it goes on behind an error");
}

/// Holds what was read against the standard's own words, where the bytes are text.
fn check_standard(stream: &[u8], read: &Read) {
    let Ok(text) = std::str::from_utf8(stream) else { return };
    let expected = by_the_standard(text);
    let good: Vec<&Frame> = read.iter().flatten().collect();
    let is_cut_short = read.last().is_some_and(|last| matches!(last, Err(ReadFrame::TooLong(_))));
    assert!(is_cut_short || good.len() == read.len(), "text is refused: {read:?}");
    let count = if is_cut_short { good.len() } else { expected.len() };
    assert!(good.iter().copied().eq(expected.iter().take(count)), "{read:?} is not {expected:?}");
}

fn by_the_standard(text: &str) -> Vec<Frame> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let (mut frames, mut id, mut name, mut data) = (Vec::new(), None, "", None::<String>);
    // What is behind the last line end is no line.
    let lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    for line in lines {
        if line.is_empty() {
            let (id, data) = (id.take(), data.take());
            let name = Some(std::mem::take(&mut name)).filter(|name| !name.is_empty());
            let name = name.unwrap_or("message").to_owned();
            frames.extend(data.map(|data| Frame { id, name, data }));
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => name = value,
            "data" => {
                data = Some(data.map_or_else(|| value.to_owned(), |data| data + "\n" + value));
            }
            "id" if !value.contains('\0') => id = Some(value.to_owned()),
            _ => {}
        }
    }
    frames
}

/// Writes the frame as an event of ours, if it can be one, and reads that.
fn check_written(frame: &Frame) {
    let name = EventName::parse(Bytes::copy_from_slice(frame.name.as_bytes()));
    let data = WireJson::from_json(frame.data.as_bytes());
    let (Ok(name), Ok(data)) = (name, data) else { return };
    let event = Event { name, data };
    let seq = Seq::new(frame.data.len() as u64);
    for width in [0, 1, 7, 40] {
        let lines = NonZeroUsize::new(width).map_or(DataLines::One, DataLines::AtMost);
        let mut out = BytesMut::new();
        frame::write(&mut out, seq, &event, lines);
        assert!(out.len() <= frame::len_bound(&event, lines), "a frame beyond its bound");
        let again = read(vec![out.freeze()], usize::MAX);
        let [Ok(Frame { id, name, data })] = again.as_slice() else {
            panic!("{event:?} is read as {again:?}");
        };
        assert_eq!((id.as_deref(), name), (Some(seq.get().to_string().as_str()), &frame.name));
        if width == 0 {
            assert_eq!(data.as_bytes(), event.data.as_bytes());
        }
        assert_eq!(WireJson::from_json(data.as_bytes()).as_ref(), Ok(&event.data));
    }
}
