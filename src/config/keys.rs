//! The table of all keys: one row for each, and the only place that names them.
//!
//! From a row follow the flag (`--name`), the variable (`AFTERBAY_NAME`), the key in the file, the
//! default, the line in `--help` and the line in README, so that none of them can disagree. The
//! meaning of the values is in `parts.rs`.

use std::fmt::Write;

use super::duration::show;
use super::size;
use crate::limits;

/// Every key of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// The box's URL.
    Box,
    /// What kind of box it is.
    Kind,
    /// The box's credential, a secret.
    BoxCredential,
    /// How prompts go to the box.
    Lane,
    /// Where the box tells results.
    ResultPath,
    /// The Sandbox API's URL.
    Api,
    /// Networks that its boxes may be in.
    ApiNetworks,
    /// Whether failed creates are sent again.
    AcquireRetry,
    /// For how long.
    AcquireBudget,
    /// Further certificate authorities.
    CaFile,
    /// How turns are run.
    Mode,
    /// The data folder.
    DataDir,
    /// Where credentials are kept.
    Credentials,
    /// What seals them, a secret.
    SealedWith,
    /// Where clients connect.
    Listen,
    /// Where operators connect.
    Admin,
    /// The certificate chain of the clients' door.
    TlsCertFile,
    /// The key of that certificate.
    TlsKeyFile,
    /// Host names that requests may carry.
    Hosts,
    /// The URL under which clients reach this program.
    PublicUrl,
    /// Whom the box may vouch for.
    Readers,
    /// The file of own tokens.
    TokensFile,
    /// Web pages' origins that may call.
    Origins,
    /// Whether an open door is meant.
    Open,
    /// Time to stop in.
    ShutdownGrace,
    /// Dispatched but never seen at work.
    StartDeadline,
    /// No answer from the box.
    UnreachableDeadline,
    /// No credential that the box takes.
    UnauthorizedDeadline,
    /// At work and silent.
    QuietDeadline,
    /// The whole turn.
    TurnDeadline,
    /// Idle without an end.
    IdleGrace,
    /// Pause between polls after a change.
    PollFast,
    /// Pause between polls in quiet times.
    PollSlow,
    /// Pause between polls while a person is asked.
    PollWaiting,
    /// Polls per second of one box.
    PollRate,
    /// Polls per second in all.
    PollRateTotal,
    /// Wait for the box's word before the head.
    HeadWait,
    /// Pause before a heartbeat.
    Heartbeat,
    /// Who answers for a session's events.
    SessionBus,
    /// How much of a turn is told.
    Fidelity,
    /// What becomes of a turn that nobody reads.
    OnAbandon,
    /// How long events are kept.
    RetentionAge,
    /// Bytes that are kept in all.
    RetentionTotal,
    /// Bytes that are kept of one session.
    RetentionSession,
    /// Bytes that stay free.
    RetentionFree,
    /// How long ids stay taken.
    IdempotencyAge,
    /// How log lines look.
    LogFormat,
    /// Which log lines are written.
    LogLevel,
    /// The URL of a collector of traces.
    OtlpEndpoint,
}

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// One value, with the word that stands for it in `--help`.
    One(&'static str),
    /// Values between commas, or the flag several times.
    Many(&'static str),
    /// `true` or `false`; the bare flag means `true`.
    Switch,
    /// A secret: no flag; `…_FILE` and a key of the file name a file that holds it.
    Secret,
}

/// What holds when nobody gives a value.
#[derive(Clone, Copy)]
pub(super) enum Absent {
    /// This text, read like any other value.
    Text(fn() -> String),
    /// What this sentence says.
    Told(&'static str),
    /// Nothing: the key must be given for a box that there is.
    Required,
}

/// One row of the table.
pub(super) struct Row {
    pub(super) key: Key,
    /// The flag's name without dashes; the variable's follows from it.
    pub(super) name: &'static str,
    /// The key in the file, with its section.
    pub(super) file: &'static str,
    pub(super) takes: Takes,
    pub(super) default: Absent,
    /// For `--help` and README: one line, lower case, no full stop.
    pub(super) about: &'static str,
}

impl Row {
    /// The variable's name.
    pub(super) fn variable(&self) -> String {
        format!("AFTERBAY_{}", self.name.to_ascii_uppercase().replace('-', "_"))
    }

    /// The flag's name without dashes, if there is a flag.
    pub(super) fn flag(&self) -> Option<&'static str> {
        (self.takes != Takes::Secret).then_some(self.name)
    }

    /// The key in a table `[boxes.NAME]`, if it is one of a box.
    pub(super) fn of_a_box(&self) -> Option<&'static str> {
        self.file.strip_prefix("box.")
    }

    fn default_for_people(&self) -> String {
        match self.default {
            Absent::Text(text) => format!("`{}`", text()),
            Absent::Told(sentence) => sentence.to_owned(),
            Absent::Required => "required".to_owned(),
        }
    }
}

