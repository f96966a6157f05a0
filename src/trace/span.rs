//! One span: a piece of work with a beginning, an end, and what is known of it.
//!
//! A span is told when it is ended, and only then: one that is dropped was cut off, or turned out to
//! be of no use, and nobody hears of it. Its end is never before its beginning, whatever the clock does.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::Root;
use super::context::{SpanId, TraceContext};
use super::queue::Queue;

/// Which side of a call the work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Within this program.
    Internal,
    /// A client is answered.
    Server,
    /// Somebody else is asked.
    Client,
}

/// What an attribute holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// An id, or a word of a closed set.
    Text(Cow<'static, str>),
    /// A count, or a number of an event.
    Number(i64),
    /// Whether it is so.
    Flag(bool),
}

/// A span that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// What it is, one of a few words.
    pub name: &'static str,
    /// Which side of a call it is.
    pub kind: Kind,
    /// Its own place.
    pub context: TraceContext,
    /// The span above it.
    pub parent: Option<SpanId>,
    /// A span of another place that it has to do with.
    pub link: Option<TraceContext>,
    /// Its beginning, since 1970.
    pub began: Duration,
    /// Its end, since 1970.
    pub ended: Duration,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Value)>,
    /// Why it failed, if it did: one of a few words.
    pub failure: Option<Cow<'static, str>>,
}

/// A span that goes on, or nothing where nothing is traced.
#[derive(Debug)]
#[must_use = "a span that is not ended is not told"]
pub struct Span(Option<Box<Open>>);

#[derive(Debug)]
struct Open {
    queue: Queue,
    span: Finished,
    since: Instant,
}

impl Span {
    /// One that tells nothing.
    pub(super) const fn nothing() -> Self {
        Self(None)
    }

    pub(super) fn begin(queue: Queue, name: &'static str, kind: Kind, place: Root) -> Self {
        let Root { context, parent } = place;
        let began = since_1970();
        let (link, attributes, failure) = (None, Vec::new(), None);
        let span = Finished {
            name,
            kind,
            context,
            parent,
            link,
            began,
            ended: began,
            attributes,
            failure,
        };
        Self(Some(Box::new(Open { queue, span, since: Instant::now() })))
    }

    /// The same, begun at this wall-clock millisecond, before this process perhaps.
    pub(super) fn begun_at(mut self, at_ms: u64) -> Self {
        if let Some(open) = &mut self.0 {
            open.span.began = Duration::from_millis(at_ms).min(open.span.began);
        }
        self
    }

    /// Its place, for what is below it; none if it tells nothing.
    #[must_use]
    pub fn context(&self) -> Option<&TraceContext> {
        self.0.as_ref().map(|open| &open.span.context)
    }

    /// Notes an attribute.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(open) = &mut self.0 {
            open.span.attributes.push((name, value.into()));
        }
    }

    /// Notes an attribute that takes work to tell.
    pub fn set_with<V: Into<Value>>(&mut self, name: &'static str, value: impl FnOnce() -> V) {
        if self.0.is_some() {
            self.set(name, value());
        }
    }

    /// Points at a span of another place.
    pub fn link(&mut self, to: TraceContext) {
        if let Some(open) = &mut self.0 {
            open.span.link = Some(to);
        }
    }

    /// It failed, for this reason.
    pub fn fail(&mut self, why: impl Into<Cow<'static, str>>) {
        if let Some(open) = &mut self.0 {
            let why = why.into();
            open.span.attributes.push(("error.type", Value::Text(why.clone())));
            open.span.failure = Some(why);
        }
    }

    /// Ends and tells it.
    pub fn end(self) {
        if let Some(open) = self.0 {
            let Open { queue, mut span, since } = *open;
            // What began before this process ends by the wall clock, all else by one that never jumps.
            let begun_here = span.ended;
            span.ended = begun_here.max(span.began) + since.elapsed();
            queue.put(span);
        }
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}
