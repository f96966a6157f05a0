//! The box: what an adapter promises to the turn that drives it. One file per kind of box.
//!
//! An adapter speaks one box's dialect and decides nothing: it reports what it saw, and
//! `turn::Machine` judges. It holds no state of a turn. What it must know again at the next poll
//! stands in the [`PollCursor`], what it must know to find an unanswered dispatch in
//! [`Prepared`]; both are kept in the log by the driver, so any process can go on with the turn.
//!
//! # What every adapter promises
//! Of sending:
//! - `prepare` leaves no prompt at the box; run twice, it does no harm. It says [`Prepare::Forgotten`]
//!   if and only if an earlier turn was bound to a session that the box says it does not know.
//! - `dispatch` sends the prompt at most once a call. [`Dispatch::NotSent`] is said only if no byte of
//!   the request can have left, [`Dispatch::Refused`] only of the box's own no; whatever else went
//!   wrong, a gateway's page included, is [`Dispatch::Unanswered`].
//! - `find` sends no prompt. It says [`Found::Arrived`] if and only if the box shows the prompt, for
//!   any process that has the [`Prepared`]; an earlier prompt of the session is not the turn's.
//!   In a session that is gone the prompt is absent, or the answer is [`Error::Gone`].
//! - [`Redispatch::Deduped`] is said only of a box that runs a repeat under the same ids once.
//!
//! Of polling:
//! - `poll` is repeatable: with the same cursor and an unchanged box it gives the same events. Once
//!   all deltas are folded nothing is new, and whatever number of a page's steps is taken over,
//!   the next poll tells the rest. A [`PageStep`]'s events and its [`CursorDelta`] belong together
//!   in one append.
//! - The box's JSON passes through unchanged but for `event::WireJson`'s wire form, and what was
//!   told last of each part is what the box has. The deltas of a text make up the text. A part
//!   beyond [`crate::limits::SMALL_PART_BYTES`] is told at most ten times over, however it grows.
//! - [`View::started`] is false until the agent was seen, then stays; before it there is no
//!   [`View::ending`], whatever the session reads. An earlier turn of the session, how it ended
//!   included, leaves no trace in a later one's pages.
//! - What waits for a person is [`Activity::Waiting`], one `interaction`, and one
//!   `interaction.cancel` once it waits no more.
//! - A session that the box does not know is a page with [`Activity::Gone`] and without an ending.
//!
//! Of all calls:
//! - A wrong credential is [`Error::Unauthorized`], [`Vouched::No`] or a refusal; an answer that
//!   makes no sense is another [`Error`], never a page.
//! - No error text holds a credential, a URL's query, or anything of a body.

mod answer;
pub mod budget;
pub mod client;
pub mod connect;
mod connection;
pub mod cursor;
pub mod endpoint;
pub mod error;
pub mod opencode;
pub(crate) mod own_door;
mod prompt_headers;
pub mod reach;
pub mod reply;
pub mod result_path;
pub mod schedule;
mod snapshot;
pub mod stream;
pub mod tangle;
pub mod text_hash;
pub mod trust;
pub mod via;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::credential::Credential;
use crate::event::{Event, WireJson};
use crate::ids::{ExecutionId, SessionId, TurnId};
use crate::mode::BoxKind;
use crate::trace::context::TraceContext;
pub use cursor::{CursorDelta, PollCursor};
pub use error::Error;
pub use text_hash::TextHash;

/// The names under which a turn is known, fixed before anything is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnIds {
    /// What the client calls the session, if it said so.
    pub client_session: Option<SessionId>,
    /// What the box calls it, if an earlier turn of this session bound one.
    pub box_session: Option<SessionId>,
    /// The execution: the client's id, or one of ours.
    pub execution: ExecutionId,
    /// The client's turn id, if it gave one.
    pub turn: Option<TurnId>,
    /// The prompt's text as a hash, if the adapter knows a prompt again by that.
    pub text: Option<TextHash>,
}

