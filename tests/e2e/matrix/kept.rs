//! Clients on what is in the log: a turn that is over, one with a large event, one that comes in odd
//! pieces, and a session of which retention has dropped a part.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use super::super::client::{Client, Turn, WAYS, Way};
use super::super::frames::{Frame, Frames};
use super::super::http::Request;
use super::super::oracle::{self, Verdict};
use super::super::reading::compare;
use super::super::split_hop::{PLACES, SplitHop};
use super::super::wait;
use super::behind::Behind;
use super::cast::{Cast, Reader};
use super::running::url;
use super::table::{Cell, Column};

/// Lets all clients read `url` from behind `last` on, and compares.
async fn read(cast: &Cast, url: &str, last: Option<u64>, frames: &[Frame]) -> Vec<(Reader, Cell)> {
    let readings: Vec<_> =
        Reader::ALL.map(|reader| (reader, cast.start(reader, url, last))).into_iter().collect();
    let cells = readings.into_iter().map(|(reader, reading)| async move {
        let Some(mut reading) = reading else { return (reader, Cell::Skipped) };
        // Nothing but a 204 says that nothing was to come at all.
        let end = if frames.is_empty() { "closed" } else { reader.end() };
        let lines = reading.ends().await;
        (reader, lines.and_then(|lines| compare(&lines, frames, end)).into())
    });
    join_all(cells).await
}

/// A turn that is over, in the log.
async fn over(behind: &Behind, marker: &str, script: &str) -> Client {
    let mut client = Client::new(behind.address(), Turn::new(marker, script), &WAYS);
    client.run().await;
    oracle::check_frames(marker, &client.seen, Verdict::Completed);
    client
}

/// A GET at the end of a turn: each client is told that nothing more will come, and ends.
pub(crate) async fn finished(cast: &Cast, behind: &Behind) -> Column {
    let script = match behind {
        Behind::Simbox(_) => "parts=2",
        Behind::Opencode(_) => "[words=3]",
    };
    let client = over(behind, "turn-5", script).await;
    let url = url(behind.address(), &client);
    Column::new("finished", read(cast, &url, Some(client.last_id()), &[]).await)
}

/// An event of more than 8 MB in one line.
pub(crate) async fn huge(cast: &Cast, behind: &Behind) -> Column {
    let client = over(behind, "turn-6", "parts=1 big=4MB").await;
    let largest = client.seen.iter().map(|frame| frame.data_text().len()).max();
    assert!(largest >= Some(8 << 20), "{largest:?}");
    let cells = read(cast, &url(behind.address(), &client), None, &client.seen).await;
    Column::new("huge", cells)
}

/// Events that come in pieces, cut at every place around their beginnings.
pub(crate) async fn borders(cast: &Cast, behind: &Behind) -> Column {
    let client = over(behind, "turn-7", &format!("parts={PLACES}")).await;
    // Before the first event there may be less room than it takes to cut it first.
    assert!(client.seen.len() > PLACES);
    let hop = SplitHop::start(behind.address()).await;
    let cells = read(cast, &url(hop.address(), &client), None, &client.seen).await;
    Column::new("borders", cells)
}

/// Flags of a daemon that keeps one small turn of a session.
pub(crate) const FORGETFUL: [&str; 2] = ["--retention-session", "100KiB"];

/// A turn that is more than a [`FORGETFUL`] daemon keeps: some seconds later it is gone.
pub(crate) async fn to_be_forgotten(forgetful: &Behind) -> Client {
    over(forgetful, "turn-8", "parts=2 big=200KB").await
}

/// A cursor in what is gone: told exactly, then what is kept.
pub(crate) async fn expired(cast: &Cast, forgetful: &Behind, gone: &Client) -> Column {
    wait::until(Duration::from_secs(60), "the first turn has gone", || async {
        let trimmed = forgetful.daemon().metric("afterbay_retention_trims_total").await;
        (trimmed >= 1.0).then_some(())
    })
    .await;
    let address = forgetful.address();
    let turn = Turn { session: gone.turn.session.clone(), ..Turn::new("turn-9", "parts=3") };
    let mut kept = Client::new(address, turn, &[Way::RunStream]);
    kept.run().await;

    let after = 2;
    let path = format!("/agents/sessions/{}/events?until=idle", gone.turn.session);
    let request = Request::get(&path).header("last-event-id", after.to_string());
    let answer = request.send(address).await.expect("the daemon answers");
    let mut frames = Frames::of(answer);
    let mut seen = Vec::new();
    while let Ok(frame) = frames.next().await {
        seen.push(frame);
    }
    let (warning, rest) = seen.split_first().expect("a warning");
    let dropped = gone.last_id();
    assert_eq!((warning.id, warning.event.as_str()), (dropped, "warning"));
    assert_eq!(warning.data["code"], "EVENTS_EXPIRED");
    let bounds = (&warning.data["from"], &warning.data["to"]);
    assert_eq!(bounds, (&json!(after + 1), &json!(dropped)));
    assert_eq!(oracle::bytes_of(rest), oracle::bytes_of(&kept.seen));
    let url = format!("http://{}{path}", address);
    Column::new("expired", read(cast, &url, Some(after), &seen).await)
}
