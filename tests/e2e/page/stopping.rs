//! What can be done from the page: stop a turn, take its events to a terminal, choose the log lines.

use std::process::Stdio;
use std::time::Duration;

use afterbay::simbox::State;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::super::http::Request;
use super::super::wait;
use super::operator::{Operator, at_the_box};

#[tokio::test]
async fn a_turn_is_stopped_only_when_it_is_meant() {
    let Some(mut operator) = Operator::arrives(&[]).await else { return };
    let client = operator.begin("turn-1").await;
    operator.enter().await;
    operator.open(&client.turn.session).await;
    let asked = "document.querySelector('dialog[open] h2')?.textContent === 'Cancel this turn?'";
    let closed = "!document.querySelector('dialog')";
    for no in ["Escape", "Enter"] {
        operator.tab.press("c").await;
        operator.tab.until("it asks", asked).await;
        operator.tab.picture("cancel").await;
        // The answer that stands ready keeps the turn.
        operator.tab.press(no).await;
        operator.tab.until("it is closed", closed).await;
    }
    let asked_for = "performance.getEntriesByType('resource').filter(({ name }) => \
        name.endsWith('/cancel')).length";
    assert_eq!(operator.tab.value(asked_for).await, 0, "stopped without a yes");
    assert_eq!(operator.set.told(&client).state, State::Waiting);
    operator.tab.click(".turn-bar .danger").await;
    operator.tab.until("it asks", asked).await;
    operator.tab.click("dialog .danger").await;
    at_the_box("the box stops it", || operator.set.told(&client).state == State::Aborted).await;
    operator
        .tab
        .until("its end is told", "document.querySelector('dd[data-word=cancelled]')")
        .await;
    operator
        .tab
        .until("it cannot be stopped twice", "document.querySelector('.turn-bar .danger').hidden")
        .await;
    operator.leaves().await;
}

#[tokio::test]
async fn a_stop_that_does_not_arrive_is_told_and_stays_told() {
    let Some(mut operator) = Operator::arrives(&[]).await else { return };
    let client = operator.begin("turn-1").await;
    operator.enter().await;
    operator.open(&client.turn.session).await;
    operator.tab.click(".turn-bar .danger").await;
    operator.tab.until("it asks", "document.querySelector('dialog[open] .danger')").await;
    operator.set.daemon.kill();
    operator.tab.click("dialog .danger").await;
    let told = "[...document.querySelectorAll('.session [role=alert]')].some((it) => \
        !it.hidden && it.textContent.startsWith('It was not cancelled: UNREACHABLE'))";
    operator.tab.until("it is told", told).await;
    operator.set.daemon.restart().await;
    let live = "document.querySelector('.stream-state').textContent === 'live'";
    operator.tab.until("it is followed again", live).await;
    assert_eq!(operator.tab.value(told).await, true, "it was told for a moment");
    assert_eq!(operator.set.told(&client).state, State::Waiting);
    operator.leaves().await;
}

#[tokio::test]
async fn its_events_are_taken_to_a_terminal_without_the_token() {
    let Some(mut operator) = Operator::arrives(&[]).await else { return };
    let client = operator.run("turn-1", "parts=3").await;
    operator.enter().await;
    operator.tab.allow_clipboard().await;
    operator.open(&client.turn.session).await;
    operator.has(client.last_id()).await;
    operator.tab.click(".turn-bar button:nth-of-type(2)").await;
    operator
        .tab
        .until(
            "it is told",
            "document.querySelector('.turn-bar .quiet').textContent.startsWith('Copied')",
        )
        .await;
    let command = operator.tab.text("navigator.clipboard.readText()").await;
    assert!(command.starts_with("curl ") && !command.contains(&operator.token()), "{command}");

    let mut shell = tokio::process::Command::new("sh");
    shell.args(["-c", &command]).env("AFTERBAY_ADMIN_TOKEN", operator.token());
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut running = shell.spawn().expect("a shell");
    let mut lines = BufReader::new(running.stdout.take().expect("its output")).lines();
    let mut names = Vec::new();
    wait::within(Duration::from_secs(30), "the command shows them", async {
        while names.last().map(String::as_str) != Some("done") {
            let line = lines.next_line().await.expect("its output").expect("it goes on");
            names.extend(line.strip_prefix("event: ").map(str::to_owned));
        }
    })
    .await;
    let seen: Vec<_> = client.seen.iter().map(|frame| frame.event.clone()).collect();
    assert_eq!(names, seen);
    operator.leaves().await;
}

#[tokio::test]
async fn other_log_lines_are_written_when_they_are_chosen() {
    let Some(mut operator) = Operator::arrives(&[]).await else { return };
    operator.enter().await;
    let level = "document.querySelector('[aria-label=\"Log level\"]').value";
    operator.tab.until("it is shown", &format!("{level} === 'info'")).await;
    operator.tab.choose("[aria-label='Log level']", "debug").await;
    let authorization = format!("Bearer {}", operator.token());
    wait::until(Duration::from_secs(30), "the program has it", || async {
        let asked = Request::get("/admin/log-level").header("authorization", &authorization);
        let told = asked.send(operator.set.daemon.operators()).await.ok()?.json().await.ok()?;
        (told["level"] == "debug").then_some(())
    })
    .await;
    operator.leaves().await;
}
