//! A client that reads: what it has delivered so far, as it says itself, and whether that is what it
//! should be.

use std::fs;
use std::future::Future;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::task::JoinSet;

use super::frames::Frame;
use super::packages;
use super::process::Process;

/// Far longer than any client takes to come back and read on, on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Between two looks at what a client has printed.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What a client says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Line {
    /// It has delivered an event, whose data has so many bytes with this hash.
    Event { id: String, event: String, length: usize, sha256: String },
    /// It has ended, and how: `closed` when it was told that nothing more will come (204), `ended`
    /// when the end of a stream is its end.
    #[serde(rename_all = "camelCase")]
    End {
        end: String,
        /// Milliseconds until the first byte, of a client that tells it.
        first_byte: Option<f64>,
        /// When each event was there, in milliseconds, by a client that tells it.
        #[serde(default)]
        times: Vec<f64>,
    },
}

impl Line {
    /// What a client says when it delivers this.
    pub(crate) fn event(id: &str, event: &str, data: &str) -> Self {
        let sha256 = Sha256::digest(data.as_bytes());
        let sha256 = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        Self::Event { id: id.to_owned(), event: event.to_owned(), length: data.len(), sha256 }
    }

    /// What a client says when it ends.
    pub(crate) fn end(how: &str) -> Self {
        Self::End { end: how.to_owned(), first_byte: None, times: Vec::new() }
    }

    /// What a client says when it delivers this frame.
    pub(crate) fn of(frame: &Frame) -> Self {
        Self::event(&frame.id.to_string(), &frame.event, frame.data_text())
    }
}

/// A client at work, or one that has ended.
#[derive(Debug)]
pub(crate) struct Reading(Source);

#[derive(Debug)]
enum Source {
    Program { process: Process, output: NamedTempFile },
    Task { lines: Arc<Mutex<Vec<Line>>>, _task: JoinSet<()> },
}

impl Reading {
    /// A script of `clients` that prints its lines. To be called on the test's own thread.
    pub(crate) fn script(name: &str, arguments: &[&str]) -> Self {
        let is_python = name.ends_with(".py");
        let python = || packages::python().join("python");
        let program = if is_python { python() } else { packages::program("node") };
        let output = NamedTempFile::new().expect("a file for the client's output");
        let process = Process::start(&program, |command| {
            command.arg(packages::script(name)).args(arguments);
            command.env("AFTERBAY_CLIENT_MODULES", packages::node());
            command.env("PYTHONDONTWRITEBYTECODE", "1");
            command.stdin(Stdio::null()).stdout(output.reopen().expect("share the output"));
        });
        Self(Source::Program { process, output })
    }

    /// A client in this process, which tells its lines.
    pub(crate) fn task<F>(read: impl FnOnce(Arc<Mutex<Vec<Line>>>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let lines = Arc::default();
        let mut task = JoinSet::new();
        task.spawn(read(Arc::clone(&lines)));
        Self(Source::Task { lines, _task: task })
    }

    /// What it has said so far.
    pub(crate) fn lines(&self) -> Vec<Line> {
        match &self.0 {
            Source::Task { lines, .. } => {
                lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
            }
            Source::Program { output, .. } => {
                let text = fs::read_to_string(output.path()).expect("the client's output");
                // The last line counts only when it is whole.
                let whole = text.rfind('\n').and_then(|end| text.get(..end)).unwrap_or_default();
                let line = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
                whole.lines().map(line).collect()
            }
        }
    }

    /// Resolves when it has delivered so many events.
    ///
    /// # Errors
    /// What it has delivered instead.
    pub(crate) async fn has(&mut self, events: usize) -> Result<(), String> {
        self.until(|lines| lines.len() >= events).await.map(drop)
    }

    /// What it has said in all, once it has ended by itself.
    ///
    /// # Errors
    /// What it has delivered, if it has not.
    pub(crate) async fn ends(&mut self) -> Result<Vec<Line>, String> {
        let lines = self.until(|lines| matches!(lines.last(), Some(Line::End { .. }))).await?;
        self.0.has_ended_well().await?;
        Ok(lines)
    }

    async fn until(&mut self, enough: impl Fn(&[Line]) -> bool) -> Result<Vec<Line>, String> {
        let mut looks = tokio::time::interval(LOOK_AGAIN);
        let looking = tokio::time::timeout(LIMIT, async {
            loop {
                looks.tick().await;
                // A client that has ended says no more: what it said is to be looked at once again.
                let over = self.0.has_ended();
                let lines = self.lines();
                if enough(&lines) {
                    return Ok(lines);
                }
                if over {
                    return Err(format!("it ended after {}", told(&lines)));
                }
            }
        });
        let found = looking.await;
        found.unwrap_or_else(|_| Err(format!("after {LIMIT:?} it had {}", told(&self.lines()))))
    }
}

impl Source {
    fn has_ended(&mut self) -> bool {
        match self {
            Self::Program { process, .. } => process.ended().is_some(),
            Self::Task { _task, .. } => _task.try_join_next().is_some(),
        }
    }

    async fn has_ended_well(&mut self) -> Result<(), String> {
        let Self::Program { process, .. } = self else { return Ok(()) };
        let ended = tokio::time::timeout(LIMIT, async {
            let mut looks = tokio::time::interval(LOOK_AGAIN);
            loop {
                looks.tick().await;
                if let Some(status) = process.ended() {
                    return status;
                }
            }
        });
        match ended.await {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(status.to_string()),
            Err(_) => Err("it said that it has ended, and has not".to_owned()),
        }
    }
}

/// `5 lines, the last: …`
fn told(lines: &[Line]) -> String {
    lines
        .last()
        .map_or("nothing".to_owned(), |line| format!("{} lines, last {line:?}", lines.len()))
}

/// Complains unless `lines` are these frames, in this order, each once and byte for byte, and then
/// the end.
pub(crate) fn compare(lines: &[Line], frames: &[Frame], end: &str) -> Result<(), String> {
    let expected: Vec<Line> = frames.iter().map(Line::of).collect();
    let Some((Line::End { end: ended, .. }, events)) = lines.split_last() else {
        return Err(format!("no end: {}", told(lines)));
    };
    let differs = events.iter().zip(&expected).position(|(line, expected)| line != expected);
    if let Some(at) = differs {
        return Err(format!("{:?} came for {:?}", events[at], expected[at]));
    }
    if events.len() != expected.len() {
        return Err(format!("{} events of {}", events.len(), expected.len()));
    }
    if ended != end { Err(format!("`{ended}` for `{end}`")) } else { Ok(()) }
}

#[test]
fn what_is_missing_doubled_altered_or_ends_otherwise_is_complained_of() {
    let list = [("execution.started", serde_json::json!({})), ("done", serde_json::json!({}))];
    let frames = super::digest::frames(&list);
    let whole: Vec<Line> = frames.iter().map(Line::of).collect();
    let check = |lines: &[Line], end: &str| {
        compare(&[lines, &[Line::end(end)]].concat(), &frames, "closed")
    };
    assert_eq!(check(&whole, "closed"), Ok(()));
    assert!(check(&whole, "ended").is_err());
    assert!(check(&whole[..1], "closed").is_err() && check(&whole[1..], "closed").is_err());
    assert!(check(&[whole[0].clone(), whole[0].clone(), whole[1].clone()], "closed").is_err());
    assert!(check(&[whole[0].clone(), Line::event("2", "done", "{}")], "closed").is_err());
    assert!(compare(&whole, &frames, "closed").is_err(), "no end");
}