use Absent::{Required, Text, Told};
use Takes::{Many, One, Secret, Switch};

const fn row(
    key: Key,
    name: &'static str,
    file: &'static str,
    takes: Takes,
    default: Absent,
    about: &'static str,
) -> Row {
    Row { key, name, file, takes, default, about }
}

/// The table, in the order of `--help` and README.
#[rustfmt::skip]
pub(super) const ROWS: [Row; 49] = [
    row(Key::Box, "box", "box.url", One("URL"), Required,
        "the sandbox: an http:// or https:// URL, a path in it is kept"),
    row(Key::Kind, "kind", "box.kind", One("KIND"), Required,
        "what the box is: `tangle` or `opencode`"),
    row(Key::BoxCredential, "box-credential", "box.credential_file", Secret, Told("none"),
        "value of the Authorization header that turns are polled with when their own is gone; a secret, hence never a flag"),
    row(Key::Lane, "lane", "box.lane", One("LANE"), Text(|| "run".to_owned()),
        "how prompts go to a `tangle` box: `run` (a detached run with the client's whole body) or `messages` (into a session that the client names, its text alone)"),
    row(Key::ResultPath, "result-path", "box.result_path", One("PATH"), Told("none"),
        "where the box tells a turn's result, with `{id}` for the session; asked before its messages, and answered from the log once the box has forgotten"),
    row(Key::Api, "api", "api.url", One("URL"), Told("none"),
        "the Sandbox API that makes sandboxes; its routes pass, and its answers lead clients here; with it no box is needed"),
    row(Key::ApiNetworks, "api-networks", "api.networks", Many("NETWORK"), Text(String::new),
        "networks such as 10.0.0.0/8 that the boxes of its sandboxes may be in although they are not public"),
    row(Key::AcquireRetry, "acquire-retry", "acquire.retry", Switch, Text(|| "false".to_owned()),
        "send a failed create of a sandbox again, if it carries an idempotency key"),
    row(Key::AcquireBudget, "acquire-budget", "acquire.budget", One("DURATION"), Text(|| show(limits::ACQUIRE_BUDGET)),
        "from the first sending of such a create to the last"),
    row(Key::CaFile, "ca-file", "tls.ca_file", One("FILE"), Told("none"),
        "certificates (PEM) of authorities that are trusted besides the system's to say who an https:// box is"),
    row(Key::Mode, "mode", "mode", One("MODE"), Told("`poll`, or `SANDBOX_STREAMING` if it says `poll` or `sse`"),
        "how turns run: `poll` (detached, polled, logged, resumable) or `sse` (passed through as they are)"),
    row(Key::DataDir, "data-dir", "data_dir", One("FOLDER"), Told("`$XDG_STATE_HOME/afterbay` or `~/.local/state/afterbay`"),
        "where the log and its keys are kept"),
    row(Key::Credentials, "credentials", "credentials", One("WHERE"), Text(|| "memory".to_owned()),
        "where the credential of a running turn is kept, and a prompt until it is sent: `memory`, or `sealed`, which is on disk, too, so that a restart goes on by itself"),
    row(Key::SealedWith, "credentials-key", "credentials_key_file", Secret, Told("none"),
        "what seals them: 32 bytes in base64 or hexadecimal digits; a secret, hence never a flag"),
    row(Key::Listen, "listen", "server.listen", One("ADDRESS"), Text(|| limits::LISTEN.to_owned()),
        "where clients connect; port 0 takes a free one"),
    row(Key::Admin, "admin", "server.admin", One("ADDRESS|off"), Text(|| limits::ADMIN.to_owned()),
        "where operators, probes and scrapers connect; a free port is taken if the default one is in use; `off`: nowhere"),
    row(Key::TlsCertFile, "tls-cert", "server.tls_cert", One("FILE"), Told("none: plain http"),
        "certificate chain (PEM) under which clients are served by https; the admin address stays plain"),
    row(Key::TlsKeyFile, "tls-key", "server.tls_key", One("FILE"), Told("none"),
        "private key (PEM) of that certificate"),
    row(Key::Hosts, "hosts", "server.hosts", Many("NAME"), Text(String::new),
        "further host names under which clients may call; IP addresses, localhost and single labels always may"),
    row(Key::PublicUrl, "public-url", "server.public_url", One("URL"), Told("none"),
        "the URL under which clients reach afterbay, if it is not the bound address"),
    row(Key::Readers, "readers", "server.readers", One("WHO"), Text(|| "session".to_owned()),
        "who reads besides the starter: credentials that the box accepts for the `session`, or also, once it has forgotten that, any that the `box` accepts at all"),
    row(Key::TokensFile, "tokens-file", "server.tokens_file", One("FILE"), Told("none"),
        "a file of own tokens, one a line, `NAME TOKEN` or `TOKEN`; with it every request must show one"),
    row(Key::Origins, "origins", "server.origins", Many("ORIGIN"), Text(String::new),
        "origins of web pages that may call without an Authorization header and read the answers \
         (CORS, with credentials); each exactly, no patterns"),
    row(Key::Open, "open", "server.open", Switch, Text(|| "false".to_owned()),
        "start although clients beyond this machine can reach a box that has no credential, and need no own token"),
    row(Key::ShutdownGrace, "shutdown-grace", "server.shutdown_grace", One("DURATION"), Text(|| show(limits::SHUTDOWN_GRACE)),
        "time from the first signal to the exit"),
    row(Key::StartDeadline, "start-deadline", "deadlines.start", One("DURATION"), Text(|| show(limits::START_DEADLINE)),
        "a turn that was never seen at work ends after this"),
    row(Key::UnreachableDeadline, "unreachable-deadline", "deadlines.unreachable", One("DURATION"), Text(|| show(limits::UNREACHABLE_DEADLINE)),
        "a turn whose box gives no answer ends after this"),
    row(Key::UnauthorizedDeadline, "unauthorized-deadline", "deadlines.unauthorized", One("DURATION"), Text(|| show(limits::UNAUTHORIZED_DEADLINE)),
        "a turn whose credential the box refuses, or which has none any more, ends after this"),
    row(Key::QuietDeadline, "quiet-deadline", "deadlines.quiet", One("DURATION|off"), Text(|| "off".to_owned()),
        "a turn that is at work and shows nothing new ends after this"),
    row(Key::TurnDeadline, "turn-deadline", "deadlines.turn", One("DURATION"), Text(|| show(limits::TURN_DEADLINE)),
        "any turn ends after this, and the box is told to stop"),
    row(Key::IdleGrace, "idle-grace", "deadlines.idle", One("DURATION"), Text(|| show(limits::LOST_GRACE)),
        "a turn whose box is idle without having finished it is lost after this"),
    row(Key::PollFast, "poll-fast", "poll.fast", One("DURATION"), Text(|| show(limits::POLL_FASTEST)),
        "between two polls after something changed"),
    row(Key::PollSlow, "poll-slow", "poll.slow", One("DURATION"), Text(|| show(limits::POLL_SLOWEST)),
        "between two polls in quiet times"),
    row(Key::PollWaiting, "poll-waiting", "poll.waiting", One("DURATION"), Text(|| show(limits::POLL_WAITING)),
        "between two polls while the agent waits for a person"),
    row(Key::PollRate, "poll-rate", "poll.rate", One("N"), Text(|| limits::POLLS_PER_SECOND_PER_BOX.to_string()),
        "polls per second of one box, of all its turns together; turns that find no place wait"),
    row(Key::PollRateTotal, "poll-rate-total", "poll.rate_total", One("N"), Text(|| limits::POLLS_PER_SECOND.to_string()),
        "polls per second of all boxes together"),
    row(Key::HeadWait, "head-wait", "streams.head_wait", One("DURATION"), Text(|| show(limits::HEAD_WAIT)),
        "how long a new turn's answer waits for the box, so that its refusal is the HTTP status"),
    row(Key::Heartbeat, "heartbeat", "streams.heartbeat", One("DURATION"), Text(|| show(limits::HEARTBEAT)),
        "a quiet stream gets a comment after this; at least 1s"),
    row(Key::SessionBus, "session-bus", "streams.session_bus", One("WHO"), Text(|| "log".to_owned()),
        "who answers for the events of a session: `log` (all its turns, replayable) or `pass` (the box)"),
    row(Key::Fidelity, "fidelity", "streams.fidelity", One("FIDELITY"), Text(|| "full".to_owned()),
        "what clients see of a turn: `full` (all of it) or `result` (one `result`, after an `error` if it failed)"),
    row(Key::OnAbandon, "on-abandon", "streams.on_abandon", One("ACTION"), Text(|| "finish".to_owned()),
        "what becomes of a turn that nobody reads any more: `finish`"),
    row(Key::RetentionAge, "retention-age", "retention.age", One("DURATION"), Text(|| show(limits::RETENTION_AGE)),
        "a turn's events go this long after its end"),
    row(Key::RetentionTotal, "retention-total", "retention.total", One("SIZE"), Text(|| size::show(limits::RETENTION_TOTAL_BYTES)),
        "what the log keeps of all sessions; beyond it the oldest turns go"),
    row(Key::RetentionSession, "retention-session", "retention.session", One("SIZE"), Text(|| size::show(limits::RETENTION_SESSION_BYTES)),
        "what the log keeps of one session; beyond it its oldest turns go"),
    row(Key::RetentionFree, "retention-free", "retention.free", One("SIZE"), Text(|| size::show(limits::RETENTION_FREE_BYTES)),
        "what stays free on the disk of the data folder; below it the oldest turns go, then new ones are refused"),
    row(Key::IdempotencyAge, "idempotency-age", "retention.idempotency_age", One("DURATION"), Text(|| show(limits::IDEMPOTENCY_AGE)),
        "how long the ids of a turn stay taken once its events are gone, so that a repeat of it never runs"),
    row(Key::LogFormat, "log-format", "telemetry.log_format", One("FORMAT"), Text(|| "human".to_owned()),
        "log lines on stderr: `human` or `json`"),
    row(Key::LogLevel, "log-level", "telemetry.log_level", One("LEVEL"), Text(|| "info".to_owned()),
        "`error`, `warn`, `info`, `debug` or `trace`"),
    row(Key::OtlpEndpoint, "otlp-endpoint", "telemetry.otlp_endpoint", One("URL"), Told("no traces"),
        "the base URL of an OpenTelemetry collector (OTLP over HTTP) that gets a trace of each turn"),
];

