//! One poll: the status first, then the messages, then the result route if there is one.
//!
//! That order matters. Messages that are read after the status said that all is over hold
//! everything the turn has left, so a last word that came between two reads is never missed.
//!
//! The cursor's marks: `status`, `started`, `stale` (the status as it was before the turn was seen
//! at work), `past` (the session is older than the turn), `prompt` (its message id), `i/…`
//! (requests), `p/…` (parts of unsettled messages), `anchor` (the last settled message, and what
//! all of them cost), and `bad/…` (warnings that were told).

use tokio::time::Instant;

use super::message::Message;
use super::prepare::Notes;
use super::status::{self, Now, Outcome};
use super::transcript::{self, Known, OfTurn, Proof};
use super::{interactions, result, verdict};
use crate::credential::Credential;
use crate::limits;
use crate::upstream::client::BoxClient;
use crate::upstream::result_path::ResultPath;
use crate::upstream::snapshot::pages::{Pages, gap, unreadable};
use crate::upstream::snapshot::parts::{self, Moment};
use crate::upstream::{Activity, Answer, Bound, Depth, Ending, Error, Page, PollCursor, View};

/// The mark of the last status.
const STATUS: &str = "status";
/// The mark that the agent was seen at work.
const STARTED: &str = "started";
/// The mark of an end that the status told before the turn was seen at work.
const STALE: &str = "stale";
/// The mark that the session has messages from before the turn.
const PAST: &str = "past";
/// The mark of the prompt's message id.
const PROMPT: &str = "prompt";
/// The mark of the last message that is never read again, behind what the messages up to there
/// cost: `0.25 msg_…`.
const ANCHOR: &str = "anchor";
/// The mark that a message could not be read.
const BAD_MESSAGE: &str = "bad/message";
/// The mark that messages between two looks were not given.
const CUT: &str = "bad/cut";

pub(super) async fn poll(
    client: &BoxClient,
    result_path: Option<&ResultPath>,
    who: Option<&Credential>,
    turn: &Bound,
    cursor: &PollCursor,
    depth: Depth,
) -> Result<Page, Error> {
    let notes = Notes::read(&turn.prepared)?;
    let mut pages = Pages::new(cursor);
    let assigned = turn.execution.as_ref();
    let read = status::read(client, who, &turn.session, &turn.ids.execution, assigned).await;
    let now = match read {
        Ok(now) => now,
        Err(Error::Gone) => return Ok(gone(cursor)),
        Err(error) => return Err(error),
    };
    pages.mark(STATUS, &now.mark());
    if now.is_about_us() {
        interactions::tell(&now.outstanding, &turn.session, &mut pages);
    }
    mark_stale(&now, is_new(turn, &notes, &pages), &mut pages);
    if now.is_at_work() {
        pages.mark(STARTED, "1");
    }
    let mut page = Page::default();
    page.view.activity = now.activity();
    if depth == Depth::Messages || now.is_over() || pages.has_changes() {
        let start = Instant::now();
        let settled = Settled::of(cursor);
        let known = known(turn, &notes, cursor, &settled);
        let see = |of_turn: &OfTurn<'_, '_>| {
            if of_turn.has_past && pages.get(PAST).is_none() {
                pages.mark(PAST, "1");
            }
            let is_trusted = is_trusted(&now, cursor, is_new(turn, &notes, &pages), &pages);
            tell(of_turn, settled.cost, &now, is_trusted, &mut pages)
        };
        match transcript::read(client, who, &turn.session, known, see).await {
            Ok((ending, answer)) => (page.view.ending, page.view.answer) = (ending, answer),
            Err(Error::Gone) => page.view.activity = Activity::Gone,
            Err(error) => return Err(error),
        }
        page.messages_took = Some(start.elapsed());
    }
    let is_trusted = is_trusted(&now, cursor, is_new(turn, &notes, &pages), &pages);
    if is_trusted && now.is_over() && tells_an_end(&now) {
        pages.mark(STARTED, "1");
    }
    // Without trust, only a result that names our execution is ours, and only of a turn that the
    // messages show to be over.
    let may_tell = is_trusted || page.view.ending.is_some();
    if let Some(path) = result_path.filter(|_| now.is_over() && now.is_about_us() && may_tell)
        && let Some((ending, answer)) = result::read(client, path, who, turn, is_trusted).await
    {
        pages.mark(STARTED, "1");
        page.view.ending = Some(ending);
        page.view.answer = Some(merged(answer, page.view.answer.take()));
    }
    page.view.started = pages.get(STARTED).is_some();
    page.steps = pages.finish();
    Ok(page)
}

fn gone(cursor: &PollCursor) -> Page {
    let started = cursor.get(STARTED).is_some();
    let view = View { activity: Activity::Gone, started, ..View::default() };
    Page { view, ..Page::default() }
}

/// Whether the session is as new as the turn, as far as can be seen.
fn is_new(turn: &Bound, notes: &Notes, pages: &Pages<'_>) -> bool {
    !notes.knew(&turn.session) && pages.get(PAST).is_none()
}

