//! HTTP/2 on the way: clients that speak it over TLS to a proxy, and a proxy that speaks it to the
//! daemon. What is there comes through while nothing follows, and the whole turn is whole.
//!
//! `AFTERBAY_HOPS=200` reads turns of so many parts and prints how far behind a direct reader the
//! events came.

use super::super::client::{Client, Turn, Way};
use super::super::oracle::{self, Verdict};
use super::super::reading::{Line, Reading, compare};
use super::measure;
use super::proxy::{Hop, Proxy};
use super::set::{Set, Settings};
use super::shown::{self, Seen};

/// Where the client's execution is read through the hop.
fn url(hop: &Hop, client: &Client) -> String {
    format!("https://{}{}", hop.listen, path(client))
}

fn path(client: &Client) -> String {
    let execution = client.execution.as_deref().expect("an execution id");
    format!("/agents/executions/{execution}/events")
}

/// The two clients, each of which speaks HTTP/2 or fails.
fn start(url: &str, hop: &Hop) -> [Reading; 2] {
    let certificate = hop.certificate();
    let trusted = certificate.to_str().expect("a path");
    let curl = ["--http2", "--cacert", trusted];
    [
        Reading::script("curl_client.py", &[&[url, ""], &curl[..]].concat()),
        Reading::script("http2.mjs", &[url, "", trusted]),
    ]
}

#[tokio::test]
async fn what_is_there_comes_over_http_2_while_nothing_follows() {
    for proxy in Proxy::HTTP2 {
        let set = Set::for_waiting_turns().await;
        let Some(hop) = Hop::start(proxy, set.daemon.address()).await else { continue };
        let mut direct = set.client(Turn::new("turn-1", "parts=4 tool=1 step=50ms wait=answer"));
        let mut frames = direct.open(Way::SamePost).await.expect("the turn starts").stream();
        direct.read_until(&mut frames, "interaction").await;
        let mut readings = start(&url(&hop, &direct), &hop);
        for reading in &mut readings {
            let had = reading.has(direct.seen.len()).await;
            assert_eq!(had, Ok(()), "{proxy}: while the turn is held");
        }
        set.simbox.answer_waiting();
        direct.read(&mut frames).await;
        for mut reading in readings {
            let lines = reading.ends().await.expect("the client ends");
            assert_eq!(compare(&lines, &direct.seen, "closed"), Ok(()), "{proxy}");
        }
        shown::check(&set, &direct, Verdict::Completed, Seen::Last).await;
    }
}

/// Prints the figures; that everything came is all that it holds. Both clients are the same program,
/// the direct one over cleartext HTTP/2.
#[tokio::test]
async fn over_http_2_events_come_as_they_come_to_a_direct_reader() {
    let parts = measure::number("AFTERBAY_HOPS", 20);
    for proxy in Proxy::HTTP2 {
        let set = Set::with(Settings::default()).await;
        let Some(hop) = Hop::start(proxy, set.daemon.address()).await else { continue };
        let mut client =
            set.client(Turn::new("turn-1", &format!("parts={parts} step=50ms start=1s")));
        let mut frames = client.open(Way::SamePost).await.expect("the turn starts").stream();
        let near = format!("http://{}{}", set.daemon.address(), path(&client));
        let [_, mut far] = start(&url(&hop, &client), &hop);
        let mut near = Reading::script("http2.mjs", &[&near, ""]);
        client.read(&mut frames).await;
        oracle::check_frames("turn-1", &client.seen, Verdict::Completed);
        let mut told = Vec::new();
        for reading in [&mut far, &mut near] {
            let lines = reading.ends().await.expect("the client ends");
            assert_eq!(compare(&lines, &client.seen, "closed"), Ok(()), "{proxy}");
            told.extend(lines.last().cloned());
        }
        let [Line::End { first_byte, times: far, .. }, Line::End { times: near, .. }] = &told[..]
        else {
            panic!("no times: {told:?}")
        };
        let first_byte = first_byte.expect("a time");
        // The beginning was there before either of them.
        let mut behind: Vec<f64> =
            far.iter().zip(near).skip(1).map(|(far, near)| far - near).collect();
        behind.sort_by(f64::total_cmp);
        let (median, most) = (behind[behind.len() / 2], behind[behind.len() - 1]);
        println!(
            "{proxy}: the first byte after {first_byte:.1} ms; {} events, behind a direct reader \
             by {median:.2} ms (median), {most:.2} ms (most)",
            behind.len(),
        );
    }
}
