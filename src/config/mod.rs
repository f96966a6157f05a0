//! Configuration: flags, environment and a TOML file, one meaning each.
//!
//! Precedence: flag, environment, file, default. [`load`] tells all mistakes together, each
//! with its place, and never a secret. The environment is read here and nowhere else. What
//! comes out is a plain struct for each part of the program; defaults are in `limits`.

mod address;
mod api;
mod boxes;
mod credentials;
pub(crate) mod duration;
mod environment;
mod file;
mod flags;
pub mod for_commands;
mod handed;
mod identity;
mod keys;
mod mistake;
mod own_tokens;
mod parts;
mod size;
mod sources;
mod tls;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::limits;
use crate::mode::{Mode, UnknownFidelity, UnknownMode};
pub use environment::{Environment, Standing};
pub use flags::Flags;
pub use handed::Handed;
pub use identity::Identity;
use keys::Key;
pub use keys::markdown;
pub use mistake::{Mistake, Mistakes, Origin};
use own_tokens::TokensFile;
pub use parts::{
    AdminAddress, Api, Callers, Config, Credentials, Deadlines, Listen, LogFormat, OnAbandon, Poll,
    Retention, SessionBus, Streams, Telemetry, Upstream,
};
use sources::Sources;

/// The variable by which clients of a sandbox choose how they stream. Read as the default mode,
/// since whoever starts both in one environment means both.
const CLIENTS_MODE_VARIABLE: &str = "SANDBOX_STREAMING";

/// A configuration, and what its owner should hear about it.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// For the log, once there is one.
    pub warnings: Vec<String>,
}

/// Reads the configuration; `file` is the value of `--config`.
///
/// # Errors
/// [`Mistakes`]: all of them.
pub fn load(
    file: Option<&Path>,
    flags: &Flags,
    environment: &Environment,
) -> Result<Loaded, Mistakes> {
    let mut sources = Sources::open(file, flags, environment);
    let config = read(&mut sources);
    let (config, warnings) = sources.give(config)?;
    Ok(Loaded { config, warnings })
}

/// Reads every part before any missing one ends it, so that every mistake is found.
fn read(sources: &mut Sources<'_>) -> Option<Config> {
    let api = api::read(sources);
    let boxes = boxes::read(sources);
    let authorities = tls::read_authorities(sources);
    let mode = read_mode(sources);
    let data_dir = read_data_dir(sources);
    let listen = read_listen(sources);
    let identity = tls::read_identity(sources);
    let callers = read_callers(sources);
    let credentials = credentials::read(sources);
    let tokens = sources.read_optional(Key::TokensFile, own_tokens::read);
    let open = sources.read(Key::Open, switch);
    let shutdown_grace = sources.read(Key::ShutdownGrace, duration::parse);
    let deadlines = read_deadlines(sources);
    let poll = read_poll(sources);
    let streams = read_streams(sources);
    let retention = read_retention(sources);
    let telemetry = read_telemetry(sources);
    if let Some((boxes, listen)) = boxes.as_deref().zip(listen.as_ref()) {
        let public_url = callers.as_ref().and_then(|callers| callers.public_url.as_ref());
        boxes::check_own_doors(boxes, listen, public_url, sources);
        if let Some((open, tokens)) = open.zip(tokens.as_ref()) {
            boxes::check_open_door(boxes, listen, open || tokens.is_some(), sources);
        }
    }
    if let (Some(Some(api)), Some(listen)) = (&api, &listen) {
        api::check_own_doors(api, listen, sources);
        if let Some(callers) = &callers {
            api::check_public_url(callers, listen, sources);
        }
    }
    open?;
    let tokens = tokens?.map(|TokensFile { tokens, warning }| {
        sources.warnings.extend(warning);
        tokens
    });
    let config = Config {
        boxes: boxes?.into_iter().map(|placed| placed.upstream).collect(),
        api: api?.map(|placed| placed.api),
        authorities: authorities?,
        mode: mode?,
        data_dir: data_dir?,
        listen: listen?,
        identity: identity?,
        callers: callers?,
        tokens,
        credentials: credentials?,
        deadlines: deadlines?,
        poll: poll?,
        streams: streams?,
        retention: retention?,
        shutdown_grace: shutdown_grace?,
        telemetry: telemetry?,
    };
    Some(config)
}

