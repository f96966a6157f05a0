//! The W3C trace context: which trace a request belongs to, and below which span.
//!
//! `traceparent` is read as the recommendation says: one header, lower case, no id of zeros, version
//! 00 exactly, later versions as far as 00 goes. What is not one is ignored, and so is the `tracestate`
//! beside it. It is an id that a client chose: it grants nothing and is never an error.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::state::TraceState;

/// Names the trace and the span.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What vendors keep beside it.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Somebody records the trace.
const SAMPLED: u8 = 1;
/// The trace's id is a random number: a flag of the recommendation's next level, which is carried on, and
/// not set where the first level has zeros.
const RANDOM: u8 = 2;

/// The id of a trace; shown as 32 digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceId(NonZeroU128);

/// The id of a span; shown as 16 digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SpanId(NonZeroU64);

/// One span's place in a trace, as it stands in headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    trace: TraceId,
    span: SpanId,
    flags: u8,
    state: TraceState,
}

impl TraceContext {
    /// The first span of a new trace that is recorded.
    #[must_use]
    pub fn begin() -> Self {
        let (trace, span) = (TraceId(rand::random()), SpanId::random());
        Self { trace, span, flags: SAMPLED, state: TraceState::default() }
    }

    /// A new span below this one.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span: SpanId::random(), ..self.clone() }
    }

    /// What the headers of a request say; none if they say nothing, or no sense.
    #[must_use]
    pub fn of_headers(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(TRACEPARENT).iter();
        let (line, None) = (lines.next()?, lines.next()) else { return None };
        let context = Self::parse(line.to_str().ok()?)?;
        Some(context.with_state(TraceState::of_headers(headers)))
    }

    /// Reads a `traceparent`; the state is empty.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(5, '-');
        let mut digits = |count| digits(parts.next()?, count);
        let (version, trace, span, flags) = (digits(2)?, digits(32)?, digits(16)?, digits(2)?);
        let has_more = parts.next().is_some();
        if version == 0xff || (version == 0 && has_more) {
            return None;
        }
        let trace = TraceId(NonZeroU128::new(trace)?);
        let span = SpanId(NonZeroU64::new(u64::try_from(span).ok()?)?);
        let flags = u8::try_from(flags).ok()? & (SAMPLED | RANDOM);
        Some(Self { trace, span, flags, state: TraceState::default() })
    }

    /// The same with this state.
    #[must_use]
    pub fn with_state(self, state: TraceState) -> Self {
        Self { state, ..self }
    }

    /// Puts it into the headers of a request, in the place of whatever stood there.
    pub fn write(&self, headers: &mut HeaderMap) {
        // The law: digits, dashes and what a state was checked for are a header's value.
        if let Ok(parent) = HeaderValue::from_str(&self.to_string()) {
            headers.insert(TRACEPARENT, parent);
        }
        match HeaderValue::from_str(self.state.as_str()) {
            Ok(state) if !self.state.is_empty() => drop(headers.insert(TRACESTATE, state)),
            Ok(_) | Err(_) => drop(headers.remove(TRACESTATE)),
        }
    }

    /// Whether somebody records the trace.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The trace.
    #[must_use]
    pub const fn trace(&self) -> TraceId {
        self.trace
    }

    /// The span.
    #[must_use]
    pub const fn span(&self) -> SpanId {
        self.span
    }

    /// The flags, those that are known.
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// What vendors keep beside it.
    #[must_use]
    pub const fn state(&self) -> &TraceState {
        &self.state
    }
}

impl TraceId {
    /// As it goes over the wire of collectors.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.get().to_be_bytes()
    }
}

impl SpanId {
    fn random() -> Self {
        Self(rand::random())
    }

    /// Reads 16 digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let number = u64::try_from(digits(text, 16)?).ok()?;
        NonZeroU64::new(number).map(Self)
    }

    /// As it goes over the wire of collectors.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.get().to_be_bytes()
    }
}

/// A number of so many digits in lower case.
fn digits(text: &str, count: usize) -> Option<u128> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_right = text.len() == count && text.bytes().all(is_digit);
    is_right.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for TraceContext {
    /// As `traceparent`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn headers(parents: &[&str], states: &[&str]) -> HeaderMap {
        let line = |name: HeaderName| {
            move |text: &&str| (name.clone(), HeaderValue::from_str(text).expect("a value"))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in parents.iter().map(line(TRACEPARENT)) {
            headers.append(name, value);
        }
        for (name, value) in states.iter().map(line(TRACESTATE)) {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn a_context_is_read_and_written_as_it_was() {
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let context = TraceContext::of_headers(&headers(&[&parent], &["a=1", "b@c=2"]));
        let context = context.expect("a context");
        assert!(context.is_sampled());
        let mut written = headers(&["00-old", "00-older"], &["old=1"]);
        context.write(&mut written);
        assert_eq!(written, headers(&[&parent], &["a=1,b@c=2"]));
        let bare = TraceContext::parse(&parent).expect("a context");
        bare.write(&mut written);
        assert_eq!(written, headers(&[&parent], &[]));
    }

    #[test]
    fn a_child_stays_in_its_trace_and_a_new_trace_is_another_one() {
        let parent = TraceContext::parse(&format!("00-{TRACE}-{SPAN}-00")).expect("a context");
        let child = parent.child();
        assert_eq!((child.trace(), child.is_sampled()), (parent.trace(), false));
        assert_ne!(child.span(), parent.span());
        let random = TraceContext::parse(&format!("00-{TRACE}-{SPAN}-ff")).expect("a context");
        assert!(random.child().to_string().ends_with("-03"), "{random:?}");
        let (one, other) = (TraceContext::begin(), TraceContext::begin());
        assert!(one.is_sampled() && one.trace() != other.trace() && one.span() != other.span());
        assert_eq!(TraceContext::parse(&one.to_string()), Some(one));
    }

    #[test]
    fn later_versions_are_read_as_far_as_this_one_goes() {
        for text in [
            format!("01-{TRACE}-{SPAN}-01"),
            format!("cc-{TRACE}-{SPAN}-fd-what-will-be"),
            format!("fe-{TRACE}-{SPAN}-01-"),
        ] {
            let context = TraceContext::parse(&text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(context.to_string(), format!("00-{TRACE}-{SPAN}-01"));
        }
    }

    #[test]
    fn what_is_no_context_is_none() {
        let (zeros, upper) = ("0".repeat(32), TRACE.to_uppercase());
        for text in [
            String::new(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-0x"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{upper}-{SPAN}-01"),
            format!("00-{TRACE}0-{SPAN}-01"),
            format!("00-+{}-{SPAN}-01", &TRACE[1..]),
            format!("01-{TRACE}-{SPAN}-01.more"),
            format!("00_{TRACE}_{SPAN}_01"),
        ] {
            assert_eq!(TraceContext::parse(&text), None, "{text}");
        }
        let good = format!("00-{TRACE}-{SPAN}-01");
        assert_eq!(TraceContext::of_headers(&headers(&[&good, &good], &[])), None);
        assert_eq!(TraceContext::of_headers(&headers(&[], &["a=1"])), None);
    }
}
