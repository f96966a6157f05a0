//! A box that moves: what comes after goes to where it is, and nothing more to where it was.

use afterbay::upstream::connect::Connect;
use afterbay::upstream::endpoint::Endpoint;
use tokio::sync::watch;

use super::super::support::certificates::Authority;
use super::super::support::scripted_box::{Route, ScriptedBox};
use super::super::support::tls_hop::TlsHop;
use super::{Ways, trusting};

/// Asks once by each client, and acts once.
async fn ask(ways: &Ways) {
    assert_eq!(ways.called().await.expect("an answer"), 200);
    assert_eq!(ways.acted().await.expect("an answer"), 200);
    assert_eq!(ways.passed().await.head.one("x-afterbay-error"), None);
}

/// How often each client has asked this box.
fn asked(scripted: &ScriptedBox) -> [usize; 3] {
    [Route::Status, Route::Open, Route::Other].map(|route| scripted.seen(route).len())
}

fn endpoint(url: &str) -> Endpoint {
    url.parse().expect(url)
}

#[tokio::test]
async fn a_box_that_moved_is_followed_and_its_old_place_hears_nothing_more() {
    let (old, new) = (ScriptedBox::start().await, ScriptedBox::start().await);
    let place = watch::Sender::new(endpoint(&old.base()));
    let ways = Ways::along(place.subscribe(), &Connect::default()).await;
    ask(&ways).await;
    ask(&ways).await;
    assert_eq!((asked(&old), asked(&new)), ([2; 3], [0; 3]));
    place.send_replace(endpoint(&new.base()));
    ask(&ways).await;
    assert_eq!((asked(&old), asked(&new)), ([2; 3], [1; 3]));
    // Whoever told of the move may be gone.
    drop(place);
    ask(&ways).await;
    assert_eq!((asked(&old), asked(&new)), ([2; 3], [2; 3]));
}

#[tokio::test]
async fn a_box_may_move_behind_tls_and_below_a_path() {
    let (authority, old, new) =
        (Authority::new(), ScriptedBox::start().await, ScriptedBox::start().await);
    let hop = TlsHop::before(new.address(), &authority.vouches_for(&["localhost"])).await;
    let place = watch::Sender::new(endpoint(&old.base()));
    let ways = Ways::along(place.subscribe(), &trusting(&authority)).await;
    ask(&ways).await;
    place.send_replace(endpoint(&hop.url("localhost")));
    ask(&ways).await;
    assert_eq!((asked(&old), asked(&new), hop.shaken()), ([1; 3], [1; 3], 3));
    place.send_replace(endpoint(&format!("{}/below/", hop.url("localhost"))));
    ways.passed().await;
    let seen = new.seen(Route::Other);
    let last = seen.last().expect("a request");
    assert_eq!(last.path, "/below/somewhere");
    assert_eq!(last.headers["host"], format!("localhost:{}", hop.address.port()));
    assert_eq!(asked(&old), [1; 3]);
}
