//! The built program between a scripted box and a collector of traces, which reads what it gets by
//! OpenTelemetry's own messages.

use std::net::SocketAddr;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use rustix::process::Signal;
use serde_json::json;
use tempfile::{NamedTempFile, TempDir};

use crate::it::raw::{Answer, Conn, read};
use crate::it::support::daemon::Daemon;
use crate::it::support::rig::within;
use crate::it::support::scripted_sidecar::{Canned, Route, Seen, Sidecar};

/// What a client sends.
pub(super) const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
pub(super) const CLIENT: &str = "b7ad6b7169203331";

const EXPORT: &str = "POST /v1/traces";
const TURN: &str = "POST /agents/run/stream";

pub(super) struct Stage {
    pub(super) sidecar: Sidecar,
    pub(super) collector: Sidecar,
    daemon: Option<Daemon>,
    pub(super) clients: SocketAddr,
    operators: SocketAddr,
    arguments: Vec<String>,
    log: NamedTempFile,
    _data: TempDir,
}

/// The header of a client that records its trace, or does not.
pub(super) fn traceparent(flags: &str) -> String {
    format!("traceparent: 00-{TRACE}-{CLIENT}-{flags}\r\n")
}

/// A collector's answer that it has all.
pub(super) fn taken() -> Canned {
    Canned::text(200, "application/x-protobuf", "")
}

impl Stage {
    /// With the export to a collector that takes all.
    pub(super) async fn traced() -> Self {
        Self::traced_with(&[]).await
    }

    /// The same with more flags.
    pub(super) async fn traced_with(more: &[&str]) -> Self {
        let collector = Sidecar::start().await;
        collector.says_to(EXPORT, [taken()]);
        let base = collector.base();
        Self::with(collector, &[&["--otlp-endpoint", &*base], more].concat()).await
    }

    /// Without the export.
    pub(super) async fn untraced() -> Self {
        Self::with(Sidecar::start().await, &[]).await
    }

    /// With the export to there.
    pub(super) async fn traced_to(base: &str) -> Self {
        Self::with(Sidecar::start().await, &["--otlp-endpoint", base]).await
    }

    async fn with(collector: Sidecar, more: &[&str]) -> Self {
        let sidecar = Sidecar::start().await;
        let data = tempfile::tempdir().expect("a folder");
        let (base, folder) = (sidecar.base(), data.path().to_str().expect("UTF-8"));
        let own = ["serve", "--kind", "tangle", "--box", &base, "--data-dir", folder];
        let local = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let fast = ["--poll-fast", "20ms", "--poll-slow", "50ms", "--log-format", "json"];
        let arguments = [&own[..], &local, &fast, more].concat();
        let arguments = arguments.into_iter().map(str::to_owned).collect();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut stage = Self {
            sidecar,
            collector,
            daemon: None,
            clients: nowhere,
            operators: nowhere,
            arguments,
            log: NamedTempFile::new().expect("a file"),
            _data: data,
        };
        stage.start().await;
        stage
    }

    async fn start(&mut self) {
        let arguments: Vec<_> = self.arguments.iter().map(String::as_str).collect();
        let log = self.log.reopen().expect("the file");
        let mut daemon = Daemon::start_with_log(log, &arguments, &[]);
        (self.clients, self.operators) = daemon.addresses().await;
        self.daemon = Some(daemon);
    }

    /// Kills the program where it stands, and starts it on what it left.
    pub(super) async fn kill_and_start(&mut self) {
        let mut daemon = self.daemon.take().expect("running");
        daemon.signal(Signal::KILL);
        daemon.exit().await;
        self.start().await;
    }

