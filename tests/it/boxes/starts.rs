//! Starts that are refused: a box, or the collector of traces, that is the program itself.

use std::net::TcpListener;

use super::super::support::daemon::Daemon;

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

async fn check(host: &str, key: &str, bound: &str, code: i32) {
    let port = free_port();
    let (url, address) = (format!("http://{host}:{port}/canary"), format!("{bound}:{port}"));
    let other = if key == "--listen" { "--admin" } else { "--listen" };
    let line = ["serve", "--box", &url, "--kind", "tangle", "--open", key, &address];
    let line = [&line[..], &[other, "127.0.0.1:0"]].concat();
    let ended = Daemon::start(&line, &[]).ended().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{host} {ended:?}");
    let told = ended.stderr.contains("box `default` would be afterbay itself");
    assert!(told && ended.stderr.contains(&address), "{host} {ended:?}");
    assert!(!ended.stderr.contains("canary"), "{ended:?}");
}

#[tokio::test]
async fn a_box_at_our_own_listener_is_a_mistake_in_the_configuration() {
    for key in ["--listen", "--admin"] {
        for host in ["127.0.0.1", "localhost", "0.0.0.0", "[::1]"] {
            check(host, key, "127.0.0.1", 2).await;
        }
    }
}

#[tokio::test]
async fn a_name_that_leads_to_our_own_listener_is_found_once_it_is_bound() {
    // Old ways to write 127.0.0.1, which no parser of addresses takes and every resolver does.
    for host in ["127.1", "2130706433"] {
        check(host, "--listen", "127.0.0.1", 1).await;
        check(host, "--listen", "0.0.0.0", 1).await;
        check(host, "--admin", "127.0.0.1", 1).await;
    }
}

#[tokio::test]
async fn a_collector_of_traces_at_our_own_listener_is_refused_too() {
    let port = free_port();
    let (url, address) = (format!("http://127.0.0.1:{port}"), format!("127.0.0.1:{port}"));
    let line = ["serve", "--box", "http://127.0.0.1:1", "--kind", "tangle", "--listen", &address];
    let line = [&line[..], &["--admin", "127.0.0.1:0", "--otlp-endpoint", &url]].concat();
    let ended = Daemon::start(&line, &[]).ended().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    let told = ended.stderr.contains("the collector of traces would be afterbay itself");
    assert!(told && ended.stderr.contains(&address), "{ended:?}");
}
