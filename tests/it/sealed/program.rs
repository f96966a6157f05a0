//! The built program, killed with nobody there: it goes on, tells of a wrong key once, and answers
//! what it cannot keep.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use rustix::process::Signal;
use tempfile::{NamedTempFile, TempDir};
use tokio::sync::watch;

use crate::it::raw::{Answer, Conn, read};
use crate::it::support::daemon::Daemon;
use crate::it::support::rig::{until, within};
use crate::it::support::scripted_box::{Route, ScriptedBox};

/// The box asks for it, and the program is not told it.
const OWNER: &str = "Bearer owner-of-all";
const KEY: &str = "AAcOFRwjKjE4P0ZNVFtiaXB3foWMk5qhqK+2vcTL0tk=";
const OTHER_KEY: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const EVENTS: &str = "GET /agents/executions/e-1/events";

struct Stage {
    scripted: ScriptedBox,
    at_work: watch::Receiver<Option<(String, String)>>,
    daemon: Option<Daemon>,
    clients: SocketAddr,
    lines: NamedTempFile,
    data: TempDir,
}

impl Stage {
    async fn start() -> Self {
        let scripted = ScriptedBox::start().await;
        scripted.with(|state| state.authorization = Some(OWNER.to_owned()));
        let (begun, at_work) = watch::channel(None);
        scripted.on_prompt(move |state, session, prompt| {
            let message = state.begin(session, prompt);
            begun.send_replace(Some((session.to_owned(), message)));
        });
        let (lines, data) = (NamedTempFile::new().unwrap(), tempfile::tempdir().unwrap());
        let clients = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut stage = Self { scripted, at_work, daemon: None, clients, lines, data };
        stage.run(KEY).await;
        stage
    }

    async fn run(&mut self, key: &str) {
        let (base, data) = (self.scripted.base(), self.data.path().to_str().unwrap().to_owned());
        let own = ["serve", "--kind", "opencode", "--box", &base, "--data-dir", &data];
        let local = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let fast = ["--poll-fast", "20ms", "--poll-slow", "50ms"];
        let log = fs::File::options().append(true).open(self.lines.path()).unwrap();
        let variables = [("AFTERBAY_CREDENTIALS", "sealed"), ("AFTERBAY_CREDENTIALS_KEY", key)];
        let arguments = [&own[..], &local, &fast].concat();
        let mut daemon = Daemon::start_with_log(log, &arguments, &variables);
        (self.clients, _) = daemon.addresses().await;
        self.daemon = Some(daemon);
    }

    async fn kill(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        daemon.signal(Signal::KILL);
        daemon.exit().await;
    }

    async fn ask(&self, line: &str, fields: &str, body: &str) -> Answer {
        let mut client = Conn::open(self.clients).await;
        let head = format!(
            "{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: {OWNER}\r\n{fields}"
        );
        client.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await;
        within(line, read(client)).await
    }

    async fn post(&self) -> Answer {
        let fields = "Content-Type: application/json\r\nX-Execution-ID: e-1\r\n";
        let line = "POST /afterbay/v1/boxes/default/sessions/s/turns";
        self.ask(line, fields, r#"{"message":"hi"}"#).await
    }

    fn agent_ends(&self) {
        let (session, message) = self.at_work.borrow().clone().expect("a prompt");
        self.scripted.with(|state| {
            state.text(&session, &message, "p-1", "done", true);
            state.complete(&session, &message, Some("stop"));
            state.idle(&session);
        });
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.data.path().join("sealed")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    fn warnings(&self) -> usize {
        fs::read_to_string(self.lines.path()).unwrap().matches("sealed files do not open").count()
    }
}

#[tokio::test]
async fn killed_in_mid_turn_it_goes_on_without_its_client_once_it_has_the_key() {
    let mut stage = Stage::start().await;
    assert_eq!(stage.post().await.head.status(), 202);
    within("the prompt arrives", stage.scripted.reached(Route::Prompt, 1)).await;
    stage.kill().await;
    stage.run(OTHER_KEY).await;
    let polls = stage.scripted.seen(Route::Status).len();
    assert_eq!(stage.warnings(), 1);
    stage.kill().await;
    assert_eq!(stage.scripted.seen(Route::Status).len(), polls, "polled as nobody");
    stage.run(KEY).await;
    assert_eq!(stage.warnings(), 1);
    within("it is polled", stage.scripted.reached(Route::Status, polls + 2)).await;
    stage.agent_ends();
    until("nothing is kept", || stage.files().is_empty()).await;
    assert_eq!(stage.scripted.seen(Route::Prompt).len(), 1);
    let told = stage.ask(EVENTS, "", "").await;
    assert_eq!(told.last_data("done")["status"], "success", "{told:?}");
}

#[tokio::test]
async fn killed_before_the_prompt_left_it_is_sent_once_and_by_itself() {
    let mut stage = Stage::start().await;
    stage.scripted.hold(Route::Open);
    let (answer, ()) = tokio::join!(stage.post(), stage.scripted.reached(Route::Open, 1));
    assert_eq!(answer.head.status(), 202, "{answer:?}");
    assert_eq!(stage.files().len(), 2);
    stage.kill().await;
    stage.scripted.release(Route::Open);
    stage.run(KEY).await;
    within("the prompt arrives", stage.scripted.reached(Route::Prompt, 1)).await;
    stage.agent_ends();
    until("nothing is kept", || stage.files().is_empty()).await;
    assert_eq!(stage.scripted.seen(Route::Prompt).len(), 1);
    let told = stage.ask(EVENTS, "", "").await;
    assert_eq!(told.last_data("done")["status"], "success", "{told:?}");
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_for_now_and_nothing_is_sent() {
    let stage = Stage::start().await;
    let folder = stage.data.path().join("sealed");
    fs::remove_dir(&folder).unwrap();
    fs::write(&folder, "in its place").unwrap();
    let refused = stage.post().await;
    let head = &refused.head;
    assert_eq!((head.status(), head.one("x-afterbay-error")), (503, Some("SEAL_UNAVAILABLE")));
    assert!(head.one("retry-after").is_some());
    assert!(stage.scripted.all_seen().is_empty());
    fs::remove_file(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    assert_eq!(stage.post().await.head.status(), 202);
}
