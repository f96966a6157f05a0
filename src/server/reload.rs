//! Reads the configuration anew while the program serves, on SIGHUP.
//!
//! Promises: all of it is read and judged first, and with one mistake nothing changes; no stream and no
//! connection ends. What can change is what is replaced in running deployments: own tokens, the
//! certificate and its key, the boxes' credentials, the log level. What takes a restart is named.

use std::fmt::{Debug, Write as _};
use std::sync::Arc;

use crate::config::{Config, Identity, Loaded, Mistakes};
use crate::credential::HashKey;
use crate::http::admin::LogLevel;
use crate::http::own_tokens::OwnTokens;
use crate::metrics::reload::{Metrics, Outcome};
use crate::session::boxes::Boxes;
use crate::shutdown::Hangups;
use crate::supervisor::Supervisor;

/// Reads the configuration from where it was read at the start.
pub type Reread = Arc<dyn Fn() -> Result<Loaded, Mistakes> + Send + Sync>;

/// What can be replaced while the program runs.
#[derive(Debug)]
pub(super) struct Replaceable {
    pub(super) tokens: OwnTokens,
    /// By which the tokens' holders are told apart.
    pub(super) hash_key: HashKey,
    pub(super) boxes: Boxes,
    pub(super) metrics: Metrics,
}

/// The rest of it, and what cannot be replaced.
#[derive(Debug)]
pub(super) struct Reload {
    replaceable: Replaceable,
    identity: Option<Identity>,
    level: LogLevel,
    fixed: Fixed,
}

impl Reload {
    pub(super) fn new(
        replaceable: Replaceable,
        identity: Option<Identity>,
        level: LogLevel,
        fixed: Fixed,
    ) -> Self {
        Self { replaceable, identity, level, fixed }
    }

    /// Follows each call, for ever; the supervisor hears of it.
    pub(super) async fn follow(
        &self,
        hangups: &mut Hangups,
        reread: &Reread,
        supervisor: &Supervisor,
    ) {
        loop {
            hangups.next().await;
            supervisor.reloading();
            self.run(reread).await;
            supervisor.ready();
        }
    }

    /// Reads and replaces; says in the log and in a metric how that went.
    async fn run(&self, reread: &Reread) {
        let reread = Arc::clone(reread);
        let metrics = &self.replaceable.metrics;
        match tokio::task::spawn_blocking(move || reread()).await {
            Ok(Ok(Loaded { config, warnings })) => {
                for warning in &warnings {
                    tracing::warn!("{warning}");
                }
                self.replace(config);
                metrics.count(Outcome::Done);
            }
            Ok(Err(mistakes)) => {
                let mistakes = mistakes.to_string();
                tracing::error!(%mistakes, "the configuration is wrong; all stays as it was");
                metrics.count(Outcome::Refused);
            }
            Err(error) => {
                tracing::error!(%error, "the configuration was not read; all stays as it was");
                metrics.count(Outcome::Refused);
            }
        }
    }

    fn replace(&self, config: Config) {
        let Replaceable { tokens, hash_key, boxes, metrics: _ } = &self.replaceable;
        let mut takes_a_restart = self.fixed.differs_from(&Fixed::of(&config));
        let Config { boxes: configured, tokens: own, identity, telemetry, .. } = config;
        tokens.replace(own.map(|own| (hash_key.clone(), own)));
        for one in configured {
            boxes.replace_credential(&one.name, one.credential);
        }
        match (&self.identity, identity) {
            (Some(current), Some(new)) => current.replace(new),
            (None, None) => {}
            (Some(_), None) | (None, Some(_)) => takes_a_restart.push("tls-cert, tls-key"),
        }
        if self.level.set(telemetry.level).is_none() {
            tracing::warn!("the log level stays as it was");
        }
        tracing::info!("the configuration was read anew");
        if !takes_a_restart.is_empty() {
            tracing::warn!(?takes_a_restart, "these changes count from the next start on");
        }
    }
}

/// What stays as it was at the start, part by part as text. Secrets are not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fixed([(&'static str, String); 13]);

impl Fixed {
    pub(super) fn of(config: &Config) -> Self {
        let boxes = config.boxes.iter().fold(String::new(), |mut text, one| {
            let parts = (&one.name, &one.endpoint, one.kind, &one.lane, &one.result_path);
            // Writing to a string does not fail.
            let _ = writeln!(text, "{parts:?}");
            text
        });
        Self([
            ("box, boxes (but for credentials)", boxes),
            ("api", shown(&config.api)),
            ("mode", shown(&config.mode)),
            ("data-dir", shown(&config.data_dir)),
            ("listen, admin", shown(&config.listen)),
            ("hosts, public-url, readers, origins", shown(&config.callers)),
            ("deadlines", shown(&config.deadlines)),
            ("poll", shown(&config.poll)),
            ("streams", shown(&config.streams)),
            ("retention", shown(&config.retention)),
            ("shutdown-grace", shown(&config.shutdown_grace)),
            ("log-format", shown(&config.telemetry.format)),
            ("otlp-endpoint", shown(&config.telemetry.otlp)),
        ])
    }

    /// The names of the parts in which the two are not the same.
    fn differs_from(&self, other: &Self) -> Vec<&'static str> {
        let pairs = self.0.iter().zip(&other.0);
        pairs.filter(|(one, other)| one != other).map(|((name, _), _)| *name).collect()
    }
}

fn shown(part: &impl Debug) -> String {
    format!("{part:?}")
}
