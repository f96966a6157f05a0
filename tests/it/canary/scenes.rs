//! What happens in a life: every kind of secret goes through it, in good times and in bad.

use std::fs;

use rustix::process::Signal;
use serde_json::json;

use super::life::{
    ADMIN, BOXS, COOKIE, Life, MODEL_KEY, OWNER, QUERY, STRANGER, TOKEN, WRONG_TOKEN, prompt, shows,
};
use super::search::{Place, files_below};
use crate::it::raw::Conn;
use crate::it::support::scripted_sidecar::{Canned, Route};

const TURN: &str = "POST /agents/run/stream";

impl Life {
    /// Starts with mistakes in the configuration, and other commands that are told secrets.
    pub(super) async fn misconfigured(&mut self) {
        let tokens = self.file("short");
        fs::write(&tokens, format!("{TOKEN} {WRONG_TOKEN} {OWNER}\n")).expect("a file");
        let url = format!("http://u:{QUERY}@127.0.0.1:1/?token={QUERY}");
        let credential = format!("--box-credential=Bearer {BOXS}");
        for more in [
            &["--mode", "nonsense"][..],
            &["--tokens-file", &tokens, "--lane", "nonsense"],
            &["--public-url", &url],
            &[&credential],
        ] {
            let daemon = self.daemon(more);
            assert_eq!(self.ended(daemon).await, Some(2), "{more:?}");
        }
    }

    /// Turns that go well, their replays, and stops.
    pub(super) async fn turns(&mut self) {
        self.box_answers();
        let target = format!("{TURN}?token={QUERY}&a=b");
        let fields = format!("{}X-Execution-ID: e-1\r\n", shows(OWNER));
        let done = self.ask(&target, &fields, &prompt("s")).await;
        assert_eq!(done.last_data("done")["status"], "success");
        let own = format!("Authorization: Bearer {TOKEN}\r\nX-Execution-ID: e-2\r\n");
        let done = self.ask(TURN, &own, &prompt("of-the-token")).await;
        assert_eq!(done.last_data("done")["status"], "success");
        for line in [
            "GET /agents/executions/e-1/events",
            "GET /agents/sessions/s/events?until=idle",
            "GET /afterbay/v1/sessions",
            "GET /afterbay/v1/boxes/default/sessions/s",
            "GET /afterbay/v1/boxes/default/sessions/s/events?until=idle",
            "GET /afterbay/v1/boxes/default/turns/e-1",
            "POST /afterbay/v1/boxes/default/turns/e-1/cancel",
            "GET /afterbay/v1/openapi.json",
            "POST /agents/sessions/s/abort",
        ] {
            let line = if line.contains('?') {
                format!("{line}&token={QUERY}")
            } else {
                format!("{line}?token={QUERY}")
            };
            for fields in
                [shows(OWNER), format!("Authorization: Bearer {TOKEN}\r\n"), shows(STRANGER)]
            {
                self.ask(&line, &fields, "").await;
            }
        }
        self.box_is("running");
        let fields =
            format!("{}Content-Type: application/json\r\nX-Execution-ID: e-3\r\n", shows(OWNER));
        let turns = "POST /afterbay/v1/boxes/default/sessions/s/turns";
        assert_eq!(self.ask(turns, &fields, &prompt("s")).await.head.status(), 202);
        assert_eq!(self.ask(TURN, &shows(OWNER), &prompt("s")).await.head.status(), 409);
        self.sidecar.says(Route::Abort, [Canned::error(502, "NO"), Canned::error(401, "NO")]);
        for _ in 0..2 {
            self.ask("POST /agents/sessions/s/abort", &shows(OWNER), "{}").await;
        }
        self.sidecar.says(Route::Abort, [Canned::json(200, &json!({"data": {"cancelled": true}}))]);
        self.ask("POST /agents/sessions/s/abort", &shows(OWNER), "{}").await;
        self.box_is("aborted");
        self.ask("GET /agents/executions/e-3/events", &shows(OWNER), "").await;
    }

