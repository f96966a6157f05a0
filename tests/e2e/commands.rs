//! The commands that ask a running daemon, as processes of their own, before a simulated box: what they
//! print, how they end, and that a tail goes on over restarts.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::NamedTempFile;

use super::client::Turn;
use super::daemon;
use super::process::Process;
use super::simbox::set::{Set, Settings};
use super::wait;

const LIMIT: Duration = Duration::from_secs(60);

/// A command on the daemon's data folder.
fn command(set: &Set, arguments: &[&str]) -> Command {
    let mut command = Command::new(daemon::program());
    command.args(arguments).arg("--data-dir").arg(set.daemon.data());
    command.env_clear().env("TERM", "xterm").stdin(Stdio::null());
    command
}

/// Runs one to its end, off the test's own thread, which serves the box.
async fn run(set: &Set, arguments: &[&str]) -> (Option<i32>, String, String) {
    ended(command(set, arguments)).await
}

async fn ended(mut command: Command) -> (Option<i32>, String, String) {
    let ended = tokio::task::spawn_blocking(move || command.output());
    let ended = wait::within(LIMIT, "the command ends", ended).await.expect("no panic");
    let Output { status, stdout, stderr } = ended.expect("start the command");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

/// A command that runs on while the test does things, with its output in a file.
struct Running {
    process: Process,
    output: NamedTempFile,
}

impl Running {
    fn start(set: &Set, arguments: &[&str]) -> Self {
        let output = NamedTempFile::new().expect("a file");
        let process = Process::start(&daemon::program(), |command| {
            command.args(arguments).arg("--data-dir").arg(set.daemon.data());
            command.env_clear().stdin(Stdio::null());
            command.stdout(output.reopen().expect("the file")).stderr(Stdio::null());
        });
        Self { process, output }
    }

    fn text(&self) -> String {
        fs::read_to_string(self.output.path()).expect("its output")
    }

    async fn says(&self, what: &str) {
        let said = || std::future::ready(self.text().contains(what).then_some(()));
        wait::until(LIMIT, what, said).await;
    }

    async fn ends(&mut self) -> Option<i32> {
        let mut code = None;
        wait::until(LIMIT, "it ends", || {
            code = self.process.ended().and_then(|status| status.code());
            std::future::ready(code.map(drop))
        })
        .await;
        code
    }
}

async fn set() -> Set {
    Set::with(Settings::default()).await
}

#[tokio::test]
async fn status_and_sessions_tell_how_it_goes_and_end_with_their_codes() {
    let set = set().await;
    let (code, told, _) = run(&set, &["status"]).await;
    assert_eq!(code, Some(0), "{told}");
    for part in ["ready\n", "default (tangle)", "sessions  0", "running   0", "mode      poll"] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
    assert!(!told.contains('\u{1b}'), "a pipe has no colours");
    let mut client = set.client(Turn::new("turn-1", "parts=2"));
    client.run().await;
    let (code, told, _) = run(&set, &["sessions"]).await;
    let rows: Vec<_> = told.lines().collect();
    assert_eq!((code, rows.len()), (Some(0), 2), "{told}");
    assert!(rows[0].starts_with("SESSION ") && rows[1].contains(" completed "), "{told}");
    let (_, told, _) = run(&set, &["sessions", "--state", "busy", "--json"]).await;
    let json: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(json["sessions"].as_array().map(Vec::len), Some(0));
    let (_, told, _) = run(&set, &["status", "--json"]).await;
    let json: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((&json["sessions"], &json["readiness"]["ready"]), (&1.into(), &true.into()));
    for (arguments, code) in [
        (&["sessions", "--state", "odd"][..], 2),
        (&["sessions", "--limit", "0"], 2),
        (&["sessions", "--page", "odd"], 1),
        (&["tail", "no-such-session"], 1),
        (&["tail", "a/b"], 2),
        (&["tail", "ftp://bay.example/x"], 2),
        (&["tail", "s", "--from", "x"], 2),
        (&["status", "--admin", "127.0.0.1:1"], 3),
    ] {
        let (ended, _, told) = run(&set, arguments).await;
        assert_eq!(ended, Some(code), "{arguments:?}: {told}");
        assert!(!told.is_empty());
    }
}

/// Its port may be anybody's by then: nothing is shown to whoever listens there.
#[tokio::test]
async fn what_a_killed_daemon_has_left_leads_nowhere() {
    let mut set = set().await;
    assert_eq!(run(&set, &["health"]).await.0, Some(0));
    let (clients, operators) = (set.daemon.address(), set.daemon.operators());
    set.daemon.kill();
    let bind = |address: SocketAddr| std::net::TcpListener::bind(address).expect("its port");
    let strangers = [bind(clients), bind(operators)];
    for arguments in [&["status"][..], &["sessions"], &["tail", "s"], &["turn", "parts=1"]] {
        let (code, _, told) = run(&set, arguments).await;
        assert_eq!(code, Some(3), "{arguments:?}: {told}");
        assert!(told.contains("no afterbay serves"), "{arguments:?}: {told}");
    }
    // An engine that runs a health check knows no third answer.
    let (code, _, told) = run(&set, &["health"]).await;
    assert_eq!(code, Some(1), "{told}");
    for stranger in strangers {
        stranger.set_nonblocking(true).expect("a socket");
        let asked = stranger.accept().expect_err("nobody came");
        assert_eq!(asked.kind(), std::io::ErrorKind::WouldBlock);
    }
    set.daemon.restart().await;
    let (code, _, told) = run(&set, &["status"]).await;
    assert_eq!(code, Some(0), "{told}");
}

#[tokio::test]
async fn a_tail_shows_each_event_once_over_two_restarts_of_the_daemon() {
    let mut set = Set::for_waiting_turns().await;
    let mut client = set.client(Turn::new("turn-1", "parts=6 step=50ms wait=answer"));
    let session = client.turn.session.clone();
    let mut frames =
        client.open(super::client::Way::SamePost).await.expect("the turn starts").stream();
    client.read_until(&mut frames, "execution.started").await;
    let mut raw = Running::start(&set, &["tail", &session, "--raw", "--until-idle"]);
    let lines = Running::start(&set, &["tail", &session, "--from", "2"]);
    for tail in [&raw, &lines] {
        tail.says("interaction").await;
    }
    for _ in 0..2 {
        set.daemon.restart().await;
    }
    set.simbox.answer_waiting();
    client.run().await;
    assert_eq!(raw.ends().await, Some(0));
    let expected: Vec<String> =
        client.seen.iter().map(|frame| format!("id: {}", frame.id)).collect();
    let text = raw.text();
    let ids: Vec<&str> = text.lines().filter(|line| line.starts_with("id: ")).collect();
    assert_eq!(ids, expected, "each once, in order");
    lines.says("  done ").await;
    let text = lines.text();
    let numbers: Vec<u64> = text
        .lines()
        .map(|line| line.split_whitespace().next().and_then(|id| id.parse().ok()).expect(line))
        .collect();
    assert_eq!(numbers, (2..=expected.len() as u64).collect::<Vec<_>>(), "{text}");
    // What was tailed is what was sent, to the byte.
    let mut transcript = NamedTempFile::new().expect("a file");
    transcript.write_all(raw.text().as_bytes()).expect("a transcript");
    let mut verify = Command::new(daemon::program());
    verify.args(["verify", "--transcript"]).arg(transcript.path());
    let (code, told, _) = ended(verify).await;
    assert_eq!(code, Some(0), "{told}");
}

#[tokio::test]
async fn a_turn_is_sent_and_followed_to_its_verdict() {
    let set = set().await;
    let (code, told, said) = run(&set, &["turn", "parts=2 step=20ms", "--session", "s-1"]).await;
    assert_eq!(code, Some(0), "{told}{said}");
    assert!(told.lines().last().is_some_and(|line| line.ends_with("success")), "{told}");
    assert!(said.contains("session s-1, execution ") && !said.contains("quiet"), "{said}");
    let (code, text, _) = run(&set, &["turn", "--text", "parts=1"]).await;
    let (_, json, _) = run(&set, &["sessions", "--json"]).await;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let newest =
        json["sessions"][0]["newestTurn"]["executionId"].as_str().expect("an id").to_owned();
    let answer = set.simbox.account().turn(&newest).and_then(|turn| turn.final_text.text.clone());
    assert_eq!((code, text.trim_end()), (Some(0), answer.as_deref().expect("a text")));
    let (code, told, _) = run(&set, &["turn", "fail=BROKEN"]).await;
    assert_eq!(code, Some(1), "{told}");
    let (code, _, said) = run(&set, &["turn", "x", "--box", "none"]).await;
    assert!(code == Some(1) && said.contains("BOX_UNKNOWN"), "{said}");
    let (code, _, _) = run(&set, &["turn", "x", "--url", "http://127.0.0.1:1"]).await;
    assert_eq!(code, Some(3));
}

/// The output of a command on a terminal of its own, both streams as they come.
async fn on_a_terminal(set: &Set, line: &str, no_color: bool) -> String {
    let program = daemon::program();
    let line = format!("{} {line} --data-dir {}", program.display(), set.daemon.data().display());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    script.env_clear().env("TERM", "xterm").env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    if no_color {
        script.env("NO_COLOR", "1");
    }
    let (code, told, _) = ended(script).await;
    assert_eq!(code, Some(0), "{told}");
    told
}

#[tokio::test]
async fn colours_and_progress_are_for_terminals_that_want_them() {
    if !Path::new("/usr/bin/script").exists() {
        eprintln!("skipped: there is no `script` that opens a terminal");
        return;
    }
    let set = set().await;
    let told = on_a_terminal(&set, "status", false).await;
    assert!(told.starts_with("\u{1b}[32mready\u{1b}[0m"), "{told:?}");
    assert!(!on_a_terminal(&set, "status", true).await.contains('\u{1b}'));
    let told = on_a_terminal(&set, "turn 'quiet=2s'", false).await;
    assert!(told.contains("events, quiet 1s"), "{told:?}");
}

#[tokio::test]
async fn each_shell_gets_its_completions_and_bash_takes_them() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let mut command = Command::new(daemon::program());
        command.args(["completions", shell]);
        let (code, script, _) = ended(command).await;
        assert!(code == Some(0) && script.contains("until-idle"), "{shell}");
    }
    let mut bash = Command::new("bash");
    let program = daemon::program();
    let line = format!("source <({} completions bash) && complete -p afterbay", program.display());
    bash.args(["-euc", &line]);
    let (code, told, said) = ended(bash).await;
    assert!(code == Some(0) && told.contains("_afterbay"), "{told}{said}");
}
