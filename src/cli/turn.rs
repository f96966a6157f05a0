//! `afterbay turn`: sends a prompt as a client does, and follows its turn to the verdict.

use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;

use serde_json::{Value, json};
use uuid::Uuid;

use super::authorization;
use super::daemon::{Daemon, Which, http_client, told, whole};
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
    /// Where clients connect, if it is not what the data folder tells: an http:// URL
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The box
    #[arg(long = "box", value_name = "NAME", default_value = "default")]
    box_name: String,
    /// The session; a new one unless said
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// A file with the value of the Authorization header, as `Bearer …`
    #[arg(long, value_name = "FILE")]
    authorization_file: Option<PathBuf>,
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
    http: reqwest::Client,
    base: String,
    box_name: BoxName,
    authorization: Option<String>,
}

impl Client {
    fn of(arguments: &Arguments, environment: &Environment) -> Result<Self, Failure> {
        let Arguments { which, url, box_name, authorization_file, .. } = arguments;
        let base = match url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => Daemon::of(which, environment)?.clients()?,
        };
        if !base.starts_with("http://") {
            let what = "clients connect by https, which is not spoken here; give --url with an http:// one";
            return Err(Failure::Usage(what.to_owned()));
        }
        let box_name =
            BoxName::parse(box_name).map_err(|wrong| Failure::Usage(wrong.to_string()))?;
        let authorization = authorization_file.as_deref().map(authorization::read).transpose()?;
        Ok(Self { http: http_client()?, base, box_name, authorization })
    }

    /// Starts a turn and gives its execution id.
    async fn start(&self, session: &SessionId, prompt: String) -> Result<String, Failure> {
        let Self { http, base, box_name, authorization } = self;
        let url = format!("{base}/afterbay/v1/boxes/{box_name}/sessions/{session}/turns");
        let mut request = http.post(url).timeout(limits::COMMAND_CALL_TIMEOUT);
        // Should anything on the way send it twice, it runs once.
        request = request.header("idempotency-key", Uuid::now_v7().to_string());
        request = request.header(reqwest::header::CONTENT_TYPE, "application/json");
        if let Some(value) = authorization {
            request = request.header(reqwest::header::AUTHORIZATION, value);
        }
        let answer = request.body(json!({"message": prompt}).to_string()).send().await;
        let unreachable = |error| Failure::Unreachable(format!("no answer: {}", told(error)));
        let started = whole(answer.map_err(unreachable)?).await?;
        let nonsense = || Failure::Refused("the answer names no execution".to_owned());
        let execution = started.get("executionId").and_then(Value::as_str);
        Ok(execution.ok_or_else(nonsense)?.to_owned())
    }

    fn follow(&self, execution: &str) -> Follower {
        let Self { http, base, box_name, authorization } = self;
        let url = format!("{base}/box/{box_name}/agents/executions/{execution}/events");
        let source =
            Source::Anywhere { http: http.clone(), url, authorization: authorization.clone() };
        Follower::new(source, None)
    }
}
