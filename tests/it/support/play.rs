//! A hall with a raw box behind its pass-through, and a client that asks on connections of its own.

use std::time::Duration;

use afterbay::http::Settings;
use afterbay::upstream::Ending;
use tokio::net::TcpListener;

use super::hall::{GOOD, Hall};
use crate::it::raw::{Answer, Conn, RawBox, read};

/// A hall with a raw box behind its pass-through.
pub(crate) struct Play {
    pub(crate) hall: Hall,
    pub(crate) raw_box: RawBox,
}

pub(crate) const PROMPT: &str = r#"{"message":"hi","sessionId":"ses"}"#;

impl Play {
    pub(crate) async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    /// A head that does not wait for a silent box.
    pub(crate) async fn impatient() -> Self {
        Self::with(Settings { head_wait: Duration::from_millis(50), ..Settings::default() }).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let raw_box = RawBox::listen().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let hall = Hall::open(listener, &format!("http://{}", raw_box.addr), settings);
        Self { hall, raw_box }
    }

    /// Before a box that tells results at this path.
    pub(crate) async fn telling_results(path: &str) -> Self {
        let raw_box = RawBox::listen().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let (base, path) = (format!("http://{}", raw_box.addr), path.parse().expect("a path"));
        let hall = Hall::telling_results(listener, &base, Settings::default(), Some(path));
        Self { hall, raw_box }
    }

    /// Sends a request of its own connection, with the credential that the box accepts.
    pub(crate) async fn ask(&self, line: &str, fields: &str, body: &str) -> Conn {
        self.ask_as(GOOD, line, fields, body).await
    }

    pub(crate) async fn ask_as(&self, who: &str, line: &str, fields: &str, body: &str) -> Conn {
        let mut client = Conn::open(self.hall.addr).await;
        let length = body.len();
        client
            .send(format!(
                "{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: {who}\r\n\
                 {fields}Content-Length: {length}\r\n\r\n{body}"
            ))
            .await;
        client
    }

    pub(crate) async fn post(&self, fields: &str, body: &str) -> Conn {
        self.ask("POST /agents/run/stream", fields, body).await
    }

    pub(crate) async fn get(&self, target: &str, fields: &str) -> Answer {
        read(self.ask(&format!("GET {target}"), fields, "").await).await
    }

    /// Runs a turn with two messages to its end.
    pub(crate) async fn run_turn(&self, fields: &str, body: &str) -> Answer {
        self.hall.script.says("one");
        self.hall.script.says("two");
        self.hall.script.ends(Ending::Completed);
        read(self.post(fields, body).await).await
    }
}