    /// Stops the program in order; gives its log lines.
    pub(super) async fn stop(&mut self) -> String {
        let mut daemon = self.daemon.take().expect("running");
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.exit().await.code(), Some(0));
        std::fs::read_to_string(self.log.path()).expect("UTF-8")
    }

    /// The box takes the prompt.
    pub(super) fn box_takes(&self) {
        let started = r#"{"executionId":"exec_box","sessionId":"sess_box"}"#;
        self.sidecar.says(Route::Run, [Canned::stream(&[("execution.started", started)])]);
        self.box_is("running");
    }

    pub(super) fn box_is(&self, state: &str) {
        let status = json!({"data": {"session": {"state": state}}});
        self.sidecar.says(Route::Status, [Canned::json(200, &status)]);
    }

    /// The box is done with the prompt.
    pub(super) fn box_answers(&self) {
        self.box_is("completed");
        self.sidecar.holds(&json!([
            {"id": "u", "role": "user", "parts": [{"id": "p0", "type": "text", "text": "prompt-word"}]},
            {"id": "a", "role": "assistant", "metadata": {"completed": true},
                "parts": [{"id": "p1", "type": "text", "text": "answer-word"}]}]));
    }

    pub(super) async fn ask(&self, line: &str, fields: &str, body: &str) -> Answer {
        Self::ask_at(self.clients, line, fields, body).await
    }

    async fn ask_at(at: SocketAddr, line: &str, fields: &str, body: &str) -> Answer {
        let length = body.len();
        let head = format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}");
        let asked = async {
            let mut client = Conn::open(at).await;
            client.send(format!("{head}Content-Length: {length}\r\n\r\n{body}")).await;
            read(client).await
        };
        within(line, asked).await
    }

    /// Runs a turn from its start to its end.
    pub(super) async fn turn(&self, session: &str, fields: &str) -> Answer {
        self.box_takes();
        self.box_answers();
        let answer = self.post(session, fields).await;
        assert_eq!(answer.last_data("done")["status"], "success");
        answer
    }

    /// Asks for a turn, and reads what comes to its end.
    pub(super) async fn post(&self, session: &str, fields: &str) -> Answer {
        let fields = format!("X-Execution-ID: e-{session}\r\n{fields}");
        let body = json!({"message": "prompt-word", "sessionId": session}).to_string();
        self.ask(TURN, &fields, &body).await
    }

    /// A counter's value.
    pub(super) async fn spans_counted(&self, result: &str) -> u64 {
        let text = Self::ask_at(self.operators, "GET /metrics", "", "").await.body;
        let line = format!("afterbay_trace_spans_total{{result=\"{result}\"}} ");
        let value = text.lines().find_map(|found| found.strip_prefix(&line));
        value.unwrap_or_else(|| panic!("{line} not in\n{text}")).parse().expect("a count")
    }

    /// Waits until so many spans at least are counted.
    pub(super) async fn waits_for_spans(&self, result: &str, least: u64) {
        let counted = async { while self.spans_counted(result).await < least {} };
        within("the spans are counted", counted).await;
    }

    /// What the collector got, request by request.
    pub(super) fn requests(&self) -> Vec<Seen> {
        self.collector.seen_at(EXPORT)
    }

    /// From now on the collector answers so.
    pub(super) fn collector_says(&self, answers: impl IntoIterator<Item = Canned>) {
        self.collector.says_to(EXPORT, answers);
    }

    /// Every span that the collector got.
    pub(super) fn spans(&self) -> Vec<Span> {
        let requests = self.requests().into_iter().map(|seen| {
            assert_eq!(seen.header("content-type"), Some("application/x-protobuf"));
            ExportTraceServiceRequest::decode(seen.body).expect("a message of OTLP")
        });
        let resources = requests.flat_map(|request| request.resource_spans);
        let scopes = resources.flat_map(|resource| {
            let known = resource.resource.expect("a resource");
            let service = known.attributes.iter().find(|one| one.key == "service.name");
            let service = service.and_then(|one| one.value.clone()).and_then(|one| one.value);
            assert_eq!(service, Some(Value::StringValue("afterbay".to_owned())));
            resource.scope_spans
        });
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// The spans of this name.
    pub(super) fn named(&self, name: &str) -> Vec<Span> {
        self.spans().into_iter().filter(|span| span.name == name).collect()
    }

    /// The only span of this name.
    pub(super) fn one(&self, name: &str) -> Span {
        let mut found = self.named(name);
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        found.remove(0)
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The text of an attribute.
pub(super) fn text(span: &Span, key: &str) -> Option<String> {
    let value = value(span, key)?;
    let Value::StringValue(text) = value else { panic!("{key} is {value:?}") };
    Some(text)
}

/// The number of an attribute.
pub(super) fn number(span: &Span, key: &str) -> Option<i64> {
    let value = value(span, key)?;
    let Value::IntValue(number) = value else { panic!("{key} is {value:?}") };
    Some(number)
}

/// Whether an attribute says so.
pub(super) fn flag(span: &Span, key: &str) -> Option<bool> {
    let value = value(span, key)?;
    let Value::BoolValue(flag) = value else { panic!("{key} is {value:?}") };
    Some(flag)
}

fn value(span: &Span, key: &str) -> Option<Value> {
    let found = span.attributes.iter().find(|one| one.key == key)?;
    found.value.clone()?.value
}
