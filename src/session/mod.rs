//! One log and at most one running turn. (Contract first; what the doors see.)

pub mod readers_key;

use std::sync::Arc;

use http::StatusCode;

use crate::credential::Credential;
use crate::event::Seq;
use crate::ids::{BoxName, ExecutionId, SessionId, TurnId};
use crate::log::{Cursor, Tail};
use crate::mode::Phase;
use crate::upstream::{BadPrompt, Body, Refusal};

/// All sessions of all boxes. Clones share them.
#[derive(Debug, Clone)]
pub struct Sessions;

/// One session.
#[derive(Debug)]
pub struct Session;

/// One turn of a session, running or finished, as a reader sees it.
#[derive(Debug, Clone)]
pub struct TurnRef {
    /// The session it belongs to.
    pub session: Arc<Session>,
    /// Its execution id.
    pub execution: ExecutionId,
    /// The number of its first event, whether that is in the log yet or not.
    pub from: Seq,
}

/// A request for a turn. Ids are parsed, the body is a JSON object within bounds.
#[derive(Debug)]
pub struct TurnRequest {
    /// The client's session id.
    pub session: Option<SessionId>,
    /// The client's execution id (header or body).
    pub execution: Option<ExecutionId>,
    /// The client's turn id.
    pub turn: Option<TurnId>,
    /// The client's credential.
    pub who: Option<Credential>,
    /// What will be sent to the box.
    pub body: Body,
}

/// A turn that was started or attached to.
#[derive(Debug)]
pub struct Started {
    /// False: the same ids were known, nothing new is dispatched.
    pub new: bool,
    /// The turn.
    pub turn: TurnRef,
}

/// How the dispatch of a turn was answered.
#[derive(Debug, Clone)]
pub enum Answered {
    /// The box has it (or had it: the turn may be over).
    Running,
    /// The box refused it; nothing of it is kept.
    Refused(Refusal),
    /// It never reached the box and was given up; nothing of it is kept. Holds a public code of
    /// WIRE's list and a message.
    Withdrawn {
        /// For example `BOX_UNREACHABLE`.
        code: &'static str,
        /// For people.
        message: String,
    },
}

/// Why a turn was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No right to this session.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Another turn runs on this session: 409 `TURN_RUNNING`.
    #[error("another turn runs on this session")]
    Running {
        /// Where that one is.
        phase: Phase,
    },
    /// The body holds no prompt for this kind of box: 400 `INVALID_PROMPT`.
    #[error(transparent)]
    BadPrompt(#[from] BadPrompt),
    /// The log does not take records: 503 `LOG_UNAVAILABLE`.
    #[error("the log takes no records")]
    LogUnavailable,
    /// Afterbay is stopping: 503 `DRAINING`.
    #[error("afterbay is stopping")]
    Draining,
    /// Too many turns or unsent bytes at once: 503 `OVERLOADED`.
    #[error("too many turns at once")]
    Overloaded,
}

/// Why a credential may not read or act. As the box would say it: 401, 403, or 404.
#[derive(Debug, Clone, thiserror::Error)]
#[error("no right to this session")]
pub struct Denied {
    /// 401 without a credential, else 403, or the box's own refusal.
    pub status: StatusCode,
}

/// What an abort came to.
#[derive(Debug)]
pub enum Abort {
    /// The box was asked to stop and the turn was told.
    Asked,
    /// No turn of ours runs on the session: the request is the box's business.
    NothingRuns,
}

/// Why an abort failed.
#[derive(Debug, thiserror::Error)]
pub enum AbortError {
    /// No right to this session.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The box could not be asked.
    #[error(transparent)]
    Box(#[from] crate::upstream::Error),
}

impl Sessions {
    /// Starts a turn, or attaches to the one with the same ids. Rights are checked first.
    ///
    /// # Errors
    /// [`StartError`]; nothing was logged or sent.
    pub async fn start_turn(
        &self,
        _box_name: &BoxName,
        _request: TurnRequest,
    ) -> Result<Started, StartError> {
        todo!()
    }

    /// The turn with this execution id on this box, ours or assigned.
    #[must_use]
    pub fn turn(&self, _box_name: &BoxName, _execution: &ExecutionId) -> Option<TurnRef> {
        todo!()
    }

    /// The session with this id on this box: client-sent, box-assigned or minted.
    #[must_use]
    pub fn session(&self, _box_name: &BoxName, _id: &SessionId) -> Option<Arc<Session>> {
        todo!()
    }

    /// Checks the right to read a session; asks the box if need be, and hands a good credential
    /// to a turn that waits for one.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn may_read(
        &self,
        _session: &Session,
        _who: Option<&Credential>,
    ) -> Result<(), Denied> {
        todo!()
    }

    /// Asks the box, with the caller's credential, to stop what runs, and tells the turn.
    ///
    /// # Errors
    /// [`AbortError`].
    pub async fn abort(
        &self,
        _session: &Session,
        _who: Option<&Credential>,
    ) -> Result<Abort, AbortError> {
        todo!()
    }
}

impl Session {
    /// Reads the session's log after `after`.
    #[must_use]
    pub fn cursor(&self, _after: Seq) -> Cursor {
        todo!()
    }

    /// The end of the session's log.
    #[must_use]
    pub fn tail(&self) -> Tail {
        todo!()
    }

    /// The id to show: the box's if known, else the client's, else the minted one.
    #[must_use]
    pub fn id(&self) -> SessionId {
        todo!()
    }

    /// Whether a turn runs now.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        todo!()
    }
}

impl TurnRef {
    /// The number of its `done`, once it is over.
    #[must_use]
    pub fn last(&self) -> Option<Seq> {
        todo!()
    }

    /// Resolves when the dispatch is answered; at once for a turn that was, before.
    // Cancel-safe: it only waits.
    pub async fn answered(&self) -> Answered {
        todo!()
    }
}