/// Keeps an end that is told before the turn was seen at work, until another word is heard: a
/// status may lag behind the messages.
fn mark_stale(now: &Now, is_new: bool, pages: &mut Pages<'_>) {
    let print = now.print();
    if pages.get(STARTED).is_none() && !is_new && now.is_over() {
        pages.mark(STALE, &print);
    } else if pages.get(STALE).is_some_and(|stale| stale != print) {
        pages.forget(STALE);
    }
}

/// Whether the status cannot be about what was before the turn. Only what was seen before it was
/// read can tell that.
fn is_trusted(now: &Now, cursor: &PollCursor, is_new: bool, pages: &Pages<'_>) -> bool {
    let is_stale = pages.get(STALE).is_some_and(|stale| stale == now.print());
    is_new || (cursor.get(STARTED).is_some() && !is_stale)
}

/// A state that only work can have left behind.
fn tells_an_end(now: &Now) -> bool {
    now.is_about_us() && matches!(now.outcome(), Outcome::Failed | Outcome::Stopped)
}

/// The result's answer, with the messages' in what it leaves out.
fn merged(result: Answer, messages: Option<Answer>) -> Answer {
    let Answer { final_text, token_usage, total_cost_usd } = result;
    let messages = messages.unwrap_or_default();
    let has_text = !final_text.is_empty();
    Answer {
        final_text: if has_text { final_text } else { messages.final_text },
        token_usage: token_usage.or(messages.token_usage),
        total_cost_usd: total_cost_usd.or(messages.total_cost_usd),
    }
}

/// What is never read again.
struct Settled<'a> {
    /// What it cost, in US dollars.
    cost: f64,
    last: Option<&'a str>,
}

impl<'a> Settled<'a> {
    fn of(cursor: &'a PollCursor) -> Self {
        let mark = cursor.get(ANCHOR).and_then(|mark| mark.split_once(' '));
        let read =
            mark.and_then(|(cost, id)| Some(Self { cost: cost.parse().ok()?, last: Some(id) }));
        read.unwrap_or(Self { cost: 0.0, last: None })
    }
}

fn known<'a>(
    turn: &'a Bound,
    notes: &'a Notes,
    cursor: &'a PollCursor,
    settled: &Settled<'a>,
) -> Known<'a> {
    Known {
        settled: settled.last,
        told: Some(cursor),
        prompt: cursor.get(PROMPT),
        turn: turn.ids.turn.as_ref(),
        text: turn.ids.text,
        before: notes.last_of(&turn.session),
        knows_before: notes.holds(&turn.session),
        proof: Proof::Position,
    }
}

/// Tells the turn's messages since the anchor, and moves the anchor up.
fn tell(
    of_turn: &OfTurn<'_, '_>,
    settled_cost: f64,
    now: &Now,
    is_trusted: bool,
    pages: &mut Pages<'_>,
) -> (Option<Ending>, Option<Answer>) {
    if !of_turn.is_found {
        // The record does not show the turn yet; the state may say all the same how it went.
        return (verdict::ending(now, None, is_trusted), None);
    }
    if let Some(prompt) = of_turn.prompt {
        pages.mark(PROMPT, prompt);
    }
    if of_turn.has_unreadable && pages.get(BAD_MESSAGE).is_none() {
        pages.event(unreadable("message"), BAD_MESSAGE, "1");
    }
    if of_turn.is_cut && pages.get(CUT).is_none() {
        let message =
            "the box gives fewer messages than came since the last look; some are left out";
        pages.event(gap(message.to_owned()), CUT, "1");
    }
    let messages = of_turn.messages.as_slice();
    if let Some((last, earlier)) = messages.split_last() {
        pages.mark(STARTED, "1");
        for message in earlier {
            let is_done = message.is_closed() || now.is_over();
            let moment = if is_done { Moment::Done } else { Moment::Working };
            parts::tell(&message.id, &message.parts, moment, pages);
        }
        let moment = if now.is_over() { Moment::Done } else { Moment::Working };
        parts::tell(&last.id, &last.parts, moment, pages);
        settle(earlier, settled_cost, pages);
    }
    (verdict::ending(now, Some(of_turn), is_trusted), verdict::answer(messages, settled_cost))
}

/// Moves the anchor over the messages that are complete, were sent as they are, and are followed
/// by some others: the newest few are read each time anyway, and one of them may still be written
/// to, or be followed late by what belongs before the next. The anchor is marked before the parts
/// are forgotten: a crash between two steps may leave marks that nobody needs, but never forgets
/// one that is needed.
fn settle(earlier: &[&Message<'_>], settled_cost: f64, pages: &mut Pages<'_>) {
    let is_settled = |message: &&&Message<'_>| {
        message.is_closed() && parts::all_sent(&message.id, &message.parts, pages)
    };
    let old = earlier.len().saturating_sub(limits::UNSETTLED_MESSAGES);
    let settled: Vec<_> = earlier.iter().take(old).take_while(is_settled).collect();
    let Some(last) = settled.last() else { return };
    let cost = settled_cost + settled.iter().filter_map(|message| message.cost).sum::<f64>();
    pages.mark(ANCHOR, &format!("{cost} {}", last.id));
    for message in settled {
        for name in pages.names(&parts::marks_of(&message.id)) {
            pages.forget(&name);
        }
    }
}
