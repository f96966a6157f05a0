//! The built program before a Sandbox API: one base URL, from making a sandbox to what is left of it.

mod acquiring;
mod answers;
mod life;
mod places;
mod rights;

use serde_json::{Value, json};

use super::boxes::Stage;
use super::support::scripted_sidecar::{Canned, Route, Sidecar};

/// A turn's POST below a box's prefix.
const PROMPT: &str = r#"{"message":"hi","sessionId":"ses","turnId":"t"}"#;

/// An API and a box, and the program before them.
struct Scene {
    api: Sidecar,
    a_box: Sidecar,
    stage: Stage,
}

impl Scene {
    /// With boxes on loopback allowed.
    async fn open() -> Self {
        Self::with("networks = [\"127.0.0.0/8\"]\n", &[]).await
    }

    /// With further keys of `[api]` and tables after it, and further flags.
    async fn with(keys: &str, flags: &[&str]) -> Self {
        let (api, a_box) = (Sidecar::start().await, Sidecar::start().await);
        let table = format!("[api]\nurl = \"{}\"\n{keys}", api.base());
        let stage = Stage::of(&[table], flags).await;
        Self { api, a_box, stage }
    }

    /// Where clients are sent.
    fn ours(&self, id: &str) -> String {
        format!("http://{}/box/{id}", self.stage.clients)
    }

    /// The API shows this sandbox at the box from now on, and it is asked for once.
    async fn learns(&self, id: &str, at: &Sidecar) {
        self.shows(id, &sandbox(id, &at.base()));
        let path = format!("/v1/sandboxes/{id}");
        let answer =
            self.stage.ask(&format!("GET {path}"), "Authorization: Bearer key\r\n", "").await;
        assert_eq!(answer.head.status(), 200, "{answer:?}");
        assert_eq!(answer.json("/connection/sidecarUrl"), self.ours(id));
    }

    /// The API answers so when this sandbox is asked for.
    fn shows(&self, id: &str, object: &Value) {
        self.api.says_to(&format!("GET /v1/sandboxes/{id}"), [Canned::json(200, object)]);
    }

    /// The value of a line of the metrics.
    async fn metric(&self, line: &str) -> String {
        let metrics = self.stage.metrics().await;
        let found = metrics.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(' '));
        found.unwrap_or("none").to_owned()
    }
}

/// A sandbox object as the API shows it.
fn sandbox(id: &str, url: &str) -> Value {
    let connection = json!({"sidecarUrl": url, "authToken": format!("token-of-{id}"),
        "authTokenExpiresAt": "2031-01-01T00:00:00Z"});
    json!({"id": id, "status": "running", "connection": connection})
}

/// The field with the token that the API hands out for a sandbox.
fn token_of(id: &str) -> String {
    format!("Authorization: Bearer token-of-{id}\r\n")
}

/// From now on the box takes a prompt and is at work on it.
fn works(a_box: &Sidecar) {
    let started = r#"{"executionId":"exec_box","sessionId":"sess_box"}"#;
    a_box.says(Route::Run, [Canned::stream(&[("execution.started", started)])]);
    let busy = json!({"data": {"session": {"state": "running"}}});
    a_box.says(Route::Status, [Canned::json(200, &busy)]);
    a_box.holds(&json!([
        {"id": "u", "role": "user", "parts": [{"id": "p0", "type": "text", "text": "hi"}]}]));
}
