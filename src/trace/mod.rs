//! Traces: what happens to a turn, as spans that a collector of traces understands.
//!
//! [`context`] is the W3C trace context as clients send it and boxes get it, [`state`] its vendors'
//! part, [`span`] one span. A [`Tracer`] makes spans where the work is done and puts those that have
//! ended into a bounded [`queue`], which the roof empties; only the roof knows how and where they go.
//!
//! Promises: a tracer that is off makes nothing and costs a look at an `Option`; one that is on never
//! waits, so nobody who is away can slow a turn: what finds no place in the queue is counted and gone.
//! A span holds ids, numbers and closed words, never a credential, a prompt, an event's data or a URL.

pub mod context;
pub mod queue;
pub mod span;
pub mod state;

use http::HeaderMap;

use crate::metrics::trace::Metrics;
use context::{SpanId, TraceContext};
use queue::{Ended, Queue};
use span::{Kind, Span};

/// Where spans begin. Clones lead to the same queue; the default is off.
#[derive(Debug, Clone, Default)]
pub struct Tracer(Option<Queue>);

/// The span that all others of one turn stand below. It is told at the turn's end, perhaps by another
/// process than the one that chose its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Its own place.
    pub context: TraceContext,
    /// The client's span, if it named one.
    pub parent: Option<SpanId>,
}

impl Root {
    /// A root below `parent`; in a new trace if there is none.
    #[must_use]
    pub fn below(parent: Option<&TraceContext>) -> Self {
        let context = parent.map_or_else(TraceContext::begin, TraceContext::child);
        Self { context, parent: parent.map(TraceContext::span) }
    }
}

impl Tracer {
    /// A tracer that is on, and the other end of its queue.
    #[must_use]
    pub fn on(metrics: &Metrics) -> (Self, Ended) {
        let (queue, ended) = queue::bounded(metrics);
        (Self(Some(queue)), ended)
    }

    /// Whether anything is told.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The root of a turn that is started with these headers. None if the tracer is off, or if the
    /// client says that its trace is not recorded.
    #[must_use]
    pub fn root(&self, headers: &HeaderMap) -> Option<Root> {
        self.0.as_ref()?;
        let client = TraceContext::of_headers(headers);
        let is_wanted = client.as_ref().is_none_or(TraceContext::is_sampled);
        is_wanted.then(|| Root::below(client.as_ref()))
    }

    /// What a reader's headers say of its own trace; none if the tracer is off.
    #[must_use]
    pub fn reader(&self, headers: &HeaderMap) -> Option<TraceContext> {
        self.0.as_ref()?;
        TraceContext::of_headers(headers)
    }

    /// Begins a span below `parent`; one that tells nothing if there is none, or the tracer is off.
    pub fn begin(&self, name: &'static str, kind: Kind, parent: Option<&TraceContext>) -> Span {
        match (&self.0, parent.filter(|parent| parent.is_sampled())) {
            (Some(queue), Some(parent)) => {
                let root = Root::below(Some(parent));
                Span::begin(queue.clone(), name, kind, root)
            }
            (_, _) => Span::nothing(),
        }
    }

    /// The span of a whole turn that was accepted at `at_ms`, in wall-clock milliseconds since 1970.
    pub fn turn(&self, root: Option<&Root>, at_ms: u64) -> Span {
        match (&self.0, root) {
            (Some(queue), Some(root)) => {
                let span = Span::begin(queue.clone(), "turn", Kind::Server, root.clone());
                span.begun_at(at_ms)
            }
            (_, _) => Span::nothing(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use prometheus::Registry;

    use super::*;

    const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const NOT_SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

    fn on() -> (Tracer, Ended) {
        Tracer::on(&Metrics::new(&Registry::new()).expect("names are free"))
    }

    fn headers(traceparent: Option<&'static str>) -> HeaderMap {
        let value = traceparent.map(HeaderValue::from_static);
        value.into_iter().map(|value| (context::TRACEPARENT, value)).collect()
    }

    #[test]
    fn a_turn_goes_on_in_its_clients_trace_and_else_begins_one() {
        let (tracer, _ended) = on();
        let theirs = tracer.root(&headers(Some(SAMPLED))).expect("it is on");
        let client = TraceContext::parse(SAMPLED).expect("a context");
        assert_eq!(theirs.context.trace(), client.trace());
        assert_eq!(theirs.parent, Some(client.span()));
        assert_ne!(theirs.context.span(), client.span());
        let ours = tracer.root(&headers(None)).expect("it is on");
        assert!(ours.parent.is_none() && ours.context.is_sampled());
        assert_ne!(ours.context.trace(), client.trace());
    }

    #[test]
    fn nothing_is_traced_where_it_is_off_or_the_client_does_not_want_it() {
        let (tracer, mut ended) = on();
        assert_eq!(tracer.root(&headers(Some(NOT_SAMPLED))), None);
        let off = Tracer::default();
        assert_eq!(off.root(&headers(Some(SAMPLED))), None);
        let sampled = TraceContext::parse(SAMPLED);
        let not_sampled = TraceContext::parse(NOT_SAMPLED);
        let begun = [
            off.begin("poll", Kind::Client, sampled.as_ref()),
            tracer.begin("poll", Kind::Client, not_sampled.as_ref()),
            tracer.begin("poll", Kind::Client, None),
            tracer.turn(None, 1),
        ];
        for span in begun {
            assert!(span.context().is_none());
            span.end();
        }
        assert!(ended.take_now(10).is_empty());
        tracer.begin("poll", Kind::Client, sampled.as_ref()).end();
        assert_eq!(ended.take_now(10).len(), 1);
    }
}
