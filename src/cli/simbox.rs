//! `afterbay simbox`: a simulated box on loopback, until it is stopped; then its account.
//!
//! Its flags are the words of a prompt, as defaults for all turns.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Arg, ArgAction, ArgMatches, Command};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::USAGE;
use crate::limits;
use crate::shutdown::Signals;
use crate::simbox::{Account, Faults, Simbox, Turn, WORDS};

/// Simulate a box on loopback, with faults on request
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    /// Where to listen; loopback only, port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = limits::SIMBOX_LISTEN)]
    listen: SocketAddr,
    /// A bearer token to accept; may be given more than once. Without any, none is asked for
    #[arg(long, value_name = "TOKEN")]
    accept: Vec<String>,
    #[command(flatten)]
    defaults: Defaults,
}

const HELP: &str = "\
Example:
  afterbay simbox --idle-cut 10s --reap-buffer 5s
  afterbay serve --box http://127.0.0.1:8789 --kind tangle
  curl -N http://127.0.0.1:8788/agents/run/stream -H 'content-type: application/json' \\
    -d '{\"sessionId\":\"s1\",\"message\":\"parts=3 grow=10 step=200ms quiet=30s\"}'

Words in a prompt: the flags of turns without their dashes, as name=value, switches alone or with
=on or =off; `off` clears a flag. They hold for that turn. Other words are prose. A bad value is 400.
A MISHAP is html, empty, half, or a status: 401 403 429 500 502 503 504 522 524. `503x3` means the
first three dispatches of a turn. Times look like 200ms, 5s, 2m; sizes like 100B, 64KB, 1MB.

While it runs, under /_simbox:
  GET  /_simbox/account               what every turn did, and what was asked
  GET  /_simbox/faults                the faults; PUT replaces them: {\"assign\":true,\"step\":\"1s\"}
  POST /_simbox/crash {\"down\":\"2s\"}   forget what runs, refuse connections for so long
  POST /_simbox/tokens {\"accept\":[]}  change the accepted tokens
  POST /_simbox/answer                answer the turns that wait

Stop it with SIGTERM or SIGINT: it prints a short account.";

/// The faults of all turns, as flags.
#[derive(Debug, Clone, Default)]
struct Defaults(Faults);

impl clap::Args for Defaults {
    fn augment_args(command: Command) -> Command {
        WORDS.iter().fold(command, |command, word| {
            let scope = if word.of_turns { "Of turns" } else { "Of the whole box" };
            let flag = Arg::new(word.name).long(word.name).help(word.help).help_heading(scope);
            command.arg(if word.takes.is_empty() {
                flag.action(ArgAction::SetTrue)
            } else {
                flag.value_name(word.takes).action(ArgAction::Set)
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Defaults {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut faults = Faults::default();
        for word in WORDS {
            let text = if word.takes.is_empty() {
                matches.get_flag(word.name).then_some("on")
            } else {
                matches.get_one::<String>(word.name).map(String::as_str)
            };
            if let Some(text) = text {
                let set = faults.set(word.name, text);
                set.map_err(|mistake| {
                    clap::Error::raw(
                        clap::error::ErrorKind::ValueValidation,
                        format!("{mistake}\n"),
                    )
                })?;
            }
        }
        Ok(Self(faults))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Runs until it is stopped; the exit code says how that went.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    let Arguments { listen, accept, defaults: Defaults(faults) } = arguments;
    if !listen.ip().is_loopback() {
        eprintln!("afterbay: --listen: a simulated box listens on loopback only, not on {listen}");
        return ExitCode::from(USAGE);
    }
    let simbox = Simbox::new(faults);
    simbox.accept_tokens(accept);
    match on_a_runtime(&simbox, listen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("afterbay: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn on_a_runtime(simbox: &Simbox, listen: SocketAddr) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    runtime.block_on(serve(simbox.clone(), listen))?;
    print!("{}", table(&simbox.account()));
    Ok(())
}

async fn serve(simbox: Simbox, listen: SocketAddr) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("listen for signals")?;
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("listen on {listen}"))?;
    println!("listening on http://{}", listener.local_addr().context("read the address")?);
    let stop = CancellationToken::new();
    let server = simbox.serve(listener, stop.clone());
    tokio::pin!(server);
    // Dropping `next` loses nothing: a signal stays pending until it is taken.
    tokio::select! {
        ended = &mut server => return ended.context("serve the simulated box"),
        _ = signals.next() => stop.cancel(),
    }
    tokio::select! {
        ended = &mut server => ended.context("serve the simulated box"),
        _ = signals.next() => anyhow::bail!("told to stop again"),
    }
}

/// How many turns the table names, the newest; the account has them all.
const ROWS: usize = 40;

/// A short table of what happened.
fn table(account: &Account) -> String {
    let heads = ["turn", "state", "dispatches", "replays", "runs", "polls", "streams", "silence"];
    let older = account.turns.len().saturating_sub(ROWS);
    let rows = account.turns.iter().skip(older).map(row);
    let mut lines: Vec<_> = std::iter::once(heads.map(str::to_owned)).chain(rows).collect();
    let totals = &account.totals;
    lines.push([
        format!("{} turns", totals.turns),
        format!("{} crashes", totals.crashes),
        totals.dispatches.to_string(),
        totals.replays.to_string(),
        totals.runs.to_string(),
        totals.polls.sum().to_string(),
        totals.streams_opened.to_string(),
        format!("{} ms", totals.longest_silence_ms),
    ]);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(String::len).max().unwrap_or(0)
    };
    let line = |line: &[String; 8]| {
        let cells = line.iter().enumerate().map(|(i, cell)| format!("{cell:<0$}", width(i)));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut text = lines.iter().map(line).collect::<Vec<_>>().join("\n");
    text.push('\n');
    text
}

fn row(turn: &Turn) -> [String; 8] {
    [
        turn.execution_ids.first().cloned().unwrap_or_default(),
        format!("{:?}", turn.state).to_lowercase(),
        turn.dispatches.to_string(),
        turn.replays.to_string(),
        turn.runs.to_string(),
        turn.polls.sum().to_string(),
        turn.streams_opened.to_string(),
        format!("{} ms", turn.longest_silence_ms),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_line_for_each_turn_and_one_for_all() {
        let turn = Turn { execution_ids: vec!["exec_1".to_owned()], runs: 2, ..Turn::default() };
        let account = Account { turns: vec![turn], ..Account::default() };
        let text = table(&account);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        let cells: Vec<_> = lines[1].split_whitespace().collect();
        assert_eq!(cells, ["exec_1", "nottaken", "0", "0", "2", "0", "0", "0", "ms"]);
    }
}