/// A turn's request body and end-to-end headers, as the client sent them. Never in the log.
#[derive(Clone)]
pub struct Body {
    /// Headers to forward (no hop-by-hop ones, no `Last-Event-ID`, no `Accept-Encoding`).
    pub headers: HeaderMap,
    /// The JSON object, byte for byte.
    pub bytes: Bytes,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Body({} bytes)", self.bytes.len())
    }
}

/// What `prepare` found or opened at the box; kept in the log before the dispatch leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The box's session that the prompt will go to, if it is known before the dispatch.
    pub session: Option<SessionId>,
    /// What the adapter needs later to find, poll and cancel; at most
    /// [`crate::limits::MAX_PREPARED_BYTES`].
    pub notes: String,
}

/// A turn that the box has: everything that poll, find and cancel may need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The names we and the client use.
    pub ids: TurnIds,
    /// What `prepare` kept.
    pub prepared: Prepared,
    /// The session that the box assigned; polls go there and nowhere else.
    pub session: SessionId,
    /// The execution id that the box assigned, if it did.
    pub execution: Option<ExecutionId>,
}

/// A refusal that is the box's own answer to the client.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The box's status, 400 to 599.
    pub status: StatusCode,
    /// The box's end-to-end headers.
    pub headers: HeaderMap,
    /// The box's body, cut at [`crate::limits::MAX_REFUSAL_BYTES`].
    pub body: Bytes,
}

/// What `prepare` came to.
#[derive(Debug)]
pub enum Prepare {
    /// The dispatch may be written to the log and sent.
    Ready(Prepared),
    /// The box will not have this turn (wrong credential, unknown session, …).
    Refused(Refusal),
    /// The box does not know the session any more that an earlier turn was bound to: it would run
    /// the prompt without what was said before.
    Forgotten,
    /// The box asks for patience (429, 503), with its `Retry-After` if it gave one. The refusal is
    /// the answer if patience runs out.
    Later(Refusal, Option<Duration>),
    /// The box was not reached or gave no sensible answer; to be tried again.
    Failed(Error),
}

/// What became of the prompt.
#[derive(Debug)]
pub enum Dispatch {
    /// The box has it.
    Accepted(Accepted),
    /// The connection failed before the first byte left: repeat freely.
    NotSent(Error),
    /// The box asks for patience (429, 503) and has not taken it.
    Later(Refusal, Option<Duration>),
    /// The box said no.
    Refused(Refusal),
    /// It left, and no clear answer came: look for it before anything else.
    Unanswered(Error),
    /// The box has taken it without saying where: look for it, and never send it again.
    Unnamed(Error),
}

/// The box's word that it has the prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// The session that the box assigned.
    pub session: SessionId,
    /// The execution id that the box assigned, if it did.
    pub execution: Option<ExecutionId>,
    /// Frames read on the dispatch stream that open the turn, with their own data.
    pub frames: Vec<Event>,
    /// The end of a turn that was over before its stream could be dropped.
    pub ended: Option<Ended>,
}

/// How a very short turn ended, as its dispatch stream told.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// The box's own verdict.
    pub ending: Ending,
    /// What the agent said, as far as the stream told.
    pub answer: Answer,
    /// The box's own closing frames, each name once: they stand in the close-out in the place of
    /// ours.
    pub frames: Vec<Event>,
}

/// Whether an unanswered dispatch arrived.
#[derive(Debug)]
pub enum Found {
    /// It did.
    Arrived(Accepted),
    /// No trace of it so far.
    Absent(Boot),
}

/// Whether the box has been started anew since the turn was prepared: then it may have run the
/// prompt and forgotten it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boot {
    /// It surely has not.
    Same,
    /// It has.
    Changed,
    /// It does not tell.
    Unknown,
}

/// Whether a prompt that went unanswered, and is not found, may be sent once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redispatch {
    /// The box would run it twice.
    Never,
    /// The same ids are the same turn to the box as long as it has not been started anew.
    Deduped,
}

/// How much of the box one poll reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The status; the messages too only if the status moved or says that the turn is over.
    Status,
    /// The status and the messages.
    Messages,
}

/// One poll's worth.
#[derive(Debug, Default)]
pub struct Page {
    /// What changed, in order; each step is one atomic append.
    pub steps: Vec<PageStep>,
    /// What the box says about the turn.
    pub view: View,
    /// How long reading the messages took, if they were read.
    pub messages_took: Option<Duration>,
}

