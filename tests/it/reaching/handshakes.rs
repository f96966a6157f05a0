//! Handshakes: whose certificate is accepted, and what is said of one that is not. Whatever fails
//! here has failed before the first byte of a request.

use afterbay::limits;
use afterbay::upstream::Error;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use super::super::raw::{DEADLINE, RawBox};
use super::super::support::certificates::{Authority, Identity};
use super::super::support::scripted_box::{Route, ScriptedBox};
use super::super::support::tls_hop::TlsHop;
use super::{Ways, trusting};

/// A box behind TLS that is trusted, under `host`.
async fn check_accepted(host: &str, names: &[&str], asked_for: Option<&str>) {
    let (authority, scripted) = (Authority::new(), ScriptedBox::start().await);
    let hop = TlsHop::before(scripted.address(), &authority.vouches_for(names)).await;
    let ways = Ways::to(&hop.url(host), &trusting(&authority)).await;
    assert_eq!(ways.called().await.expect("an answer"), 200, "{host}");
    assert_eq!(ways.acted().await.expect("an answer"), 200, "{host}");
    assert_eq!(ways.passed().await.head.one("x-afterbay-error"), None, "{host}");
    assert_eq!((hop.shaken(), scripted.seen(Route::Other).len()), (3, 1), "{host}");
    for name in hop.names() {
        assert_eq!(name.as_deref(), asked_for, "{host}");
    }
}

#[tokio::test]
async fn a_box_is_who_its_certificate_says_by_name_or_address() {
    check_accepted("localhost", &["localhost"], Some("localhost")).await;
    check_accepted("LocalHost", &["box.example", "localhost"], Some("localhost")).await;
    // An address is never asked for by name.
    check_accepted("127.0.0.1", &["127.0.0.1"], None).await;
}

/// A box that says that it is `who` under `host`, to a client that trusts `authority`.
async fn check_refused(who: &Identity, host: &str, authority: &Authority, why: &str) {
    let raw_box = RawBox::listen().await;
    let hop = TlsHop::before(raw_box.addr, who).await;
    let ways = Ways::to(&hop.url(host), &trusting(authority)).await;
    ways.are_closed(why, host).await;
    assert_eq!((hop.came() >= 3, hop.shaken()), (true, 0), "{why}");
    assert!(raw_box.is_untouched().await, "{why}");
}

#[tokio::test]
async fn a_certificate_that_proves_nothing_ends_the_way_before_a_request() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let here = ["localhost", "127.0.0.1"];
    check_refused(&theirs.vouches_for(&here), "localhost", &ours, "unknown issuer").await;
    check_refused(&ours.vouches_within(&here, 1990..1999), "localhost", &ours, "has expired").await;
    check_refused(&ours.vouches_within(&here, 2400..2401), "localhost", &ours, "not valid yet")
        .await;
    let other = ours.vouches_for(&["box.example", "192.0.2.1"]);
    for host in ["localhost", "127.0.0.1"] {
        check_refused(&other, host, &ours, "for another name").await;
    }
}

#[tokio::test]
async fn a_box_that_does_not_speak_tls_is_told_from_one_that_is_not_there() {
    let (authority, scripted) = (Authority::new(), ScriptedBox::start().await);
    let plain = format!("https://{}", scripted.address());
    let ways = Ways::to(&plain, &trusting(&authority)).await;
    ways.are_closed("does not speak TLS", "127.0.0.1").await;
    assert!(scripted.seen(Route::Other).is_empty() && scripted.seen(Route::Open).is_empty());
    scripted.stop().await;
    Ways::to(&plain, &trusting(&authority)).await.are_closed("refused", "127.0.0.1").await;
}

#[tokio::test]
async fn a_tls_box_that_is_taken_for_a_plain_one_gives_no_answer() {
    let (authority, raw_box) = (Authority::new(), RawBox::listen().await);
    let hop = TlsHop::before(raw_box.addr, &authority.vouches_for(&["localhost"])).await;
    let ways = Ways::to(&format!("http://{}", hop.address), &trusting(&authority)).await;
    // The request has left: whether it was understood nobody knows.
    assert!(matches!(ways.acted().await, Err(Error::NoAnswer(_))));
    assert_eq!(ways.passed().await.head.one("x-afterbay-error"), Some("BOX_ERROR"));
    assert!(raw_box.is_untouched().await);
}

#[tokio::test]
async fn a_box_that_never_ends_its_handshake_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://{}", silent.local_addr().expect("an address"));
    let ways = Ways::to(&url, &trusting(&Authority::new())).await;
    let begun = Instant::now();
    let both = async { tokio::join!(ways.acted(), ways.passed()) };
    let (acted, passed) = timeout(DEADLINE, both).await.expect("both are given up");
    assert!(begun.elapsed() >= limits::PASS_CONNECT_TIMEOUT);
    assert!(matches!(acted, Err(Error::Connect(told)) if told == "no connection within 5s"));
    assert_eq!(passed.head.one("x-afterbay-error"), Some("BOX_UNREACHABLE"));
}
