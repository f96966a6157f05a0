//! What is told of one event stream besides its counters: its span (who was shown what, from which event
//! on, how much of it, and why it ended), and its two ends in the timeline of a turn.
//!
//! A reader that names a span of its own gets its delivery below that, with a link to the turn's span; one
//! that does not gets it below the turn's. A session's stream belongs to no one turn, so it is told only
//! below a span of its reader's. The stream of a client that goes away ends by being dropped, and is told,
//! too.

use crate::event::Seq;
use crate::metrics::streams::Ended;
use crate::session::reading::Reading;
use crate::session::{Session, TurnRef};
use crate::trace::Tracer;
use crate::trace::context::TraceContext;
use crate::trace::span::{Kind, Span};

/// An open stream; by default one that is neither traced nor noted.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    span: Option<Span>,
    reading: Option<Reading>,
    replayed: u64,
    live: u64,
    bytes: u64,
    /// Until it says otherwise, its client has gone.
    why: Option<Ended>,
}

impl Delivery {
    /// Shows a turn behind this event.
    pub(crate) fn of_turn(
        tracer: &Tracer,
        turn: &TurnRef,
        reader: Option<&TraceContext>,
        after: Seq,
    ) -> Self {
        if !tracer.is_on() {
            return Self::default();
        }
        let place = turn.trace();
        let mut span = tracer.begin("deliver", Kind::Server, reader.or(place.as_ref()));
        if let (Some(_), Some(place)) = (reader, place) {
            span.link(place);
        }
        span.set_with("afterbay.execution", || turn.execution.to_string());
        Self::begin(span, &turn.session, after)
    }

    /// Shows a session behind this event.
    pub(crate) fn of_session(
        tracer: &Tracer,
        session: &Session,
        reader: Option<&TraceContext>,
        after: Seq,
    ) -> Self {
        Self::begin(tracer.begin("deliver", Kind::Server, reader), session, after)
    }

    fn begin(mut span: Span, session: &Session, after: Seq) -> Self {
        span.set_with("gen_ai.conversation.id", || session.id().to_string());
        span.set("afterbay.cursor", after.get());
        let mut delivery = Self::default();
        delivery.span = Some(span);
        delivery
    }

    /// Its ends are noted, too: a client's.
    pub(crate) fn noted_by(mut self, reading: Option<Reading>) -> Self {
        self.reading = reading;
        self
    }

    /// Events went out: those that were in the log before, and later ones.
    pub(crate) const fn events_sent(&mut self, replayed: u64, live: u64) {
        self.replayed += replayed;
        self.live += live;
    }

    /// Bytes were handed to the socket.
    pub(crate) const fn bytes_sent(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// It is about to end, for this reason.
    pub(crate) fn ends(&mut self, why: Ended) {
        self.why = Some(why);
        if let Some(reading) = &mut self.reading {
            reading.ends(why);
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        let Some(mut span) = self.span.take() else { return };
        let why = self.why.unwrap_or(Ended::Gone);
        span.set("afterbay.replayed_events", self.replayed);
        span.set("afterbay.live_events", self.live);
        span.set("afterbay.bytes", self.bytes);
        span.set("afterbay.ended", why.as_str());
        if why == Ended::Cut {
            span.fail("log_unavailable");
        }
        span.end();
    }
}
