//! The messages of OTLP that are sent, as its protobuf files number their fields, and nothing more of
//! them.

use bytes::Bytes;
use prost::Message;

use crate::trace::context::TraceContext;
use crate::trace::span::{Finished, Kind, Value};

/// Who tells the spans.
pub(super) struct Origin {
    /// Tells two processes apart.
    instance: String,
}

impl Origin {
    pub(super) fn of_this_process() -> Self {
        Self { instance: uuid::Uuid::now_v7().to_string() }
    }

    fn resource(&self) -> Resource {
        let attributes = [
            ("service.name", env!("CARGO_PKG_NAME")),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", &self.instance),
        ];
        let attribute = |(key, text): (&'static str, &str)| {
            key_value(key, &Value::Text(text.to_owned().into()))
        };
        Resource { attributes: attributes.into_iter().map(attribute).collect() }
    }
}

/// A request that holds these spans.
pub(super) fn request(origin: &Origin, spans: &[Finished]) -> ExportRequest {
    let (name, version) = (env!("CARGO_PKG_NAME").to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let scope = Some(Scope { name, version });
    let scope_spans = vec![ScopeSpans { scope, spans: spans.iter().map(Span::of).collect() }];
    let resource = Some(origin.resource());
    ExportRequest { resource_spans: vec![ResourceSpans { resource, scope_spans }] }
}

/// How many spans an answer says were rejected; none if it says nothing, or no sense.
pub(super) fn rejected(answer: Bytes) -> usize {
    let told = ExportAnswer::decode(answer).unwrap_or_default().partial_success;
    told.and_then(|told| usize::try_from(told.rejected_spans).ok()).unwrap_or_default()
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ExportRequest {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ExportAnswer {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_spans: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    trace_state: String,
    /// Empty where there is none.
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(enumeration = "SpanKind", tag = "6")]
    kind: i32,
    /// Nanoseconds since 1970, as the end is.
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, repeated, tag = "13")]
    links: Vec<Link>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
    #[prost(fixed32, tag = "16")]
    flags: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum SpanKind {
    Unspecified = 0,
    Internal = 1,
    Server = 2,
    Client = 3,
}

#[derive(Clone, PartialEq, Message)]
struct Link {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    trace_state: String,
    #[prost(fixed32, tag = "6")]
    flags: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(enumeration = "StatusCode", tag = "3")]
    code: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum StatusCode {
    Unset = 0,
    Error = 2,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "OneValue", tags = "1, 2, 3")]
    value: Option<OneValue>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum OneValue {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Flag(bool),
    #[prost(int64, tag = "3")]
    Number(i64),
}

impl Span {
    fn of(span: &Finished) -> Self {
        let Finished { name, kind, context, parent, link, began, ended, attributes, failure } =
            span;
        let kind = match kind {
            Kind::Internal => SpanKind::Internal,
            Kind::Server => SpanKind::Server,
            Kind::Client => SpanKind::Client,
        };
        let nanos =
            |since: &std::time::Duration| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        let status = failure.as_ref().map(|why| Status {
            message: why.clone().into_owned(),
            code: StatusCode::Error.into(),
        });
        Self {
            trace_id: context.trace().to_bytes().to_vec(),
            span_id: context.span().to_bytes().to_vec(),
            trace_state: context.state().as_str().to_owned(),
            parent_span_id: parent.map(|parent| parent.to_bytes().to_vec()).unwrap_or_default(),
            name: (*name).to_owned(),
            kind: kind.into(),
            start_time_unix_nano: nanos(began),
            end_time_unix_nano: nanos(ended),
            attributes: attributes.iter().map(|(key, value)| key_value(key, value)).collect(),
            links: link.iter().map(Link::to).collect(),
            status,
            flags: context.flags().into(),
        }
    }
}

impl Link {
    fn to(context: &TraceContext) -> Self {
        Self {
            trace_id: context.trace().to_bytes().to_vec(),
            span_id: context.span().to_bytes().to_vec(),
            trace_state: context.state().as_str().to_owned(),
            flags: context.flags().into(),
        }
    }
}

fn key_value(key: &str, value: &Value) -> KeyValue {
    let value = match value {
        Value::Text(text) => OneValue::Text(text.clone().into_owned()),
        Value::Number(number) => OneValue::Number(*number),
        Value::Flag(flag) => OneValue::Flag(*flag),
    };
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}
