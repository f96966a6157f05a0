//! The Sandbox API's part of the configuration.

use std::time::Duration;

use super::{check_only_mistake, load, with};

const API: [&str; 2] = ["--api", "https://api.example/v"];

#[test]
fn an_api_needs_no_box_and_asks_for_nothing_else() {
    let config = load(&API, [], None).unwrap().config;
    assert!(config.boxes.is_empty());
    let api = config.api.expect("an API");
    assert_eq!(api.endpoint.to_string(), "https://api.example/v");
    assert_eq!((api.networks.len(), api.acquire), (0, None));
    let both = with(&API, []).unwrap().config;
    assert_eq!((both.boxes.len(), both.api.is_some()), (1, true));
    assert!(with(&[], []).unwrap().config.api.is_none());
}

#[test]
fn networks_and_the_time_for_creates_are_read() {
    let given = ["--api-networks", "10.0.0.0/8,fd00::/8", "--acquire-retry"];
    let api = |more: &[&str]| {
        let line = [&API[..], &given, more].concat();
        load(&line, [], None).unwrap().config.api.expect("an API")
    };
    let usual = api(&[]);
    let networks: Vec<_> = usual.networks.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "fd00::/8"]);
    assert_eq!(usual.acquire, Some(Duration::from_secs(25)));
    assert_eq!(api(&["--acquire-budget", "10s"]).acquire, Some(Duration::from_secs(10)));
    let off = [&API[..], &["--acquire-budget", "10s"]].concat();
    assert_eq!(load(&off, [], None).unwrap().config.api.expect("an API").acquire, None);
}

#[test]
fn what_would_be_ignored_or_cannot_work_is_a_mistake() {
    for (line, parts) in [
        (&["--acquire-retry"][..], ["--acquire-retry", "Sandbox API"]),
        (&["--api-networks", "10.0.0.0/8"], ["--api-networks", "Sandbox API"]),
        (&["--acquire-budget", "1s"], ["--acquire-budget", "Sandbox API"]),
        (&["--api", "https://a@api.example"], ["--api", "user or password"]),
        (&["--api", "api.example"], ["--api", "is not a URL"]),
    ] {
        check_only_mistake(with(line, []), &parts);
    }
    let of_api = |more: &[&str]| load(&[&API[..], more].concat(), [], None);
    check_only_mistake(of_api(&["--api-networks", "10.0.0.1/8"]), &["`10.0.0.1/8`", "10.0.0.0/8"]);
    check_only_mistake(of_api(&["--kind", "tangle"]), &["--kind", "no URL is given"]);
    check_only_mistake(of_api(&["--acquire-retry=yes"]), &["--acquire-retry", "yes"]);
    let own = ["--api", "http://localhost:8788"];
    check_only_mistake(load(&own, [], None), &["--api", "afterbay itself"]);
}

#[test]
fn where_clients_are_sent_must_be_known() {
    let of_api = |more: &[&str]| load(&[&API[..], more].concat(), [], None);
    for listen in ["0.0.0.0:8788", "[::]:8788"] {
        check_only_mistake(of_api(&["--listen", listen]), &[listen, "`public-url`"]);
        let told = ["--listen", listen, "--public-url", "https://bay.example"];
        assert!(of_api(&told).is_ok(), "{listen}");
    }
    assert!(of_api(&["--listen", "192.0.2.1:8788"]).is_ok());
}
