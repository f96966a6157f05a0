//! `afterbay serve`: configuration, telemetry, listeners, then the server until it is stopped.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;

use super::USAGE;
use crate::config::{self, Config, Environment, Flags, Handed, Loaded};
use crate::http::admin::LogLevel;
use crate::server::{self, Listeners, Outside, Reread};
use crate::shutdown::{Hangups, Signals};
use crate::supervisor::Supervisor;
use crate::telemetry;

/// Serve clients: start turns at the box, log them, replay them
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    /// A TOML file with further settings; AFTERBAY_CONFIG names one too
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

const HELP: &str = "\
Example:
  afterbay serve --box http://127.0.0.1:4096 --kind opencode
  curl -N http://127.0.0.1:8788/agents/run/stream \\
    -H 'content-type: application/json' -d '{\"sessionId\":\"s1\",\"message\":\"Say hello\"}'

Each flag has a variable: --data-dir is AFTERBAY_DATA_DIR. A flag wins over its variable, the
variable over the file, the file over the default. Durations look like 500ms, 60s, 5m, 24h.

Further boxes are tables [boxes.NAME] of the file, each below /box/NAME/.

Secrets are never flags: AFTERBAY_BOX_CREDENTIAL (the value of an Authorization header), or
AFTERBAY_BOX_CREDENTIAL_FILE, or `credential_file` under [box] in the file; likewise
AFTERBAY_CREDENTIALS_KEY, AFTERBAY_CREDENTIALS_KEY_FILE or `credentials_key_file`.

Stop it with SIGTERM or SIGINT: streams end, turns stay in the log and go on at the next start.
A second signal exits at once. SIGHUP has it read its configuration anew.";

/// Runs until it is stopped; the exit code says how that went.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    let Arguments { config: file, flags } = arguments;
    let handed = match Handed::of_process(environment) {
        Ok(handed) => handed,
        Err(mistake) => {
            eprintln!("afterbay: {mistake}");
            return ExitCode::from(USAGE);
        }
    };
    let environment = &environment.standing_on(handed.addresses());
    let Loaded { config, warnings } = match config::load(file.as_deref(), flags, environment) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            eprintln!("afterbay: {mistakes}See `afterbay serve --help`.");
            return ExitCode::from(USAGE);
        }
    };
    let level = telemetry::log_lines::start(&config.telemetry);
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    let supervisor = Supervisor::of(environment);
    let (file, flags, environment) = (file.clone(), flags.clone(), environment.clone());
    let reread = Arc::new(move || config::load(file.as_deref(), &flags, &environment));
    let around = Around { handed, supervisor, level, reread };
    match on_a_runtime(config, around) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "afterbay cannot go on");
            ExitCode::FAILURE
        }
    }
}

/// What the process was started with and in.
struct Around {
    handed: Handed,
    supervisor: Supervisor,
    level: LogLevel,
    reread: Reread,
}

fn on_a_runtime(config: Config, around: Around) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    let ended = runtime.block_on(serve(config, around));
    // Whatever still hangs was named when the grace ended; it must not hold the process.
    runtime.shutdown_background();
    ended
}

async fn serve(config: Config, around: Around) -> anyhow::Result<ExitCode> {
    let Around { handed, supervisor, level, reread } = around;
    let mut signals = Signals::listen().context("listen for signals")?;
    let hangups = Hangups::listen().context("listen for signals")?;
    server::raise_descriptor_limit();
    let listeners = Listeners::open(&config.listen, handed)?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let outside = Outside { supervisor: &supervisor, hangups, reread, level };
    let server = server::run(config, listeners, outside, async {
        // The sender lives as long as the server.
        let _ = stopped.await;
    });
    tokio::pin!(server);
    // Dropping `next` loses nothing: a signal stays pending until it is taken.
    tokio::select! {
        ended = &mut server => return ended.map(|()| ExitCode::SUCCESS),
        signal = signals.next() => tracing::info!(signal = signal.name(), "told to stop"),
    }
    let _ = stop.send(());
    tokio::select! {
        ended = &mut server => ended.map(|()| ExitCode::SUCCESS),
        signal = signals.next() => {
            tracing::warn!(signal = signal.name(), "told to stop again: exit at once");
            Ok(ExitCode::from(signal.exit_code()))
        }
    }
}
