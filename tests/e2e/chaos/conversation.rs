//! One conversation: its turns one after the other, each with everybody who takes part.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::{OptionFuture, join_all};
use http::StatusCode;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use super::log_reader::LogReader;
use super::plan::{Conversation, Guest, Scene, Turn};
use super::reader::{Figures, Outcome, Reader};
use super::world::Progress;
use crate::e2e::client_hop::ClientHop;
use crate::e2e::frames::Frame;
use crate::e2e::http::Request;

/// How one client fared.
#[derive(Debug)]
pub(super) struct Fared {
    pub(super) outcome: Outcome,
    pub(super) execution: Option<String>,
    pub(super) seen: Vec<Frame>,
    pub(super) figures: Figures,
    pub(super) cuts: usize,
}

/// A turn that was played.
#[derive(Debug)]
pub(super) struct Played<'a> {
    pub(super) turn: &'a Turn,
    /// The starter first.
    pub(super) clients: Vec<Fared>,
    /// Whether somebody asked to stop it.
    pub(super) stopped: bool,
    /// Kills and crashes before anybody had heard that the box has it.
    pub(super) blows: usize,
}

/// A conversation that was played.
#[derive(Debug)]
pub(super) struct Told<'a> {
    pub(super) turns: Vec<Played<'a>>,
    /// Turns that were tried while another one ran, with how that went.
    pub(super) intruders: Vec<(Turn, Fared)>,
    /// What the reader of the session's log saw.
    pub(super) log: Option<Vec<Frame>>,
}

/// Plays `conversation` against the daemon at `daemon`.
pub(super) async fn play<'a>(
    conversation: &'a Conversation,
    daemon: SocketAddr,
    progress: &Progress,
) -> Told<'a> {
    let session = conversation.scenes.first().and_then(|scene| scene.turn.session.as_deref());
    let guest = session.zip(conversation.log_reader.as_ref());
    let turn = conversation.scenes.first().map(|scene| &scene.turn);
    let reader = guest.zip(turn).map(|((session, guest), turn)| (session, guest, turn));
    let hop = OptionFuture::from(reader.map(|(_, guest, _)| hop(guest, daemon))).await;
    let mut reader = reader
        .zip(hop.as_ref())
        .map(|((session, guest, turn), hop)| LogReader::new(session, turn, guest, hop.address()));
    let over = reader.as_ref().map(LogReader::over);
    let mut told = Told { turns: Vec::new(), intruders: Vec::new(), log: None };
    let turns = async {
        for scene in &conversation.scenes {
            let went_well = play_scene(scene, daemon, progress, &mut told).await;
            if !went_well {
                break;
            }
        }
        // Whoever was left out counts as done.
        let left_out = conversation.scenes.len() - told.turns.len();
        (0..2 * left_out).for_each(|_| progress.step());
        if let Some(over) = over {
            over.cancel();
        }
    };
    let reading = OptionFuture::from(reader.as_mut().map(LogReader::run));
    let ((), _) = tokio::join!(turns, reading);
    told.log = reader.map(|reader| reader.seen);
    told
}

async fn hop(guest: &Guest, daemon: SocketAddr) -> ClientHop {
    ClientHop::start(daemon, guest.cuts.iter().copied()).await
}

/// Plays one turn; says whether the next one may follow.
async fn play_scene<'a>(
    scene: &'a Scene,
    daemon: SocketAddr,
    progress: &Progress,
    told: &mut Told<'a>,
) -> bool {
    let Scene { turn, starter, others, abort_after, intruder } = scene;
    let hops = join_all([starter].into_iter().chain(others).map(|guest| hop(guest, daemon))).await;
    let guests = [starter].into_iter().chain(others).zip(&hops);
    let mut readers: Vec<_> =
        guests.map(|(guest, hop)| Reader::new(turn, guest, hop.address())).collect();
    let count = readers[0].count.subscribe();
    let blows_before = progress.blows();
    let mut first = count.clone();
    let first_frame = async {
        // The sender lives in the reader, which may be over before it has seen anything.
        let _over = first.wait_for(|count| *count > 0).await.is_err();
        progress.step();
        progress.blows() - blows_before
    };
    let reading = async {
        let outcomes = join_all(readers.iter_mut().map(Reader::run)).await;
        // With the readers goes what the others wait for.
        let ends = readers.into_iter().zip(outcomes).zip(&hops);
        ends.map(|((reader, outcome), hop)| fared(reader, outcome, hop)).collect::<Vec<_>>()
    };
    let stopping = OptionFuture::from(abort_after.map(|after| stop(turn, after, &count, daemon)));
    let intruding = OptionFuture::from(intruder.then(|| intrude(turn, &count, daemon)));
    let (clients, blows, _, intruded) = tokio::join!(reading, first_frame, stopping, intruding);
    progress.step();
    let went_well = clients[0].outcome == Outcome::Done;
    told.turns.push(Played { turn, clients, stopped: abort_after.is_some(), blows });
    told.intruders.extend(intruded.flatten());
    went_well
}

fn fared(reader: Reader<'_>, outcome: Outcome, hop: &ClientHop) -> Fared {
    let Reader { execution, seen, figures, .. } = reader;
    Fared { outcome, execution, seen, figures, cuts: hop.seen().cuts }
}

type Count = tokio::sync::watch::Receiver<usize>;

/// Asks to stop the turn once `after` events were seen, until somebody has answered.
async fn stop(turn: &Turn, after: usize, count: &Count, daemon: SocketAddr) {
    let mut count = count.clone();
    let over = count.wait_for(|count| *count >= after).await.is_err();
    if over {
        return;
    }
    let session = turn.session.as_deref().unwrap_or_default();
    let path = format!("/agents/sessions/{session}/abort");
    let mut tries = interval(Duration::from_millis(60));
    tries.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // As long as the turn is read, somebody can stop it.
    while count.has_changed().is_ok() {
        tries.tick().await;
        let request = turn.dressed(Request::post(path.as_str(), &json!({})));
        let Ok(answer) = request.send(daemon).await else { continue };
        match answer.status {
            StatusCode::OK => return,
            StatusCode::NOT_FOUND | StatusCode::TOO_MANY_REQUESTS => {}
            status if status.is_server_error() => {}
            status => panic!("stop {}: {status}", turn.label),
        }
    }
}

/// Tries to begin another turn on the session while this one runs.
async fn intrude(turn: &Turn, count: &Count, daemon: SocketAddr) -> Option<(Turn, Fared)> {
    count.clone().wait_for(|count| *count > 0).await.ok()?;
    let intruder = turn.intruder();
    let guest = Guest { cuts: Vec::new(), hasty: 0, seed: 1 };
    let hop = hop(&guest, daemon).await;
    let fared = {
        let mut reader = Reader::new(&intruder, &guest, hop.address()).intruding();
        let outcome = reader.run().await;
        fared(reader, outcome, &hop)
    };
    Some((intruder, fared))
}
