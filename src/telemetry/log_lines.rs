//! Log lines on stderr, for people or as JSON, and a word about each panic.
//!
//! Promises: the level can be changed while it runs; libraries that carry credentials never log below `info`, whatever the level says
//! (at `trace` they print whole request heads, Authorization included); a panic's line holds its
//! place, and its message only if that is fixed text, since a formatted one may hold a secret.

use std::io::{self, IsTerminal as _};
use std::panic::PanicHookInfo;

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{LogFormat, Telemetry};
use crate::http::admin::LogLevel;

/// Libraries through which request heads go.
const CAPPED: [&str; 7] = ["hyper", "hyper_util", "h2", "rustls", "reqwest", "tower", "axum"];

/// Starts the log and the panic hook, once for the process; gives the way to change the level.
pub fn start(settings: &Telemetry) -> LogLevel {
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let (filter, reload) = reload::Layer::new(filter(settings.level));
    let registry = tracing_subscriber::registry();
    let started = match settings.format {
        LogFormat::Human => {
            let lines = lines.with_ansi(io::stderr().is_terminal());
            registry.with(lines.with_filter(filter)).try_init()
        }
        LogFormat::Json => registry.with(lines.json().with_filter(filter)).try_init(),
    };
    if started.is_err() {
        tracing::warn!("the log was started before; this start is ignored");
    }
    std::panic::set_hook(Box::new(on_panic));
    LogLevel::new(settings.level, move |level| reload.reload(self::filter(level)).is_ok())
}

fn filter(level: Level) -> Targets {
    let capped = LevelFilter::from_level(level.min(Level::INFO));
    let default = Targets::new().with_default(LevelFilter::from_level(level));
    CAPPED.into_iter().fold(default, |targets, library| targets.with_target(library, capped))
}

fn on_panic(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or_default();
    let message = info.payload().downcast_ref::<&'static str>();
    let message = message.copied().unwrap_or("(a formatted message, withheld)");
    tracing::error!(place, thread, message, "panicked");
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What is logged when somebody panics so.
    fn logged(panics: impl FnOnce() + std::panic::UnwindSafe) -> String {
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = tracing_subscriber::fmt().with_writer(Log(Arc::clone(&log))).finish();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(on_panic));
        let ended = tracing::subscriber::with_default(lines, || std::panic::catch_unwind(panics));
        std::panic::set_hook(before);
        assert!(ended.is_err());
        let log = log.lock().expect("nobody panics while it is written");
        String::from_utf8_lossy(&log).into_owned()
    }

    #[derive(Clone)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panics while it is written").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl tracing_subscriber::fmt::MakeWriter<'_> for Log {
        type Writer = Self;
        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_panic_is_told_with_its_place_and_nothing_that_was_put_into_its_message() {
        let secret = "canary-1234";
        let told = logged(|| panic!("a broken law"));
        assert!(told.contains("a broken law") && told.contains("log_lines.rs"), "{told}");
        let told = logged(move || panic!("no place for {secret}"));
        assert!(told.contains("log_lines.rs") && !told.contains("canary"), "{told}");
    }

    #[test]
    fn libraries_that_carry_credentials_are_capped_at_info_and_follow_below_it() {
        let loud = filter(Level::TRACE);
        for library in CAPPED {
            assert!(loud.would_enable(library, &Level::INFO), "{library}");
            assert!(!loud.would_enable(&format!("{library}::proto"), &Level::DEBUG), "{library}");
        }
        assert!(loud.would_enable("afterbay::turn", &Level::TRACE));
        let quiet = filter(Level::ERROR);
        assert!(!quiet.would_enable("hyper", &Level::INFO));
        assert!(!quiet.would_enable("afterbay", &Level::WARN));
    }
}
