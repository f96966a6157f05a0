//! Who is let in, and what is seen where nothing is yet.

use super::operator::Operator;

const TOKEN: &str = "sessionStorage.getItem('afterbay.token')";

#[tokio::test]
async fn without_a_token_it_is_asked_for_and_a_wrong_one_is_told() {
    let Some(mut operator) = Operator::arrives(&[]).await else { return };
    // Also where the address was copied in part.
    operator.tab.go("about:blank").await;
    operator.tab.go(&format!("http://{}/#token=1f2e", operator.set.daemon.operators())).await;
    let tab = &mut operator.tab;
    tab.until("it is asked for", "document.activeElement.id === 'token'").await;
    tab.picture("entry").await;
    tab.type_in(&"0".repeat(64)).await;
    tab.press("Enter").await;
    tab.until(
        "it is told",
        "document.querySelector('[role=alert]').textContent.includes('not the one')",
    )
    .await;
    assert_eq!(tab.value(TOKEN).await, serde_json::Value::Null, "a wrong token is kept");

    let token = operator.token();
    let tab = &mut operator.tab;
    tab.type_in(&token).await;
    tab.press("Enter").await;
    tab.until(
        "nothing is there yet",
        "document.querySelector('.note').textContent.startsWith('No session yet. Clients')",
    )
    .await;
    let told = tab.text("document.querySelector('.note code').textContent").await;
    assert_eq!(told, format!("http://{}", operator.set.daemon.address()));
    operator.tab.picture("empty").await;
    // For this tab, and as long as it stands.
    operator.tab.go(&format!("http://{}/?again", operator.set.daemon.operators())).await;
    operator
        .tab
        .until("it is let in again", "document.querySelector('.ready').textContent === 'ready'")
        .await;
    operator.leaves().await;
}

#[tokio::test]
async fn the_printed_address_lets_in_without_keeping_the_token_in_sight_and_a_new_token_asks_anew()
{
    let Some(mut operator) = Operator::arrives(&[]).await else { return };
    operator.enter().await;
    let shown = operator.tab.text("location.href + document.documentElement.outerHTML").await;
    assert!(!shown.contains(&operator.token()), "the token is in sight: {shown}");

    operator.set.daemon.kill();
    operator
        .tab
        .until(
            "it is told",
            "document.querySelector('.trouble').textContent.startsWith('UNREACHABLE')",
        )
        .await;
    operator.tab.picture("unreachable").await;
    std::fs::remove_file(operator.set.daemon.data().join("admin.token")).expect("a token");
    operator.set.daemon.restart().await;
    operator
        .tab
        .until(
            "it is asked for",
            "document.querySelector('[role=alert]').textContent.includes('no longer accepted')",
        )
        .await;
    operator.enter().await;
    operator.leaves().await;
}
