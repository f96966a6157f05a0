//! Clients on a turn that runs: all of them on the same one, which is held in its middle. What
//! came before must be delivered while nothing follows; then something happens to the client's
//! connection, to the daemon or to the turn; then the rest must come.

use std::net::SocketAddr;

use futures_util::future::join_all;
use serde_json::json;

use super::super::client::Client;
use super::super::client_hop::{ClientHop, Plan};
use super::super::frames::{Frame, Frames};
use super::super::http::Request;
use super::super::oracle::{self, Verdict};
use super::super::reading::{LIMIT, Reading, compare};
use super::behind::Behind;
use super::cast::{Cast, Reader, Torn};
use super::table::{Cell, Column};

/// What happens in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Nothing.
    Live,
    /// A hop cuts each client's connection within an event.
    Cut,
    /// The daemon is killed and started again.
    Restart,
    /// The turn is stopped.
    Cancel,
}

/// The event within which connections are cut.
const TORN: usize = 3;

/// One client with what stands between it and the daemon.
#[derive(Debug)]
struct Place {
    reader: Reader,
    hop: Option<ClientHop>,
    /// `None` if the client is not installed.
    reading: Option<Reading>,
    /// How many events it must have while the turn is held.
    before: usize,
}

/// Where one execution is read.
pub(crate) fn url(address: SocketAddr, client: &Client) -> String {
    let execution = client.execution.as_deref().expect("an execution id");
    format!("http://{address}/agents/run/stream?executionId={execution}")
}

/// Plays it through with all clients.
pub(crate) async fn play(cast: &Cast, behind: &mut Behind, act: Act) -> Column {
    let (name, marker) = match act {
        Act::Live => ("live", "turn-1"),
        Act::Cut => ("cut", "turn-2"),
        Act::Restart => ("restart", "turn-3"),
        Act::Cancel => ("cancel", "turn-4"),
    };
    let (mut reference, frames) = behind.held_turn(marker).await;
    let mut places = Vec::new();
    for reader in Reader::ALL {
        places.push(place(cast, behind.address(), &reference, reader, act).await);
    }
    let had = join_all(places.iter_mut().map(Place::has_what_is_there)).await;
    let verdict = happen(behind, act, &mut reference, frames).await;
    oracle::check_frames(marker, &reference.seen, verdict);
    let ends = places.iter_mut().map(|place| place.has_all(&reference.seen));
    let ends = join_all(ends).await;
    let cells = places.iter().zip(had.into_iter().zip(ends));
    let cells =
        cells.map(|(place, (had, all))| (place.reader, had.map_or_else(Cell::Failed, |()| all)));
    Column::new(name, cells.collect())
}

async fn place(
    cast: &Cast,
    daemon: SocketAddr,
    reference: &Client,
    reader: Reader,
    act: Act,
) -> Place {
    let mut before = reference.seen.len();
    let hop = if act == Act::Cut {
        before -= usize::from(reader.torn() != Torn::AskedForAgain);
        Some(ClientHop::start(daemon, [Plan::Cut { event: TORN, more: 20 }]).await)
    } else {
        None
    };
    let address = hop.as_ref().map_or(daemon, ClientHop::address);
    let reading = cast.start(reader, &url(address, reference), None);
    Place { reader, hop, reading, before }
}

/// What happens, until the reference has the whole turn.
async fn happen(
    behind: &mut Behind,
    act: Act,
    reference: &mut Client,
    mut frames: Frames,
) -> Verdict {
    if act == Act::Cancel {
        let path = format!("/agents/sessions/{}/abort", reference.turn.session);
        let abort = Request::post(path, &json!({})).send(behind.address()).await;
        assert_eq!(abort.expect("the daemon answers").status, 200);
    } else {
        if act == Act::Restart {
            behind.restart_daemon().await;
        }
        behind.go_on(&reference.turn.marker);
    }
    reference.read(&mut frames).await;
    reference.run().await;
    if act == Act::Cancel { Verdict::Cancelled } else { Verdict::Completed }
}

impl Place {
    async fn has_what_is_there(&mut self) -> Result<(), String> {
        let Some(reading) = &mut self.reading else { return Ok(()) };
        reading.has(self.before).await.map_err(|why| format!("while the turn is held: {why}"))?;
        let Some(hop) = &self.hop else { return Ok(()) };
        hop.cut_and_back(LIMIT).await
    }

    /// The cell, when the client has ended.
    async fn has_all(&mut self, seen: &[Frame]) -> Cell {
        let Some(reading) = &mut self.reading else { return Cell::Skipped };
        let lines = match reading.ends().await {
            Ok(lines) => lines,
            Err(why) => return Cell::Failed(why),
        };
        let (end, whole) = (self.reader.end(), compare(&lines, seen, self.reader.end()));
        let torn = self.hop.as_ref().map_or(Torn::AskedForAgain, |_| self.reader.torn());
        if torn == Torn::AskedForAgain || (torn == Torn::Either && whole.is_ok()) {
            return whole.into();
        }
        let mut seen = seen.to_vec();
        seen.remove(TORN - 1);
        match compare(&lines, &seen, end) {
            Ok(()) => Cell::Less(
                "all but the event that the cut tears: this client takes an id as seen before its \
                 event is whole, and asks for what follows",
            ),
            Err(why) => Cell::Failed(why),
        }
    }
}