/// The variable that names the configuration file; the flag is `--config`.
pub(super) const CONFIG_VARIABLE: &str = "AFTERBAY_CONFIG";

/// What `--help` says about one row's flag.
pub(super) fn help(row: &Row) -> String {
    let default = match row.default {
        Absent::Text(text) if text().is_empty() => String::new(),
        Absent::Text(_) | Absent::Told(_) | Absent::Required => {
            format!(" [{}]", row.default_for_people().replace('`', ""))
        }
    };
    format!("{}{default}", capitalised(&row.about.replace('`', "")))
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The table as README shows it, one line for each key.
#[must_use]
pub fn markdown() -> String {
    let mut table = String::from(
        "| flag | environment | file | default | what it does |\n|---|---|---|---|---|\n\
         | `--config` | `AFTERBAY_CONFIG` | | none | a TOML file with the keys of the third column |\n",
    );
    for row in &ROWS {
        let flag = row.flag().map_or_else(String::new, |name| format!("`--{name}`"));
        let variable = row.variable();
        let variable = match row.takes {
            Secret => format!("`{variable}`, `{variable}_FILE`"),
            One(_) | Many(_) | Switch => format!("`{variable}`"),
        };
        let default = row.default_for_people().replace("``", "none");
        let further =
            row.of_a_box().map_or_else(String::new, |key| format!(", `boxes.NAME.{key}`"));
        let (file, about) = (row.file, row.about);
        // Writing to a string cannot fail.
        let _ =
            writeln!(table, "| {flag} | {variable} | `{file}`{further} | {default} | {about} |");
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_key_has_one_row_and_names_of_its_own() {
        let keys: BTreeSet<_> = ROWS.iter().map(|row| row.key).collect();
        let names: BTreeSet<_> = ROWS.iter().map(|row| row.name).collect();
        let files: BTreeSet<_> = ROWS.iter().map(|row| row.file).collect();
        assert_eq!((keys.len(), names.len(), files.len()), (ROWS.len(), ROWS.len(), ROWS.len()));
        assert_eq!(ROWS.last().map(|row| row.key as usize + 1), Some(ROWS.len()));
    }
}
