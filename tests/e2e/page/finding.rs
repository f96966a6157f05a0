//! Which sessions there are, and finding one: by search, filters and keys, in the light and in the dark.

use super::operator::{Operator, row};

const SHOWN: &str =
    "[...document.querySelectorAll('tbody .id')].map((id) => id.textContent).join()";

/// Waits until exactly these sessions are listed, in this order.
async fn listed(operator: &mut Operator, ids: &[&str]) {
    let ids: Vec<_> = ids.iter().map(|marker| format!("session-of-{marker}")).collect();
    let shown = format!("{SHOWN} === '{}'", ids.join(","));
    operator.tab.until(&format!("listed: {ids:?}"), &shown).await;
}

#[tokio::test]
async fn sessions_are_listed_with_how_they_stand_and_found_by_search_and_filters() {
    let Some(mut operator) = Operator::arrives(&[]).await else { return };
    operator.run("turn-1", "parts=3").await;
    operator.run("turn-2", "parts=2 fail=OUT_OF_TOKENS").await;
    operator.begin("turn-3").await;
    operator.enter().await;
    listed(&mut operator, &["turn-3", "turn-2", "turn-1"]).await;
    let cells = |marker: &str| {
        let row = row(&format!("session-of-{marker}"));
        format!("[...{row}.cells].map((cell) => cell.textContent).join('|')")
    };
    let completed = operator.tab.text(&cells("turn-1")).await;
    let words: Vec<_> = completed.split('|').collect();
    assert_eq!((words[1], words[2], words[5], words[6]), ("default", "idle", "poll", "completed"));
    let failed = operator.tab.text(&cells("turn-2")).await;
    assert!(failed.contains("|failed "), "{failed}");
    let waiting = operator.tab.text(&cells("turn-3")).await;
    let words: Vec<_> = waiting.split('|').collect();
    assert!(words[2] == "waiting" && !words[3].is_empty() && !words[4].is_empty(), "{waiting}");
    operator.tab.picture("sessions").await;

    for (selector, value, ids) in [
        ("[aria-label=Outcome]", "failed", &["turn-2"][..]),
        ("[aria-label=Outcome]", "completed", &["turn-1"]),
        ("[aria-label=Outcome]", "", &["turn-3", "turn-2", "turn-1"]),
        ("[aria-label=State]", "busy", &["turn-3"]),
        ("[aria-label=State]", "idle", &["turn-2", "turn-1"]),
        ("[aria-label=State]", "", &["turn-3", "turn-2", "turn-1"]),
        ("[aria-label=Box]", "default", &["turn-3", "turn-2", "turn-1"]),
    ] {
        operator.tab.choose(selector, value).await;
        listed(&mut operator, ids).await;
    }
    operator.tab.press("/").await;
    operator.tab.type_in("of-turn-2").await;
    listed(&mut operator, &["turn-2"]).await;
    operator.tab.type_in("xyz").await;
    listed(&mut operator, &[]).await;
    operator
        .tab
        .until(
            "it is told",
            "document.querySelector('.note').textContent === 'No session is like that.'",
        )
        .await;
    operator.leaves().await;
}

#[tokio::test]
async fn keys_go_through_the_list_and_every_control_has_a_name() {
    let Some(mut operator) = Operator::arrives(&[]).await else { return };
    operator.run("turn-1", "parts=1").await;
    operator.run("turn-2", "parts=1").await;
    operator.enter().await;
    listed(&mut operator, &["turn-2", "turn-1"]).await;
    for (key, id) in [("j", "turn-2"), ("j", "turn-1"), ("j", "turn-1"), ("k", "turn-2")] {
        operator.tab.press(key).await;
        let open =
            format!("document.querySelector('.session h2').textContent === 'session-of-{id}'");
        operator.tab.until(&format!("{key} opens {id}"), &open).await;
    }
    operator.tab.press("?").await;
    operator.tab.until("the keys are told", "document.querySelector('dialog[open] kbd')").await;
    operator.tab.press("Escape").await;
    operator.tab.until("they are gone", "!document.querySelector('dialog')").await;
    let usable = operator.tab.usable().await;
    assert!(usable.len() > 10, "{usable:?}");
    let nameless: Vec<_> = usable.iter().filter(|(_, name)| name.trim().is_empty()).collect();
    assert!(nameless.is_empty(), "{nameless:?} of {usable:?}");
    operator.tab.press("Escape").await;
    operator.tab.until("none is open", "document.querySelector('.nothing')").await;
    operator.leaves().await;
}

#[tokio::test]
async fn it_is_dark_or_light_as_the_system_or_the_reader_wants_and_fits_a_narrow_window() {
    let Some(mut operator) = Operator::arrives(&[]).await else { return };
    let client = operator.run("turn-1", "parts=2").await;
    operator.enter().await;
    operator.open(&client.turn.session).await;
    operator.has(client.last_id()).await;
    let ground = "getComputedStyle(document.body).backgroundColor";
    operator.tab.prefer("light").await;
    let light = operator.tab.text(ground).await;
    operator.tab.picture("light").await;
    operator.tab.prefer("dark").await;
    let dark = operator.tab.text(ground).await;
    operator.tab.picture("dark").await;
    assert_ne!(light, dark);
    operator.tab.click("header button[title^=Looks]").await;
    assert_eq!(operator.tab.text(ground).await, light, "the reader wants it light");
    operator.tab.go(&format!("http://{}/?again", operator.set.daemon.operators())).await;
    operator.tab.until("the list stands", "document.querySelector('.sessions table')").await;
    assert_eq!(operator.tab.text(ground).await, light, "it is forgotten");

    operator.tab.widen(420).await;
    operator.open(&client.turn.session).await;
    operator.tab.picture("narrow").await;
    let seen = |it: &str| format!("document.querySelector('{it}').offsetParent !== null");
    assert_eq!(operator.tab.value(&seen(".sessions")).await, false, "the list is in the way");
    operator.tab.click(".back").await;
    operator.tab.until("the list is back", &seen(".sessions table")).await;
    operator.leaves().await;
}
