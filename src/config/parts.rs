//! What the configuration means, one plain struct for each part of the program that is
//! configured. Each is handed to its part at start; nobody keeps the whole.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::identity::Identity;
use crate::credential::{Credential, OwnToken};
use crate::ids::BoxName;
use crate::mode::{BoxKind, Fidelity, Mode};
use crate::seal::SealKey;
use crate::session::Vouching;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::reach::Network;
use crate::upstream::result_path::ResultPath;
use crate::upstream::tangle::Lane;
use crate::upstream::trust::Authorities;

/// Everything, on its way to the parts.
#[derive(Debug)]
pub struct Config {
    /// The boxes, in the order of the file; no name is there twice. The first one is at the root.
    /// None is needed before an API.
    pub boxes: Vec<Upstream>,
    /// The Sandbox API, if there is one.
    pub api: Option<Api>,
    /// Who, besides the system's authorities, is trusted to say who a box is.
    pub authorities: Authorities,
    /// How turns are run.
    pub mode: Mode,
    /// The folder of the log and its keys.
    pub data_dir: PathBuf,
    /// Where the program is reached.
    pub listen: Listen,
    /// Who it proves to be to clients; without it they connect in the clear.
    pub identity: Option<Identity>,
    /// Who may call.
    pub callers: Callers,
    /// What every request must show one of, if some are configured; never an empty list.
    pub tokens: Option<Vec<OwnToken>>,
    /// Where credentials of running turns are kept.
    pub credentials: Credentials,
    /// How turns end.
    pub deadlines: Deadlines,
    /// How often boxes are asked.
    pub poll: Poll,
    /// How clients are answered.
    pub streams: Streams,
    /// What is kept of turns that are over.
    pub retention: Retention,
    /// Time from the first signal to the exit.
    pub shutdown_grace: Duration,
    /// What it tells of itself.
    pub telemetry: Telemetry,
}

/// One box.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Under which it is reached, and its sessions are kept.
    pub name: BoxName,
    /// Where it is, and stays.
    pub endpoint: Endpoint,
    /// What it is.
    pub kind: BoxKind,
    /// What turns are polled with when their own credential is gone.
    pub credential: Option<Credential>,
    /// How prompts go to it, if it is of kind `tangle`.
    pub lane: Lane,
    /// Where it tells the result of a turn.
    pub result_path: Option<ResultPath>,
}

/// The Sandbox API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Networks that its boxes may be in although they are not public.
    pub networks: Vec<Network>,
    /// For how long failed creates are sent again; not at all if there is no time.
    pub acquire: Option<Duration>,
}

/// Where the program is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// By clients.
    pub clients: SocketAddr,
    /// By operators.
    pub operators: AdminAddress,
}

/// Where operators connect, and whether somebody chose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminAddress {
    /// The default: a free port will do if this one is taken.
    Default(SocketAddr),
    /// Given: this one or none.
    Given(SocketAddr),
    /// Nowhere.
    Off,
}

/// Who may call, besides those who show a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callers {
    /// Dotted host names in lower case that a `Host` may carry; `public_url`'s is among them.
    pub hosts: Vec<String>,
    /// Where clients reach the program, if that is not the bound address.
    pub public_url: Option<Endpoint>,
    /// Whom the box may vouch for.
    pub readers: Vouching,
    /// Origins of web pages, in lower case, as a browser sends them.
    pub origins: Vec<String>,
}

/// Where the credential of a running turn is kept, and a body that was not sent yet.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// In memory: a restart loses them.
    Memory,
    /// On disk, too, sealed with this key.
    Sealed(SealKey),
}

/// How turns end when they do not end by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// Dispatched but never seen at work.
    pub start: Duration,
    /// No answer from the box.
    pub unreachable: Duration,
    /// No credential that the box takes.
    pub unauthorized: Duration,
    /// At work and silent.
    pub quiet: Option<Duration>,
    /// The whole turn.
    pub turn: Duration,
    /// Idle, but not finished.
    pub idle: Duration,
    /// What becomes of a turn that nobody reads.
    pub on_abandon: OnAbandon,
}

/// What becomes of a turn that nobody reads any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnAbandon {
    /// It goes on to its end.
    Finish,
}

/// The pauses between two polls of one turn, and how many there may be at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Poll {
    /// After something changed.
    pub fast: Duration,
    /// In quiet times; not below `fast`.
    pub slow: Duration,
    /// While the agent waits for a person.
    pub waiting: Duration,
    /// Polls per second of one box.
    pub rate: NonZeroU32,
    /// Polls per second of all boxes.
    pub rate_total: NonZeroU32,
}

/// How clients are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams {
    /// How long a new turn's head waits for the box's word.
    pub head_wait: Duration,
    /// A quiet stream gets a comment after this.
    pub heartbeat: Duration,
    /// Who answers for the events of a session.
    pub session_bus: SessionBus,
    /// How much of a turn is told.
    pub fidelity: Fidelity,
}

/// Who answers for the events of a session that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionBus {
    /// The log.
    Log,
    /// The box.
    Pass,
}

/// What is kept of turns that are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How long a turn's events are kept after its end.
    pub age: Duration,
    /// Bytes of all sessions.
    pub total: u64,
    /// Bytes of one session.
    pub session: u64,
    /// Bytes that stay free on the file system.
    pub free: u64,
    /// How long a turn's ids stay taken after its events are gone.
    pub idempotency_age: Duration,
}

/// What the program tells of itself, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// How lines look.
    pub format: LogFormat,
    /// The least important line that is written.
    pub level: tracing::Level,
    /// Where a collector of traces is, if there is one.
    pub otlp: Option<Endpoint>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}
