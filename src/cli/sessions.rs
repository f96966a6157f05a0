//! `afterbay sessions`: which sessions a running afterbay has, as a table or as JSON.

use std::io::{self, Write as _};
use std::process::ExitCode;

use serde_json::Value;

use super::daemon::{Daemon, Which};
use super::failure::Failure;
use super::screen::{Paint, brief, harmless, table};
use crate::config::Environment;
use crate::limits;

/// List the sessions of a running afterbay, newest first, each with its newest turn
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Those on this box
    #[arg(long = "box", value_name = "NAME")]
    box_name: Option<String>,
    /// Those in which a turn runs, or in which none does
    #[arg(long, value_name = "STATE", value_parser = ["busy", "idle"])]
    state: Option<String>,
    /// Those whose newest turn ended so
    #[arg(long, value_name = "OUTCOME", value_parser = ["completed", "failed", "cancelled"])]
    outcome: Option<String>,
    /// Those with this text in a name of theirs, or of their newest turn
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// The most sessions
    #[arg(long, value_name = "N", default_value_t = limits::PAGE_SESSIONS,
        value_parser = clap::value_parser!(u64).range(1..=limits::MAX_PAGE_SESSIONS))]
    limit: u64,
    /// Go on after a page: its `nextPage`
    #[arg(long, value_name = "PAGE")]
    page: Option<String>,
    /// Print the daemon's answer as it is, one JSON object
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Examples:
  afterbay sessions --state busy
  afterbay sessions --outcome failed --limit 10
  afterbay sessions --search exec_42 --json | jq '.sessions[].newestTurn.code'

AGE is from a turn's acceptance to its end, or to now; QUIET how long a running turn has shown nothing new.

Exit code 0: listed, be there any or not. 1: refused. 2: the command or the configuration is wrong.
3: no afterbay answers.";

/// Asks and tells.
pub(super) async fn run(
    arguments: &Arguments,
    environment: &Environment,
) -> Result<ExitCode, Failure> {
    let page = Daemon::of(&arguments.which, environment)?.get(&target(arguments)).await?;
    let mut out = io::stdout().lock();
    if arguments.json {
        writeln!(out, "{page}")?;
        return Ok(ExitCode::SUCCESS);
    }
    out.write_all(rows(&page, Paint::of(&io::stdout(), environment)).as_bytes())?;
    if let Some(next) = page.get("nextPage").and_then(Value::as_str) {
        eprintln!("more follow: --page {}", harmless(next, limits::TAIL_LINE_CHARS));
    }
    Ok(ExitCode::SUCCESS)
}

fn target(arguments: &Arguments) -> String {
    let Arguments { box_name, state, outcome, search, limit, page, which: _, json: _ } = arguments;
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &limit.to_string());
    let given = [
        ("box", box_name),
        ("state", state),
        ("outcome", outcome),
        ("search", search),
        ("page", page),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    format!("/admin/sessions?{}", query.finish())
}

const HEADS: [&str; 9] =
    ["SESSION", "BOX", "STATE", "TURNS", "EVENTS", "AGE", "QUIET", "OUTCOME", "EXECUTION"];

fn rows(page: &Value, paint: Paint) -> String {
    let sessions = page.get("sessions").and_then(Value::as_array).into_iter().flatten();
    let rows: Vec<_> =
        std::iter::once(HEADS.map(str::to_owned).to_vec()).chain(sessions.map(row)).collect();
    let text = table(&rows);
    let (head, rest) = text.split_once('\n').unwrap_or((&text, ""));
    format!("{}\n{rest}", paint.dim(head))
}

fn row(session: &Value) -> Vec<String> {
    let turn = &session["newestTurn"];
    let text = |value: &Value| match value {
        Value::String(text) => harmless(text, limits::TAIL_LINE_CHARS),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => "-".to_owned(),
    };
    let time = |value: &Value| value.as_u64().map_or_else(|| "-".to_owned(), brief);
    let outcome = match turn["code"].as_str() {
        Some(code) => format!("{} {}", text(&turn["outcome"]), harmless(code, 40)),
        None => text(&turn["outcome"]),
    };
    // A turn's own state says more than `busy`.
    let state =
        if session["state"] == "busy" { text(&turn["state"]) } else { text(&session["state"]) };
    vec![
        text(&session["id"]),
        text(&session["box"]),
        state,
        text(&session["turnCount"]),
        text(&session["lastEventId"]),
        time(&turn["ageMs"]),
        time(&turn["quietMs"]),
        outcome,
        text(&turn["executionId"]),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_session_is_a_row_and_nothing_in_it_breaks_the_table() {
        let page = json!({"sessions": [
            {"id": "a\u{1b}b", "box": "default", "state": "busy", "turnCount": 1, "lastEventId": 9,
                "newestTurn": {"executionId": "e-1", "state": "waiting", "ageMs": 5000, "quietMs": 100}},
            {"id": "c", "box": "default", "state": "idle", "turnCount": 2, "lastEventId": 4, "newestTurn":
                {"executionId": "e-2", "state": "finished", "ageMs": 1, "outcome": "failed", "code": "BOX_LOST"}},
        ]});
        let told = rows(&page, Paint::Plain);
        let lines: Vec<Vec<&str>> =
            told.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(
            lines[1],
            ["a\\u{1b}b", "default", "waiting", "1", "9", "5s", "100ms", "-", "e-1"]
        );
        assert_eq!(lines[2][7..], ["failed", "BOX_LOST", "e-2"]);
        assert_eq!(lines.len(), 3);
    }
}
