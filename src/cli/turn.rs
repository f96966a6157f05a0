//! `afterbay turn`: sends a prompt as a client does, and follows its turn to the verdict.

use std::io::{self, Read as _, Write as _};
use std::pin::pin;
use std::process::ExitCode;

use http::Method;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::{Value, json};
use uuid::Uuid;

use super::clients_door::{AsClient, ClientsDoor};
use super::daemon::{Daemon, Which, whole_of};
use super::event_line::{Form, show};
use super::failure::Failure;
use super::follow::{Follower, Source};
use super::progress::Progress;
use super::screen::Paint;
use crate::config::Environment;
use crate::ids::{BoxName, SessionId};
use crate::limits;
use crate::sse::parser::Frame;

/// Send a prompt, and follow its turn to the end; go on over cuts and restarts
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    /// The prompt; `-` reads it from stdin
    prompt: String,
    #[command(flatten)]
    which: Which,
    /// Where clients connect, as a URL, if it is not what the data folder tells
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The box
    #[arg(long = "box", value_name = "NAME", default_value = "default")]
    box_name: String,
    /// The session; a new one unless said
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    #[command(flatten)]
    as_client: AsClient,
    /// Print frames as they are on the wire instead of a line for each
    #[arg(long, conflicts_with = "text")]
    raw: bool,
    /// Print the agent's answer alone, at the end
    #[arg(long)]
    text: bool,
}

const HELP: &str = "\
Examples:
  afterbay turn 'Say hello'
  afterbay turn --session s1 --text 'What did you say?'
  git diff | afterbay turn --text -
  afterbay turn --url http://bay.example:8788 --authorization-file ~/.bay 'Say hello'

It is a client like any other: it shows the credential of that file, or none. On a terminal a line says how many
events came and for how long it has been quiet. Ctrl-C leaves the turn running; `afterbay tail` finds it.

Exit code 0: the turn completed. 1: it failed, was cancelled or refused. 2: the command or the configuration is
wrong. 3: no afterbay answers.";

/// Sends, follows and tells.
pub(super) async fn run(
    arguments: &Arguments,
    environment: &Environment,
) -> Result<ExitCode, Failure> {
    let client = Client::of(arguments, environment)?;
    let mut progress = Progress::new(environment);
    let session = session(arguments.session.as_deref())?;
    let started = pin!(client.start(&session, prompt(&arguments.prompt)?));
    let execution = progress.while_waiting(started).await?;
    eprintln!("session {session}, execution {execution}");
    let mut follower = client.follow(&execution);
    let form = if arguments.raw {
        Form::Frames
    } else {
        Form::Lines(Paint::of(&io::stdout(), environment))
    };
    let mut answer = String::new();
    loop {
        let next = pin!(follower.next());
        let Some(frame) = progress.while_waiting(next).await? else {
            return Err(Failure::Refused("the stream ended without a verdict".to_owned()));
        };
        progress.event();
        if !arguments.text {
            io::stdout().lock().write_all(show(&frame, form).as_bytes())?;
        }
        if frame.name == "result" {
            answer = text_of(&frame, "finalText");
        }
        if frame.name == "error" && arguments.text {
            eprintln!("{}", show(&frame, form).trim_end());
        }
        if frame.name == "done" {
            if arguments.text {
                writeln!(io::stdout().lock(), "{answer}")?;
            }
            let has_completed = text_of(&frame, "status") == "success";
            return Ok(if has_completed { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
    }
}

fn text_of(frame: &Frame, key: &str) -> String {
    let data: Value = serde_json::from_str(&frame.data).unwrap_or_default();
    data.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn session(given: Option<&str>) -> Result<SessionId, Failure> {
    let minted = || format!("cli-{}", Uuid::now_v7().simple());
    let text = given.map_or_else(minted, str::to_owned);
    SessionId::parse(&text).map_err(|wrong| Failure::Usage(wrong.to_string()))
}

fn prompt(given: &str) -> Result<String, Failure> {
    if given != "-" {
        return Ok(given.to_owned());
    }
    let mut text = String::new();
    let most = limits::MAX_TURN_BODY_BYTES as u64;
    let read = io::stdin().lock().take(most).read_to_string(&mut text);
    read.map_err(|error| Failure::Usage(format!("read stdin: {error}")))?;
    Ok(text)
}

/// A client of one box.
struct Client {
    door: ClientsDoor,
    base: String,
    box_name: BoxName,
}

impl Client {
    fn of(arguments: &Arguments, environment: &Environment) -> Result<Self, Failure> {
        let Arguments { which, url, box_name, as_client, .. } = arguments;
        let base = match url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => Daemon::of(which, environment)?.clients()?,
        };
        let box_name =
            BoxName::parse(box_name).map_err(|wrong| Failure::Usage(wrong.to_string()))?;
        let door = ClientsDoor::to(&base, as_client, which, environment)?;
        Ok(Self { door, base, box_name })
    }

    /// Starts a turn and gives its execution id.
    async fn start(&self, session: &SessionId, prompt: String) -> Result<String, Failure> {
        let Self { door, base, box_name } = self;
        let url = format!("{base}/afterbay/v1/boxes/{box_name}/sessions/{session}/turns");
        let key = HeaderValue::from_str(&Uuid::now_v7().to_string());
        // Should anything on the way send it twice, it runs once.
        let key = key.ok().map(|key| (HeaderName::from_static("idempotency-key"), key));
        let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = json!({"message": prompt}).to_string().into();
        let headers = [json].into_iter().chain(key);
        let started = whole_of(door.ask(Method::POST, &url, headers, body).await?).await?;
        let nonsense = || Failure::Refused("the answer names no execution".to_owned());
        let execution = started.get("executionId").and_then(Value::as_str);
        Ok(execution.ok_or_else(nonsense)?.to_owned())
    }

    fn follow(&self, execution: &str) -> Follower {
        let Self { door, base, box_name } = self;
        let url = format!("{base}/box/{box_name}/agents/executions/{execution}/events");
        Follower::new(Source::Anywhere { door: Box::new(door.clone()), url }, None)
    }
}