fn read_mode(sources: &mut Sources<'_>) -> Option<Mode> {
    let parse = |text: &str| text.parse().map_err(|unknown: UnknownMode| unknown.to_string());
    if let Some(mode) = sources.read_optional(Key::Mode, parse)? {
        return Some(mode);
    }
    let said = sources.environment().text(CLIENTS_MODE_VARIABLE).ok().flatten().map(str::parse);
    let absent = sources.environment().os(CLIENTS_MODE_VARIABLE).is_none();
    match said {
        Some(Ok(Mode::Poll)) => Some(Mode::Poll),
        Some(Ok(Mode::Sse)) => {
            sources.warnings.push(format!(
                "{CLIENTS_MODE_VARIABLE}=sse, a variable of clients, turns the log off: turns are \
                 passed through and are not resumed; say --mode to be sure"
            ));
            Some(Mode::Sse)
        }
        None if absent => Some(Mode::Poll),
        Some(Err(_)) | None => {
            sources.warnings.push(format!(
                "{CLIENTS_MODE_VARIABLE}, a variable of clients, names no mode of afterbay and is \
                 ignored; the mode is poll"
            ));
            Some(Mode::Poll)
        }
    }
}

fn read_data_dir(sources: &mut Sources<'_>) -> Option<PathBuf> {
    if let Some(given) = sources.read_optional(Key::DataDir, |text| Ok(PathBuf::from(text)))? {
        return Some(given);
    }
    // A relative XDG path is to be ignored, says its specification.
    let folder = |name| sources.environment().os(name).map(PathBuf::from);
    let state = folder("XDG_STATE_HOME").filter(|path| path.is_absolute());
    let state = state.or_else(|| folder("HOME").map(|home| home.join(".local/state")));
    if state.is_none() {
        let what = "no data folder: neither `data-dir` nor XDG_STATE_HOME nor HOME is set";
        sources.note(Origin::Whole, what.to_owned());
    }
    state.map(|state| state.join("afterbay"))
}

fn read_listen(sources: &mut Sources<'_>) -> Option<Listen> {
    let clients = sources.read(Key::Listen, address::socket);
    let operators = sources.read_with_origin(Key::Admin, address::socket_or_off);
    let (clients, (admin, origin)) = (clients?, operators?);
    // What the program stands on already counts, whatever was asked for.
    let Standing { clients: standing, operators } = sources.environment().standing();
    let clients = standing.unwrap_or(clients);
    if let Some(admin) = operators {
        return Some(Listen { clients, operators: AdminAddress::Given(admin) });
    }
    let Some(admin) = admin else {
        return Some(Listen { clients, operators: AdminAddress::Off });
    };
    if clients == admin && clients.port() != 0 {
        let what = format!("`listen` and `admin` are both {clients}; they need two ports");
        sources.note(Origin::Whole, what);
        return None;
    }
    let operators = match origin {
        Origin::Default => AdminAddress::Default(admin),
        Origin::Flag(_) | Origin::Environment(_) | Origin::File(..) | Origin::Whole => {
            AdminAddress::Given(admin)
        }
    };
    Some(Listen { clients, operators })
}

fn read_callers(sources: &mut Sources<'_>) -> Option<Callers> {
    let hosts = sources.read(Key::Hosts, |text| address::list(text, address::host));
    let public_url = sources.read_optional(Key::PublicUrl, address::endpoint);
    let readers = sources.read(Key::Readers, str::parse);
    let origins = sources.read(Key::Origins, |text| address::list(text, address::origin));
    let (mut hosts, public_url) = (hosts?, public_url?);
    hosts.extend(public_url.as_ref().map(|url| url.host_text().to_ascii_lowercase()));
    hosts.sort_unstable();
    hosts.dedup();
    Some(Callers { hosts, public_url, readers: readers?, origins: origins? })
}

fn read_deadlines(sources: &mut Sources<'_>) -> Option<Deadlines> {
    let start = sources.read(Key::StartDeadline, duration::parse);
    let unreachable = sources.read(Key::UnreachableDeadline, duration::parse);
    let unauthorized = sources.read(Key::UnauthorizedDeadline, duration::parse);
    let quiet = sources.read(Key::QuietDeadline, duration::parse_or_off);
    let turn = sources.read(Key::TurnDeadline, duration::parse);
    let idle = sources.read(Key::IdleGrace, duration::parse);
    let on_abandon = sources.read(Key::OnAbandon, on_abandon);
    Some(Deadlines {
        start: start?,
        unreachable: unreachable?,
        unauthorized: unauthorized?,
        quiet: quiet?,
        turn: turn?,
        idle: idle?,
        on_abandon: on_abandon?,
    })
}

