//! How the doors behave: one plain struct with the program's defaults.

use std::time::Duration;

use super::guard::Allowed;
use super::own_tokens::OwnTokens;
use crate::limits;
use crate::mode::{Fidelity, Mode};

/// Who answers for the events of a session that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionBus {
    /// The log, with all its turns. Assumed: a box's own bus may carry more than the turns.
    #[default]
    Log,
    /// The box.
    Pass,
}

/// What an operator may choose about the doors.
#[derive(Debug, Clone)]
pub struct Settings {
    /// In mode `sse` everything is passed on; a request may choose the other one.
    pub mode: Mode,
    /// Who answers for the events of a session.
    pub session_bus: SessionBus,
    /// How much of a turn is told.
    pub fidelity: Fidelity,
    /// Longest wait for the dispatch's answer before a turn's head goes out.
    pub head_wait: Duration,
    /// Silence after which a comment is sent; [`limits::MIN_HEARTBEAT`] at the least.
    pub heartbeat: Duration,
    /// Hosts and origins beyond the rules.
    pub allowed: Allowed,
    /// What every request must show one of.
    pub tokens: OwnTokens,
    /// Largest body of a turn's POST, in bytes.
    pub max_turn_body: usize,
    /// Bytes of bodies in memory while they are read.
    pub max_bodies: usize,
    /// Open event streams at once.
    pub max_streams: usize,
    /// Of these, open at once for one session.
    pub max_session_streams: usize,
    /// Carried WebSockets at once.
    pub max_sockets: usize,
    /// The grace of a shutdown, which the streams' ends are spread over.
    pub grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            session_bus: SessionBus::default(),
            fidelity: Fidelity::default(),
            head_wait: limits::HEAD_WAIT,
            heartbeat: limits::HEARTBEAT,
            allowed: Allowed::default(),
            tokens: OwnTokens::default(),
            max_turn_body: limits::MAX_TURN_BODY_BYTES,
            max_bodies: limits::MAX_BODIES_BYTES,
            max_streams: limits::MAX_STREAMS,
            max_session_streams: limits::MAX_SESSION_STREAMS,
            max_sockets: limits::MAX_WEBSOCKETS,
            grace: limits::DRAIN_GRACE,
        }
    }
}
