//! A strict reader of `text/event-stream`: it takes exactly the frames that are promised and
//! panics at anything else that an SSE parser would forgive.
//!
//! A frame is `id: <decimal>` LF `event: <name>` LF `data: <one line, a JSON object>` LF LF.
//! Between frames stand comments, and at most once `retry: <ms>` in a block of its own.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::Value;

use super::http::Response;

/// Comments come each 10 s, so that a stream which says nothing for so long is broken.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// One event as it came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) id: u64,
    pub(crate) event: String,
    pub(crate) data: Value,
    /// Every byte of it, the blank line included.
    pub(crate) raw: Bytes,
}

/// How a stream stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The server ended it between frames.
    Ended,
    /// The connection broke, perhaps within a frame.
    Cut,
}

/// Reads the frames of one response.
#[derive(Debug)]
pub(crate) struct Frames {
    response: Response,
    waiting: Vec<u8>,
    /// How long it may say nothing.
    silence: Duration,
    /// So many of the waiting bytes hold no end of a block.
    searched: usize,
    retry: Option<u64>,
    comments: usize,
    last_words: bool,
}

impl Frames {
    /// Checks the head of a stream.
    pub(crate) fn of(response: Response) -> Self {
        assert_eq!(response.status, 200, "{:?}", response.headers);
        assert_eq!(response.header("content-type"), Some("text/event-stream"));
        assert_eq!(response.header("cache-control"), Some("no-store, no-transform"));
        // nginx obeys it, and does not pass it on.
        let through_nginx = response.header("server").is_some_and(|name| name.starts_with("nginx"));
        assert_eq!(response.header("x-accel-buffering"), (!through_nginx).then_some("no"));
        assert_eq!(response.header("content-encoding"), None);
        let (waiting, searched, silence) = (Vec::new(), 0, SILENCE_LIMIT);
        Self { response, waiting, silence, searched, retry: None, comments: 0, last_words: false }
    }

    /// Bears a longer silence, of a daemon that was told to send comments seldom.
    pub(crate) fn patient(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }

    /// Takes unnumbered frames too, as number 0: so a turn is taken back that the box never had.
    pub(crate) fn with_last_words(self) -> Self {
        Self { last_words: true, ..self }
    }

    /// A header of the stream's head.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.header(name)
    }

    /// The `retry` time in milliseconds, if it was sent.
    pub(crate) fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// How many comments came.
    pub(crate) fn comments(&self) -> usize {
        self.comments
    }

    /// The next frame.
    // Cancel-safe: what was read of a frame waits in `self`.
    pub(crate) async fn next(&mut self) -> Result<Frame, Stop> {
        loop {
            if let Some(block) = self.block() {
                match self.understand(block) {
                    Some(frame) => return Ok(frame),
                    None => continue,
                }
            }
            match self.read().await {
                Ok(Some(bytes)) => self.waiting.extend_from_slice(&bytes),
                Ok(None) => {
                    let rest = String::from_utf8_lossy(&self.waiting);
                    assert!(rest.is_empty(), "the stream ended within a frame: {rest:?}");
                    return Err(Stop::Ended);
                }
                Err(_) => return Err(Stop::Cut),
            }
        }
    }

    async fn read(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let (limit, frame) = (self.silence, self.response.body.frame());
            let frame = tokio::time::timeout(limit, frame).await;
            let frame = frame.unwrap_or_else(|_| panic!("no byte within {limit:?}"));
            match frame.transpose().map_err(io::Error::other)?.map(hyper::body::Frame::into_data) {
                None => return Ok(None),
                Some(Ok(bytes)) => return Ok(Some(bytes)),
                Some(Err(_trailers)) => {}
            }
        }
    }

    /// Takes the bytes up to and with the next blank line.
    fn block(&mut self) -> Option<Bytes> {
        let news = self.waiting.get(self.searched..)?;
        let Some(end) = news.windows(2).position(|two| two == b"\n\n") else {
            self.searched = self.waiting.len().saturating_sub(1);
            return None;
        };
        let end = std::mem::take(&mut self.searched) + end + 2;
        Some(self.waiting.drain(..end).collect::<Vec<u8>>().into())
    }

    fn understand(&mut self, raw: Bytes) -> Option<Frame> {
        assert!(!raw.contains(&b'\r'), "a CR in {raw:?}");
        let text = std::str::from_utf8(&raw).unwrap_or_else(|_| panic!("not UTF-8: {raw:?}"));
        let text = text.strip_suffix("\n\n").expect("a block ends with a blank line");
        if text.starts_with(':') {
            assert!(!text.contains('\n'), "a comment with more in its block: {text:?}");
            self.comments += 1;
            return None;
        }
        if let Some(millis) = text.strip_prefix("retry: ") {
            assert_eq!(self.retry, None, "`retry` came twice");
            let millis = millis.parse().unwrap_or_else(|_| panic!("not a number: {text:?}"));
            assert!((1000..=3000).contains(&millis), "`retry` out of its range: {millis}");
            self.retry = Some(millis);
            return None;
        }
        let numbered = if self.last_words && text.starts_with("event: ") {
            unnumbered(text)
        } else {
            frame(text)
        };
        Some(numbered.unwrap_or_else(|| panic!("not a frame: {text:?}")).with(raw.clone()))
    }
}

/// The two lines of a frame that has no number.
fn unnumbered(text: &str) -> Option<Frame> {
    frame(&format!("id: 1\n{text}")).map(|frame| Frame { id: 0, ..frame })
}

/// A frame's three lines in their order; its raw bytes are still to be added.
fn frame(text: &str) -> Option<Frame> {
    let mut lines = text.split('\n');
    let id = lines.next()?.strip_prefix("id: ")?;
    let event = lines.next()?.strip_prefix("event: ")?;
    let data = lines.next()?.strip_prefix("data: ")?;
    let digits = !id.starts_with('0') && id.bytes().all(|byte| byte.is_ascii_digit());
    let splits = ['\u{85}', '\u{2028}', '\u{2029}', '\u{b}', '\u{c}'];
    let data_is_one_line = !data.contains(splits);
    if lines.next().is_some() || !digits || event.is_empty() || !data_is_one_line {
        return None;
    }
    let data = serde_json::from_str::<Value>(data).ok().filter(Value::is_object)?;
    Some(Frame { id: id.parse().ok()?, event: event.to_owned(), data, raw: Bytes::new() })
}

impl Frame {
    /// The text after `data: `, as it came.
    pub(crate) fn data_text(&self) -> &str {
        let text = std::str::from_utf8(&self.raw).expect("a frame is UTF-8");
        text.split_once("\ndata: ").map_or("", |(_, data)| data.trim_end_matches('\n'))
    }

    fn with(self, raw: Bytes) -> Self {
        Self { raw, ..self }
    }
}

#[test]
fn only_a_whole_frame_in_its_order_is_a_frame() {
    assert!(frame("id: 7\nevent: done\ndata: {\"a\":1}").is_some());
    let bad = [
        "id: 07\nevent: done\ndata: {}",
        "event: done\nid: 7\ndata: {}",
        "id: 7\ndata: {}",
        "id: 7\nevent: done",
        "id: 7\nevent: done\ndata: {}\ndata: {}",
        "id: 7\nevent: done\ndata: [1]",
        "id:7\nevent: done\ndata: {}",
        "id: +7\nevent: done\ndata: {}",
        "id: 7\nevent: done\ndata: {\"a\":\"\u{2028}\"}",
    ];
    for text in bad {
        assert!(frame(text).is_none(), "{text:?} must be refused");
    }
}