/// Events with the cursor movement that they belong to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PageStep {
    /// To be appended in this order; at most [`crate::limits::MAX_STEP_BYTES`] unless it is one
    /// event.
    pub events: Vec<Event>,
    /// What to fold into the cursor once they are durable.
    pub delta: CursorDelta,
}

/// What the box says about the turn at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct View {
    /// What the session is doing.
    pub activity: Activity,
    /// Whether the agent has been seen at work on this turn, now or earlier.
    pub started: bool,
    /// The box's own verdict, once its record of the turn is complete.
    pub ending: Option<Ending>,
    /// What the agent has said so far; `None` if the messages were not read.
    pub answer: Option<Answer>,
}

/// What a session is doing, whatever the box calls it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Activity {
    /// At work.
    #[default]
    Busy,
    /// The box waits to repeat a failed call of its own: neither idle nor failed.
    Retrying,
    /// It waits for a person.
    Waiting,
    /// Nothing runs.
    Idle,
    /// The box does not know the session (any more).
    Gone,
}

/// How the box says that the turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// With an answer.
    Completed,
    /// With the box's code, or `AGENT_FAILED`, and its message.
    Failed {
        /// `SCREAMING_SNAKE`.
        code: String,
        /// For people.
        message: String,
    },
    /// Somebody stopped it.
    Cancelled,
}

/// The agent's answer, for `result` and `done`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// The text parts of the last agent message, joined with nothing between.
    pub final_text: String,
    /// The box's own account of tokens, as it stands.
    pub token_usage: Option<WireJson>,
    /// The total cost in US dollars, as the box tells it.
    pub total_cost_usd: Option<f64>,
}

/// What the box says about a credential and a session.
#[derive(Debug, Clone)]
pub enum Vouched {
    /// The credential may read the session.
    Yes,
    /// The box refuses it.
    No(StatusCode),
    /// The box does not know the session: no permission follows from that.
    UnknownSession,
}

/// One kind of box. See the module's promises.
#[async_trait]
pub trait Upstream: Send + Sync + std::fmt::Debug {
    /// Which kind.
    fn kind(&self) -> BoxKind;

    /// The same box, whose calls say that they belong to this span.
    fn within(self: Arc<Self>, trace: &TraceContext) -> Arc<dyn Upstream>;

    /// Whether an unanswered prompt may be sent again.
    fn redispatch(&self) -> Redispatch;

    /// Whether `body` holds a prompt that this box can take; asked before anything is logged. Gives
    /// the hash of its text, if `find` will need that.
    ///
    /// # Errors
    /// What is wrong with it, for the client.
    fn check_prompt(&self, body: &Body) -> Result<Option<TextHash>, BadPrompt>;

    /// Opens or looks up the box's session, and reads what `find` will need.
    async fn prepare(&self, who: Option<&Credential>, ids: &TurnIds) -> Prepare;

    /// Sends the prompt.
    async fn dispatch(
        &self,
        who: Option<&Credential>,
        ids: &TurnIds,
        prepared: &Prepared,
        body: &Body,
    ) -> Dispatch;

    /// Looks for a prompt that was sent and not answered; never needs the body.
    async fn find(
        &self,
        who: Option<&Credential>,
        ids: &TurnIds,
        prepared: &Prepared,
    ) -> Result<Found, Error>;

    /// Reads what is new since `cursor`.
    async fn poll(
        &self,
        who: Option<&Credential>,
        turn: &Bound,
        cursor: &PollCursor,
        depth: Depth,
    ) -> Result<Page, Error>;

    /// Asks the box to stop the session's work. Harmless when nothing runs.
    async fn cancel(&self, who: Option<&Credential>, session: &SessionId) -> Result<(), Error>;

    /// Whether the box accepts `who` for `session`.
    async fn vouch(&self, who: &Credential, session: &SessionId) -> Result<Vouched, Error>;
}

/// A body that holds no prompt for this kind of box. Public code: `INVALID_PROMPT`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadPrompt(pub String);