    /// What a box says instead of yes, and credentials that it does not take.
    pub(super) async fn refusals(&mut self) {
        let broken = "event: error\ndata: {\n\n";
        for (at, answer) in [
            Canned::error(400, "NO"),
            Canned::error(401, "UNAUTHORIZED"),
            Canned::error(403, "FORBIDDEN"),
            Canned::error(503, "AGENT_WARMING_UP").with("retry-after", "1"),
            Canned::html(502),
            Canned::nothing(),
            Canned::text(200, "text/event-stream", broken),
            Canned::text(200, "application/json", "[[["),
        ]
        .into_iter()
        .enumerate()
        {
            self.sidecar.says(Route::Run, [answer]);
            self.sidecar.says(Route::Status, [Canned::error(404, "NOT_FOUND")]);
            self.ask(TURN, &shows(STRANGER), &prompt(&format!("refused-{at}"))).await;
        }
        self.box_answers();
        self.sidecar.says(Route::Status, [Canned::error(401, "UNAUTHORIZED")]);
        for line in ["GET /agents/executions/e-1/events", "POST /agents/sessions/s/abort"] {
            self.ask(line, &shows(STRANGER), "").await;
            self.ask(line, &format!("X-Afterbay-Token: {WRONG_TOKEN}\r\n"), "").await;
            self.ask(line, &format!("Authorization: Bearer {WRONG_TOKEN}\r\n"), "").await;
        }
        // A credential that expires in mid-turn: nobody's turn ends by it here.
        let line = "POST /afterbay/v1/boxes/default/sessions/expired/turns";
        let fields = format!("{}Content-Type: application/json\r\n", shows(OWNER));
        self.ask(line, &fields, &prompt("expired")).await;
    }

    /// Requests that are wrong where a secret stands.
    pub(super) async fn bad_requests(&mut self) {
        let own = format!("Authorization: Bearer {TOKEN}\r\n");
        let doubled = format!("{}{own}", shows(OWNER));
        let odd = format!("{}X-Afterbay-Streaming: {COOKIE}\r\n", shows(OWNER));
        let foreign =
            format!("{}Origin: https://{COOKIE}.example\r\n", "Sec-Fetch-Site: cross-site\r\n");
        let key =
            format!("{own}Idempotency-Key: a b {COOKIE}\r\nContent-Type: application/json\r\n");
        let native = "POST /afterbay/v1/boxes/default/sessions/bad/turns";
        let (torn, twice) = (
            format!("{{\"apiKey\":\"{MODEL_KEY}"),
            format!("{{\"turnId\":\"a\",\"turnId\":\"{MODEL_KEY}!\"}}"),
        );
        let id = format!("{{\"message\":\"x\",\"sessionId\":\"a/{MODEL_KEY}\"}}");
        let cursor = format!("{own}Last-Event-ID: {COOKIE}\r\n");
        for (line, fields, body) in [
            (TURN, &own, torn.as_str()),
            (TURN, &own, &twice),
            (TURN, &own, &id),
            (TURN, &own, &format!("[\"{MODEL_KEY}\"]")),
            (TURN, &doubled, "{}"),
            (TURN, &odd, "{}"),
            (TURN, &foreign, "{}"),
            (native, &key, "{}"),
            (native, &own, MODEL_KEY),
            ("GET /agents/executions/e-2/events", &cursor, ""),
            (&format!("GET /agents/executions/a%20{QUERY}/events?token={QUERY}"), &own, ""),
            (&format!("GET /afterbay/v1/sessions?page={QUERY}&limit={QUERY}"), &own, ""),
            (&format!("GET /afterbay/nothing/{QUERY}"), &own, ""),
            (&format!("GET /box/n%20{QUERY}/x"), &own, ""),
        ] {
            self.ask(line, fields, body).await;
        }
        let mut client = Conn::open(self.clients).await;
        let torn = format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization Bearer {OWNER}\r\n\r\n");
        client.send(torn).await;
        let bytes = client.read_to_close().await.into_bytes();
        self.places.push(Place { name: "the answer to no request".to_owned(), bytes });
    }

