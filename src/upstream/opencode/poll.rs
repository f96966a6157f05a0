//! One poll: the status first, then what waits for a person, then the messages.
//!
//! That order matters. Messages that are read after the status said idle hold everything the turn
//! has left, so a last word that came between two reads is never missed.
//!
//! The cursor's marks: `status`, `retry`, `started`, `i/…` and `k/…` (requests), `p/…` (parts of
//! unsettled messages), and `anchor` (the last settled message, and what all of them cost).

use tokio::time::Instant;

use super::api::Message;
use super::interactions::{self, Requests};
use super::prepare::Notes;
use super::status::{self, Now};
use super::transcript::{self, Anchor, Place};
use super::verdict;
use crate::credential::Credential;
use crate::upstream::client::BoxClient;
use crate::upstream::snapshot::pages::Pages;
use crate::upstream::snapshot::parts::{self, Moment};
use crate::upstream::{Activity, Answer, Bound, Depth, Ending, Error, Page, PollCursor, View};

/// The mark that the agent was seen at work.
const STARTED: &str = "started";
/// The mark of the last message that is never read again, behind what the messages up to there
/// cost: `0.25 msg_…`.
const ANCHOR: &str = "anchor";

pub(super) async fn poll(
    client: &BoxClient,
    who: Option<&Credential>,
    turn: &Bound,
    cursor: &PollCursor,
    depth: Depth,
) -> Result<Page, Error> {
    let notes = Notes::read(&turn.prepared)?;
    let place = Place { session: &turn.session, directory: &notes.directory };
    let mut pages = Pages::new(cursor);

    let now = status::read(client, who, place).await?;
    let requests = interactions::read(client, who, place, &notes.message, &now, &pages).await?;
    status::tell(&now, &mut pages);
    interactions::tell(&requests, place.session, &mut pages);

    let mut view = View { activity: activity(&now, &requests), ..View::default() };
    let mut messages_took = None;
    if depth == Depth::Messages || now.is_idle() || pages.has_changes() {
        let start = Instant::now();
        let (settled_cost, settled) = anchor_of(cursor);
        let id = settled.unwrap_or(&notes.message);
        let anchor = Anchor { id, prompt: &notes.message };
        let see = |messages: &[&Message<'_>]| tell(messages, settled_cost, &now, &mut pages);
        match transcript::read_from(client, who, place, anchor, see).await {
            Ok(Some((ending, answer))) => (view.ending, view.answer) = (ending, answer),
            Ok(None) => {}
            Err(Error::Gone) => view.activity = Activity::Gone,
            Err(error) => return Err(error),
        }
        messages_took = Some(start.elapsed());
    }
    view.started = pages.get(STARTED).is_some();
    Ok(Page { steps: pages.finish(), view, messages_took })
}

fn activity(now: &Now, requests: &Requests) -> Activity {
    match now {
        Now::Busy if requests.are_open() => Activity::Waiting,
        Now::Busy | Now::Retrying { .. } | Now::Idle => now.activity(),
    }
}

/// What the settled messages cost, and the last of them.
fn anchor_of(cursor: &PollCursor) -> (f64, Option<&str>) {
    let mark = cursor.get(ANCHOR).and_then(|mark| mark.split_once(' '));
    let read = mark.and_then(|(cost, id)| Some((cost.parse().ok()?, Some(id))));
    read.unwrap_or((0.0, None))
}

/// Tells the turn's messages since the anchor, and moves the anchor up.
fn tell(
    turn: &[&Message<'_>],
    settled_cost: f64,
    now: &Now,
    pages: &mut Pages<'_>,
) -> (Option<Ending>, Option<Answer>) {
    if let Some((last, earlier)) = turn.split_last() {
        pages.mark(STARTED, "1");
        for message in earlier {
            let moment = if message.is_completed() { Moment::Done } else { Moment::Working };
            parts::tell(&message.info.id, &message.parts, moment, pages);
        }
        let moment = if now.is_idle() { Moment::Done } else { Moment::Working };
        parts::tell(&last.info.id, &last.parts, moment, pages);
        settle(earlier, settled_cost, pages);
    }
    let ending = turn.last().and_then(|last| verdict::ending(last, now.is_idle()));
    (ending, verdict::answer(turn, settled_cost))
}

/// Moves the anchor over the messages that are complete, were sent as they are, and are followed
/// by another. The anchor is marked before the parts are forgotten: a crash between two steps may
/// leave marks that nobody needs, but never forgets one that is needed.
fn settle(earlier: &[&Message<'_>], settled_cost: f64, pages: &mut Pages<'_>) {
    let is_settled = |message: &&&Message<'_>| {
        message.is_completed() && parts::all_sent(&message.info.id, &message.parts, pages)
    };
    let settled: Vec<_> = earlier.iter().take_while(is_settled).collect();
    let Some(last) = settled.last() else { return };
    let cost: f64 = settled_cost + settled.iter().map(|message| message.cost()).sum::<f64>();
    pages.mark(ANCHOR, &format!("{cost} {}", last.info.id));
    for message in settled {
        for name in pages.names(&parts::marks_of(&message.info.id)) {
            pages.forget(&name);
        }
    }
}
