//! `afterbay tail`: the events of a session, or of any event stream, as they come, over cuts and restarts.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::str::FromStr;

use serde_json::Value;

use super::clients_door::{AsClient, ClientsDoor};
use super::daemon::{Daemon, Which};
use super::event_line::{Form, show};
use super::failure::Failure;
use super::follow::{Follower, Source};
use super::screen::Paint;
use crate::config::Environment;
use crate::ids::SessionId;

/// Show the events of a session as they come; go on over cuts and restarts
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    /// A session, by its key or any of its names; or the URL of an event stream
    #[arg(value_name = "SESSION|URL")]
    what: String,
    #[command(flatten)]
    which: Which,
    /// The session's box, if boxes share its name
    #[arg(long = "box", value_name = "NAME")]
    box_name: Option<String>,
    /// Begin with this event; `end`: with the next one that comes
    #[arg(long, value_name = "ID|end", default_value = "1")]
    from: From,
    /// Print frames as they are on the wire instead of a line for each
    #[arg(long)]
    raw: bool,
    /// End when no turn runs, instead of waiting for the next one
    #[arg(long)]
    until_idle: bool,
    #[command(flatten)]
    as_client: AsClient,
}

const HELP: &str = "\
Examples:
  afterbay tail s1
  afterbay tail s1 --from end
  afterbay tail s1 --raw --until-idle > s1.sse && afterbay verify --transcript s1.sse
  afterbay tail http://127.0.0.1:8788/agents/executions/exec_42/events

A session is read with the operators' token of the data folder, so any session can be. A URL is read as any
client would. Each event is shown once: after a cut, or when afterbay is restarted, it comes back with the
last id. Ctrl-C ends it.

Exit code 0: the stream is over. 1: refused. 2: the command or the configuration is wrong. 3: no afterbay
answers, and none has before.";

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Event(u64),
    End,
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "end" {
            return Ok(Self::End);
        }
        text.parse()
            .map(Self::Event)
            .map_err(|_| "is neither the number of an event nor `end`".to_owned())
    }
}

/// Follows and shows.
pub(super) async fn run(
    arguments: &Arguments,
    environment: &Environment,
) -> Result<ExitCode, Failure> {
    let (source, after) = begin(arguments, environment).await?;
    let mut follower = Follower::new(source, after);
    let form = if arguments.raw {
        Form::Frames
    } else {
        Form::Lines(Paint::of(&io::stdout(), environment))
    };
    while let Some(frame) = follower.next().await? {
        let mut out = io::stdout().lock();
        out.write_all(show(&frame, form).as_bytes())?;
        out.flush()?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn begin(
    arguments: &Arguments,
    environment: &Environment,
) -> Result<(Source, Option<u64>), Failure> {
    let Arguments { what, which, box_name, from, raw: _, until_idle, as_client } = arguments;
    if what.contains("://") {
        let From::Event(first) = *from else {
            return Err(Failure::Usage("`--from end` needs a session, not a URL".to_owned()));
        };
        let door = ClientsDoor::to(what, as_client, which, environment)?;
        let source = Source::Anywhere { door: Box::new(door), url: what.clone() };
        return Ok((source, first.checked_sub(1).filter(|after| *after > 0)));
    }
    let session = SessionId::parse(what).map_err(|wrong| Failure::Usage(wrong.to_string()))?;
    let daemon = Daemon::of(which, environment)?;
    let on_box = || {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(box_name.iter().map(|name| ("box", name)));
        query
    };
    let path = format!("/admin/sessions/{session}");
    let after = match from {
        From::Event(first) => first.saturating_sub(1),
        From::End => {
            let seen = daemon.get(&format!("{path}?{}", on_box().finish())).await?;
            seen.get("lastEventId").and_then(Value::as_u64).unwrap_or(0)
        }
    };
    let mut query = on_box();
    if *until_idle {
        query.append_pair("until", "idle");
    }
    let target = format!("{path}/events?{}", query.finish());
    Ok((Source::Operators { daemon, target }, Some(after)))
}
