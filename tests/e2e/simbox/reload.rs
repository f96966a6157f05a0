//! The configuration is read anew on SIGHUP while a stream is open: it goes on, what can change
//! changes, and a mistake changes nothing.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::super::client::{Client, Turn, Way};
use super::super::daemon;
use super::super::frames::Stop;
use super::super::http::Request;
use super::super::oracle::{self, Verdict};
use super::super::wait;
use super::set::{Set, Settings};

const LIMIT: Duration = Duration::from_secs(60);

/// Own tokens, and the box's credentials. None may stand in a log line.
const OLD: &str = "canary-old-token-0123456789";
const NEW: &str = "canary-new-token-0123456789";
const SHORT: &str = "canary-short";
const FIRST: &str = "canary-first-of-the-box";
const SECOND: &str = "canary-second-of-the-box";

/// The program before a box, and the files that it is configured by.
struct Story {
    set: Set,
    folder: TempDir,
    reloads: f64,
}

impl Story {
    async fn begin() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let environment: Vec<(&'static str, PathBuf)> = vec![
            ("AFTERBAY_CONFIG", path("afterbay.toml")),
            ("AFTERBAY_TOKENS_FILE", path("tokens")),
            ("AFTERBAY_BOX_CREDENTIAL_FILE", path("credential")),
        ];
        write(&folder, "afterbay.toml", "[telemetry]\nlog_level = \"warn\"\n");
        write(&folder, "tokens", OLD);
        write(&folder, "credential", &format!("Bearer {FIRST}"));
        let canaries = [OLD, NEW, SHORT, FIRST, SECOND].map(str::to_owned).to_vec();
        let daemon = daemon::Settings { environment, canaries, ..daemon::Settings::default() };
        let tokens = vec![FIRST.to_owned(), SECOND.to_owned()];
        let set = Set::with(Settings { tokens, daemon, ..Settings::default() }).await;
        Self { set, folder, reloads: 0.0 }
    }

    /// Has it read its configuration anew, and waits until it has.
    async fn reload(&mut self) {
        self.reloads += 1.0;
        self.set.daemon.signal(Signal::HUP);
        let daemon = &self.set.daemon;
        wait::until(LIMIT, "it has read its configuration anew", || async {
            (daemon.metric("afterbay_reloads_total").await >= self.reloads).then_some(())
        })
        .await;
    }

    /// The statuses for requests with the old and with the new token.
    async fn let_in(&self) -> [u16; 2] {
        let mut statuses = [0; 2];
        for (status, token) in statuses.iter_mut().zip([OLD, NEW]) {
            let ask = Request::get("/health").header("x-afterbay-token", token);
            *status = ask.send(self.set.daemon.address()).await.expect("an answer").status.as_u16();
        }
        statuses
    }

    fn client(&self, marker: &str, script: &str, token: &str) -> Client {
        let authorization = Some(format!("Bearer {token}"));
        self.set.client(Turn { authorization, ..Turn::new(marker, script) })
    }
}

fn write(folder: &TempDir, name: &str, text: &str) {
    fs::write(folder.path().join(name), text).expect("write a file");
}

#[tokio::test]
async fn a_stream_goes_on_over_a_reload_and_a_mistake_changes_nothing() {
    let mut story = Story::begin().await;
    let mut reader = story.client("turn-1", "parts=4 wait=answer", OLD);
    let mut frames = reader.open(Way::SamePost).await.expect("the turn starts").stream();
    reader.read_until(&mut frames, "interaction").await;
    assert_eq!(story.let_in().await, [200, 401]);

    write(&story.folder, "tokens", NEW);
    write(&story.folder, "credential", &format!("Bearer {SECOND}"));
    write(&story.folder, "afterbay.toml", "[telemetry]\nlog_level = \"info\"\n[poll]\nrate = 7\n");
    story.reload().await;
    assert_eq!(story.let_in().await, [401, 200]);
    let said = story.set.daemon.stderr();
    let restart = said.lines().find(|line| line.contains("from the next start on"));
    assert!(restart.is_some_and(|line| line.contains("[\"poll\"]")), "{said}");
    assert!(said.contains(" INFO "), "the level is another one: {said}");

    write(&story.folder, "tokens", SHORT);
    write(&story.folder, "afterbay.toml", "[telemetry]\nlog_level = \"warn\"\n");
    story.reload().await;
    assert_eq!(story.let_in().await, [401, 200], "all is as it was");
    let said = story.set.daemon.stderr();
    let refused = said.lines().filter(|line| line.contains("all stays as it was"));
    assert_eq!(refused.count(), 1, "{said}");

    story.set.simbox.answer_waiting();
    assert_eq!(reader.read(&mut frames).await, Stop::Ended);
    oracle::check_frames("turn-1", &reader.seen, Verdict::Completed);
    assert_eq!(reader.streams, 1, "one stream, over all reloads");

    // What the box takes from now on is in no turn's hands but in the file.
    story.set.simbox.accept_tokens(vec![SECOND.to_owned()]);
    let mut next = story.client("turn-2", "parts=2", NEW);
    next.run().await;
    oracle::check(&next, story.set.daemon.address(), Verdict::Completed).await;
}