    /// A box that nobody reaches, and one of raw bytes: WebSockets and broken answers.
    pub(super) async fn other_boxes(&mut self) {
        let query = format!("?token={QUERY}");
        for line in ["GET /box/gone/x", "POST /box/gone/agents/run/stream"] {
            self.ask(&format!("{line}{query}"), &shows(OWNER), &prompt("gone")).await;
        }
        let shake = format!(
            "GET /box/raw/term{query} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n{}\r\n",
            shows(OWNER)
        );
        let mut client = Conn::open(self.clients).await;
        client.send(shake).await;
        let mut at_box = self.raw_box.accept().await;
        assert_eq!(at_box.read_head().await.one("cookie"), Some(&*format!("id={COOKIE}")));
        at_box
            .send("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
            .await;
        assert_eq!(client.read_head().await.status(), 101);
        client.send(format!("in a frame: {MODEL_KEY}")).await;
        at_box.read_to(MODEL_KEY).await;
        drop((client, at_box));
        for answer in ["", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "nonsense\r\n\r\n"] {
            let mut client = Conn::open(self.clients).await;
            let fields = shows(OWNER);
            client
                .send(format!(
                    "GET /box/raw/x{query} HTTP/1.1\r\nHost: a\r\n{fields}Connection: close\r\n\r\n"
                ))
                .await;
            let mut at_box = self.raw_box.accept().await;
            at_box.read_head().await;
            at_box.send(answer).await;
            drop(at_box);
            let bytes = client.read_to_close().await.into_bytes();
            self.places.push(Place { name: "the answer of a broken box".to_owned(), bytes });
        }
    }

    /// What operators are shown.
    pub(super) async fn operators(&mut self) {
        for line in ["GET /metrics", "GET /readyz", "GET /livez", "GET /nothing"] {
            let fields = format!("Authorization: Bearer {OWNER}\r\n");
            let line = format!("{line}?token={QUERY}");
            self.ask_at(self.operators, &line, &fields, "").await;
        }
        let known = format!("Authorization: Bearer {ADMIN}\r\nX-Afterbay-Admin: 1\r\n");
        let unknown = format!("Authorization: Bearer {ADMIN}{ADMIN}\r\nX-Afterbay-Admin: 1\r\n");
        for line in [
            "GET /admin/status",
            "GET /admin/sessions",
            "GET /admin/sessions/s",
            "GET /admin/sessions/of-the-token/events?until=idle",
            "POST /admin/sessions/s/ticket",
            "GET /admin/sessions/s/turns/e-1/timeline",
            "POST /admin/sessions/s/turns/e-1/cancel",
            "GET /nothing",
        ] {
            assert_ne!(self.ask_at(self.operators, line, &known, "").await.head.status(), 401);
            let told = self.ask_at(self.operators, line, &unknown, "").await;
            assert_eq!(told.head.status(), 401, "{line}");
        }
        for body in [
            "{\"level\":\"trace\"}".to_owned(),
            format!("{{\"level\":\"{ADMIN}\"}}"),
            ADMIN.to_owned(),
        ] {
            self.ask_at(self.operators, "PUT /admin/log-level", &known, &body).await;
        }
    }

    /// `kill -9` in the middle of turns, and a start on what they left.
    pub(super) async fn killed_in_mid_turn(&mut self) {
        self.box_answers();
        self.box_is("running");
        let line = "POST /afterbay/v1/boxes/default/sessions/killed/turns";
        for (session, fields) in
            [("killed", shows(OWNER)), ("k-2", format!("Authorization: Bearer {TOKEN}\r\n"))]
        {
            let fields =
                format!("{fields}Content-Type: application/json\r\nX-Execution-ID: {session}\r\n");
            let line = line.replace("killed", session);
            assert_eq!(self.ask(&line, &fields, &prompt(session)).await.head.status(), 202);
        }
        let daemon = self.daemon.take().expect("running");
        daemon.signal(Signal::KILL);
        self.ended(daemon).await;
        let left = files_below(self.data());
        assert!(left.iter().any(|file| file.name.contains("/sealed/")), "nothing was sealed");
        self.places.extend(left);
        self.start().await;
        self.box_answers();
        let line = "GET /agents/executions/killed/events";
        let told = self.ask(line, &shows(OWNER), "").await;
        assert_eq!(told.last_data("done")["status"], "success");
    }
}
