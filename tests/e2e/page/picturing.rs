//! A turn's picture: what its clients and polls did, and what of that is known after a restart.

use super::super::client::Way;
use super::operator::Operator;

/// What the picture says to whoever does not see it.
const TOLD: &str = "document.querySelector('.picture svg').getAttribute('aria-label')";

/// Waits until it tells of each of these.
async fn told(operator: &mut Operator, words: &[&str]) {
    for word in words {
        let says = format!("{TOLD}.includes('{word}')");
        operator.tab.until(&format!("the picture tells of {word}"), &says).await;
    }
}

#[tokio::test]
async fn it_shows_clients_that_were_cut_and_came_back_beside_states_polls_and_events() {
    let Some(mut operator) = Operator::arrives(&[]).await else { return };
    let mut client = operator.begin("turn-1").await;
    operator.enter().await;
    operator.open(&client.turn.session).await;
    told(&mut operator, &["1 client came", "1 client was cut", "polls", "events"]).await;
    let frames = client.open(Way::Execution).await.expect("it comes back").stream();
    told(&mut operator, &["1 client came back", "1 stream open now"]).await;
    let states =
        "[...document.querySelectorAll('.picture .state')].map((it) => it.dataset.state).join()";
    let shown = operator.tab.text(states).await;
    assert!(shown.starts_with("accepted,") && shown.ends_with(",waiting"), "{shown}");
    operator.tab.picture("timeline").await;
    operator.tab.value("document.querySelector('.picture svg').focus()").await;
    operator.tab.press("ArrowRight").await;
    let moment = "/^\\d\\d:\\d\\d:\\d\\d \\+ /.test(document.querySelector('.at').textContent)";
    operator.tab.until("a moment is told", moment).await;
    drop(frames);

    // Another life knows when it came, and what has happened since.
    operator.set.daemon.kill();
    operator.set.daemon.restart().await;
    told(&mut operator, &["not known"]).await;
    operator.tab.until("it is hatched", "document.querySelector('.picture .unknown')").await;
    operator.tab.picture("timeline-after-restart").await;
    operator.set.simbox.answer_waiting();
    let completed = "document.querySelector('dd[data-word=completed]')";
    operator.tab.until("its end is told", completed).await;
    operator.set.daemon.kill();
    operator.set.daemon.restart().await;
    operator.enter().await;
    operator.open(&client.turn.session).await;
    let lost = "document.querySelector('.at').textContent.endsWith('no longer kept.')";
    operator.tab.until("it is told", lost).await;
    operator.leaves().await;
}
