//! The live tail: over a restart, through a hundred thousand events, past names that nobody told of.

use serde_json::Value;

use super::super::client::Client;
use super::super::daemon;
use super::history;
use super::operator::Operator;

/// What a client saw, as the page shows it.
fn seen(client: &Client) -> Vec<(u64, String)> {
    client.seen.iter().map(|frame| (frame.id, frame.event.clone())).collect()
}

#[tokio::test]
async fn it_goes_on_over_a_restart_with_every_event_once() {
    let Some(mut operator) = Operator::arrives(&[]).await else { return };
    let reading = operator.reads("turn-1", "parts=50 tool=2 step=100ms");
    operator.enter().await;
    operator.open(&reading.session).await;
    for lives in 1..=2 {
        let before = operator.count().await;
        operator.has_more_than(before + 5).await;
        operator.set.daemon.kill();
        operator
            .tab
            .until("it is told", "document.querySelector('.stream-state').dataset.state !== 'live'")
            .await;
        operator.set.daemon.restart().await;
        operator
            .tab
            .until(
                &format!("life {lives} is followed"),
                "document.querySelector('.stream-state').textContent === 'live'",
            )
            .await;
    }
    let client = reading.whole().await;
    operator.has(client.last_id()).await;
    assert_eq!(operator.rows().await, seen(&client));
    operator
        .tab
        .until("its end is told", "document.querySelector('dd[data-word=completed]')")
        .await;
    operator.leaves().await;
}

#[tokio::test]
async fn it_may_be_filtered_and_begun_anew_while_events_come() {
    let Some(mut operator) = Operator::arrives(&[]).await else { return };
    let reading = operator.reads("turn-1", "parts=60 tool=2 step=50ms");
    operator.enter().await;
    operator.open(&reading.session).await;
    operator.has_more_than(3).await;
    operator.tab.click(".tail input").await;
    for letter in ["p", "a", "r", "t"] {
        operator.tab.type_in(letter).await;
    }
    for from in ["now", "0", "now"] {
        operator.tab.choose("[aria-label='From where']", from).await;
    }
    // Only what comes from now on is there, and of that only what fits.
    let earlier = operator.count().await;
    operator.has_more_than(earlier).await;
    let first = operator.tab.value("Number(document.querySelector('.row .id').textContent)").await;
    assert!(first.as_u64().is_some_and(|first| first > 3), "{first}");
    operator.tab.value(CLEAR).await;
    operator.tab.choose("[aria-label='From where']", "0").await;
    let client = reading.whole().await;
    operator.has(client.last_id()).await;
    assert_eq!(operator.rows().await, seen(&client));
    operator.leaves().await;
}

const CLEAR: &str = "(() => { const it = document.querySelector('.tail input'); it.value = ''; \
    it.dispatchEvent(new Event('input')); })()";

#[tokio::test]
async fn an_event_is_shown_whole_and_a_filter_finds_some() {
    let Some(mut operator) = Operator::arrives(&[]).await else { return };
    let client = operator.run("turn-1", "parts=3 tool=2 big=64KB").await;
    operator.enter().await;
    operator.open(&client.turn.session).await;
    operator.has(client.last_id()).await;
    for place in [0, client.seen.len() - 1] {
        operator.tab.click(&format!(".row[data-place='{place}']")).await;
        let frame = &client.seen[place];
        operator
            .tab
            .until(
                "it is shown",
                "document.querySelector('.event-detail pre').textContent.startsWith('{')",
            )
            .await;
        operator
            .tab
            .until(
                "it is this one",
                &format!(
                    "document.querySelector('.event-detail h4').textContent === '{} {}'",
                    frame.id, frame.event
                ),
            )
            .await;
        let shown =
            operator.tab.text("document.querySelector('.event-detail pre').textContent").await;
        let shown: Value = serde_json::from_str(&shown).expect("JSON");
        assert_eq!(shown, frame.data);
    }
    operator.tab.picture("event").await;
    operator.tab.press("ArrowUp").await;
    let before = &client.seen[client.seen.len() - 2];
    operator
        .tab
        .until(
            "the one above",
            &format!(
                "document.querySelector('.event-detail h4').textContent.startsWith('{} ')",
                before.id
            ),
        )
        .await;

    operator.tab.click(".tail input").await;
    operator.tab.type_in("BASH").await;
    let tools = client.seen.iter().filter(|frame| frame.data["part"]["tool"] == "bash").count();
    assert!(tools > 0 && tools < client.seen.len(), "{tools}");
    operator.has(tools as u64).await;
    operator.leaves().await;
}

#[tokio::test]
async fn a_session_of_a_hundred_thousand_events_scrolls_without_a_blank() {
    let folder = tempfile::tempdir().expect("a data folder");
    history::write(folder.path()).await;
    let data = Some(folder.path().to_owned());
    let settings = daemon::Settings { data, ..daemon::Settings::default() };
    let Some(mut operator) = Operator::before(settings).await else { return };
    operator.enter().await;
    operator.open(history::SESSION).await;
    operator.has(history::EVENTS).await;
    let figures = operator.tab.value(WALK).await;
    println!("frames while scrolling through {} events: {figures}", history::EVENTS);
    assert_eq!(figures["blanks"], 0, "{figures}");
    assert_eq!(figures["wrong"], 0, "{figures}");
    assert!(figures["mostElements"].as_u64().expect("a number") < 150, "{figures}");
    operator.tab.picture("hundred-thousand").await;
    // Names that an EventSource was not told of are there, too: each event has its place.
    operator.tab.click(".tail input").await;
    operator.tab.type_in(history::RARE).await;
    operator.has(history::RARE_EVENTS).await;
    operator.leaves().await;
}

/// Walks through the list in 400 steps; at each, what stands in the middle is the event of that place.
const WALK: &str = "(async () => {
  const rows = document.querySelector('.rows');
  const box = rows.getBoundingClientRect();
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const gaps = [];
  let [blanks, wrong, mostElements] = [0, 0, 0];
  for (let step = 0; step < 400; step += 1) {
    const begun = performance.now();
    rows.scrollTop = (rows.scrollHeight - rows.clientHeight) * ((step * 131) % 400) / 399;
    await frame();
    await frame();
    gaps.push((performance.now() - begun) / 2);
    const row = document.elementFromPoint(box.x + 300, box.y + box.height / 2)?.closest('.row');
    if (!row) blanks += 1;
    else if (Number(row.firstChild.textContent) !== Number(row.dataset.place) + 1) wrong += 1;
    mostElements = Math.max(mostElements, rows.querySelectorAll('.row').length);
  }
  gaps.sort((a, b) => a - b);
  const at = (part) => Math.round(gaps[Math.floor(part * (gaps.length - 1))] * 10) / 10;
  return { blanks, wrong, mostElements, medianMs: at(0.5), p99Ms: at(0.99), worstMs: at(1) };
})()";