fn read_poll(sources: &mut Sources<'_>) -> Option<Poll> {
    let fast = sources.read(Key::PollFast, duration::parse);
    let slow = sources.read(Key::PollSlow, duration::parse);
    let waiting = sources.read(Key::PollWaiting, duration::parse);
    let rate = sources.read(Key::PollRate, polls_per_second);
    let rate_total = sources.read(Key::PollRateTotal, polls_per_second);
    let (rate, rate_total) = (rate?, rate_total?);
    let poll = Poll { fast: fast?, slow: slow?, waiting: waiting?, rate, rate_total };
    if poll.slow < poll.fast {
        let (fast, slow) = (duration::show(poll.fast), duration::show(poll.slow));
        let what = format!("`poll-slow` ({slow}) is below `poll-fast` ({fast})");
        sources.note(Origin::Whole, what);
        return None;
    }
    Some(poll)
}

fn read_streams(sources: &mut Sources<'_>) -> Option<Streams> {
    let head_wait = sources.read(Key::HeadWait, duration::parse);
    let heartbeat = sources.read(Key::Heartbeat, heartbeat);
    let session_bus = sources.read(Key::SessionBus, |text| match text {
        "log" => Ok(SessionBus::Log),
        "pass" => Ok(SessionBus::Pass),
        other => Err(format!("`{other}` is neither `log` nor `pass`")),
    });
    let fidelity = sources.read(Key::Fidelity, |text| {
        text.parse().map_err(|unknown: UnknownFidelity| unknown.to_string())
    });
    Some(Streams {
        head_wait: head_wait?,
        heartbeat: heartbeat?,
        session_bus: session_bus?,
        fidelity: fidelity?,
    })
}

fn read_retention(sources: &mut Sources<'_>) -> Option<Retention> {
    let age = sources.read(Key::RetentionAge, duration::parse);
    let total = sources.read(Key::RetentionTotal, size::parse);
    let session = sources.read(Key::RetentionSession, size::parse);
    let free = sources.read(Key::RetentionFree, size::parse);
    let idempotency_age = sources.read(Key::IdempotencyAge, duration::parse);
    Some(Retention {
        age: age?,
        total: total?,
        session: session?,
        free: free?,
        idempotency_age: idempotency_age?,
    })
}

fn read_telemetry(sources: &mut Sources<'_>) -> Option<Telemetry> {
    let format = sources.read(Key::LogFormat, |text| match text {
        "human" => Ok(LogFormat::Human),
        "json" => Ok(LogFormat::Json),
        other => Err(format!("unknown log format `{other}`; use `human` or `json`")),
    });
    let level = sources.read(Key::LogLevel, |text| {
        let unknown =
            format!("unknown log level `{text}`; use `error`, `warn`, `info`, `debug` or `trace`");
        let digits = text.bytes().any(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| !digits).ok_or(unknown)
    });
    let otlp = sources.read_optional(Key::OtlpEndpoint, address::endpoint);
    Some(Telemetry { format: format?, level: level?, otlp: otlp? })
}

fn heartbeat(text: &str) -> Result<Duration, String> {
    let heartbeat = duration::parse(text)?;
    if heartbeat < limits::MIN_HEARTBEAT {
        return Err(format!("`{text}` is below {}", duration::show(limits::MIN_HEARTBEAT)));
    }
    Ok(heartbeat)
}

fn polls_per_second(text: &str) -> Result<NonZeroU32, String> {
    text.parse().map_err(|_| format!("`{text}` is no number of polls per second, 1 or more"))
}

fn on_abandon(text: &str) -> Result<OnAbandon, String> {
    match text {
        "finish" => Ok(OnAbandon::Finish),
        later if later.starts_with("cancel_after=") => {
            Err("`cancel_after=…` is not built yet; use `finish`".to_owned())
        }
        other => Err(format!("unknown action `{other}`; use `finish`")),
    }
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(format!("`{other}` is neither `true` nor `false`")),
    }
}
