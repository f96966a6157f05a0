//! `afterbay status`: how a running afterbay goes, in a few lines.

use std::io::{self, Write as _};
use std::process::ExitCode;

use serde_json::Value;

use super::daemon::{Daemon, Which};
use super::failure::Failure;
use super::screen::{Paint, brief, harmless};
use crate::config::Environment;
use crate::limits;

/// Say how a running afterbay goes: ready or not and why, since when, how many sessions and turns
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Print the daemon's answer as it is, one JSON object
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Examples:
  afterbay status
  afterbay status --data-dir /var/lib/afterbay
  afterbay status --json | jq .turns
  until afterbay status >/dev/null; do sleep 1; done

It reads the daemon's addresses and the operators' token in the data folder, so it runs as the same
user. Ready means that new turns are taken: the log is open, there is room, unfinished turns have
been taken up again, and it is not stopping.

Exit code 0: ready. 1: not ready. 2: the command or the configuration is wrong. 3: no afterbay answers.";

/// Asks and tells; the exit code says whether it is ready.
pub(super) async fn run(
    arguments: &Arguments,
    environment: &Environment,
) -> Result<ExitCode, Failure> {
    let Arguments { which, json } = arguments;
    let status = Daemon::of(which, environment)?.get("/admin/status").await?;
    let mut out = io::stdout().lock();
    if *json {
        writeln!(out, "{status}")?;
    } else {
        out.write_all(lines(&status, Paint::of(&io::stdout(), environment)).as_bytes())?;
    }
    let is_ready = status.pointer("/readiness/ready") == Some(&Value::Bool(true));
    Ok(if is_ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn lines(status: &Value, paint: Paint) -> String {
    let text = |path: &str| match status.pointer(path) {
        Some(Value::String(text)) => harmless(text, limits::TAIL_LINE_CHARS),
        Some(other) => other.to_string(),
        None => "?".to_owned(),
    };
    let names = |path: &str| -> Vec<&str> {
        let list = status.pointer(path).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let missing = names("/readiness/missing");
    let ready = if missing.is_empty() {
        paint.good("ready")
    } else {
        format!("{}, for want of: {}", paint.bad("not ready"), missing.join(", "))
    };
    let up = status.pointer("/uptimeMs").and_then(Value::as_u64).map_or_else(String::new, brief);
    let boxes = status.pointer("/readiness/boxes").and_then(Value::as_array).into_iter().flatten();
    let boxes = boxes
        .filter_map(|one| Some(format!("{} ({})", one["name"].as_str()?, one["kind"].as_str()?)));
    let boxes = boxes.collect::<Vec<_>>().join(", ");
    let turns = status.pointer("/turns").and_then(Value::as_object).into_iter().flatten();
    let turns =
        turns.map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>().join(", ");
    let running =
        if turns.is_empty() { "0".to_owned() } else { format!("{} ({turns})", text("/running")) };
    format!(
        "{ready}\nversion   {}, process {}, up {up}\nclients   {}\nlog       {}, lines from {} up\n\
         mode      {}\nboxes     {}\nsessions  {}\nrunning   {running}\n",
        text("/version"),
        text("/processId"),
        text("/clients"),
        text("/readiness/log"),
        text("/logLevel"),
        text("/readiness/mode"),
        harmless(if boxes.is_empty() { "none" } else { &boxes }, usize::MAX),
        text("/sessions"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_missing_is_told_first() {
        let status = json!({
            "version": "1", "processId": 7, "uptimeMs": 61_000, "clients": "http://127.0.0.1:1",
            "logLevel": "info", "sessions": 3, "running": 2, "turns": {"running": 1, "waiting": 1},
            "readiness": {"ready": false, "missing": ["room", "not draining"], "log": "open",
                "mode": "poll", "boxes": [{"name": "a", "kind": "tangle"}]},
        });
        let told = lines(&status, Paint::Plain);
        assert!(told.starts_with("not ready, for want of: room, not draining\n"), "{told}");
        for part in ["up 1m01s", "a (tangle)", "running   2 (1 running, 1 waiting)", "process 7"] {
            assert!(told.contains(part), "{part} in {told}");
        }
    }
}
