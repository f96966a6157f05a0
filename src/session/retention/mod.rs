//! What is kept of turns that are over, and what goes: by age, by bytes, by the room on the disk.
//!
//! One task looks every few seconds. `plan` says what has to go, `tombs` what is remembered of it,
//! this file does it. The order under pressure: old turns go, then new turns are refused ([`Room`]);
//! a turn that runs loses nothing.
//!
//! Durable: a turn is forgotten in memory only after the log has what is remembered of it.

mod plan;
mod tombs;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::event::Seq;
use crate::limits;
use crate::log::{self, Batch, Usage};
use crate::metrics::retention::Metrics;
use crate::turn::control::wall_ms;
pub use plan::Keep;
use plan::{Measured, Plan, Trim};

use super::Session;
use super::registry::Sessions;

/// Whether there is room for new turns. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Room(Arc<AtomicBool>);

impl Room {
    /// There is none: new turns are refused.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set_short(&self, short: bool) {
        if self.0.swap(short, Ordering::Relaxed) == short {
            return;
        }
        if short {
            tracing::error!(
                "new turns are refused: the log has as much as it may keep, or its disk is nearly \
                 full, and nothing more of it can go"
            );
        } else {
            tracing::info!("there is room for new turns again");
        }
    }
}

/// Looks after what the sessions keep.
#[derive(Debug)]
pub struct Retention {
    sessions: Sessions,
    metrics: Metrics,
}

/// What a look found.
struct Survey {
    plan: Plan,
    usage: Usage,
    tombstones: usize,
}

impl Retention {
    /// Of these sessions.
    #[must_use]
    pub const fn new(sessions: Sessions, metrics: Metrics) -> Self {
        Self { sessions, metrics }
    }

    /// Looks again and again, until it is told to stop.
    pub async fn run(self) {
        let stop = self.sessions.tasks().stop_token().clone();
        loop {
            self.look(wall_ms()).await;
            // Both arms only wait.
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(limits::RETENTION_INTERVAL) => {}
            }
        }
    }

    /// Looks once, as if it were `now_ms`, and does what has to be done.
    // Cancel-safe: what the log has cut off and the session does not know yet is only cut once more.
    pub async fn look(&self, now_ms: u64) {
        let sessions = self.sessions.clone();
        let surveying = tokio::task::spawn_blocking(move || Survey::of(&sessions, now_ms));
        let survey = surveying.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let Survey { plan: Plan { trims, is_pressed }, usage, tombstones } = match survey {
            Ok(survey) => survey,
            Err(error) => {
                return tracing::warn!(%error, "cannot ask how much room the log has");
            }
        };
        let Usage { files, kept, free } = usage;
        let metrics = &self.metrics;
        let gauges = [
            (&metrics.tombstones, tombstones as u64),
            (&metrics.file_bytes, files),
            (&metrics.kept_bytes, kept),
            (&metrics.free_bytes, free),
        ];
        for (gauge, value) in gauges {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        let has_trimmed = self.trim_all(trims, now_ms).await;
        let is_short = is_pressed && !has_trimmed;
        self.sessions.room().set_short(is_short);
        metrics.refusing.set(is_short.into());
    }

    /// Does what was planned, one session after the other. Whether anything was cut off.
    async fn trim_all(&self, trims: Vec<Trim>, now_ms: u64) -> bool {
        let mut has_trimmed = false;
        for Trim { key, through } in trims {
            if self.sessions.tasks().stop_token().is_cancelled() {
                break;
            }
            let Some(session) = self.sessions.by_key(key) else { continue };
            match self.trim(&session, through, now_ms).await {
                Ok(cut) => has_trimmed |= cut,
                Err(error) => {
                    tracing::warn!(%error, session = %session.id(), "cannot trim a session");
                    break;
                }
            }
        }
        has_trimmed
    }

    /// Cuts a session behind the last event of a turn that is over; false if the log cannot be cut
    /// there.
    async fn trim(
        &self,
        session: &Arc<Session>,
        through: Seq,
        now_ms: u64,
    ) -> Result<bool, log::Error> {
        let (of, age) = (Arc::clone(session), self.sessions.keep().idempotency_age);
        // What there is to write of a session with thousands of turns takes a while.
        let summing = tokio::task::spawn_blocking(move || {
            let summary = of.summary(through, now_ms, age);
            let record = summary.encode();
            (summary, record)
        });
        let Ok((summary, record)) = summing.await else { return Err(log::Error::Closed) };
        let before = session.log.bytes();
        match session.log.trim(through, Batch::default().control(record)).await {
            Ok(Some(_)) => {}
            Ok(None) | Err(log::Error::Read(_)) => {
                tracing::warn!(session = %session.id(), %through, "cannot cut the log behind a turn");
                session.cannot_be_cut(through);
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        let buried = session.bury(&self.sessions, summary, now_ms, age);
        let bytes = before.saturating_sub(session.log.bytes());
        tracing::info!(
            session = %session.id(), %through, turns = buried.turns, bytes, "trimmed a session"
        );
        if buried.forgotten_early > 0 {
            let turns = buried.forgotten_early;
            tracing::warn!(
                session = %session.id(), turns, "forgot turns before their time, they are too many"
            );
        }
        self.metrics.trims.inc();
        self.metrics.trimmed_turns.inc_by(buried.turns);
        self.metrics.trimmed_events.inc_by(buried.events);
        self.metrics.trimmed_bytes.inc_by(bytes);
        self.metrics.forgotten_early.inc_by(buried.forgotten_early);
        Ok(true)
    }
}

impl Survey {
    /// Forgets what has been remembered for long enough, and plans. Blocks.
    fn of(sessions: &Sessions, now_ms: u64) -> io::Result<Self> {
        let all = sessions.all();
        let tombstones = all.iter().map(|session| session.forget(sessions, now_ms)).sum();
        let usage = sessions.store().usage()?;
        let holdings: Vec<_> = all.iter().map(|session| session.holding()).collect();
        let measured = Measured { now_ms, kept: usage.kept, free: usage.free };
        let plan = plan::plan(sessions.keep(), measured, &holdings);
        Ok(Self { plan, usage, tombstones })
    }
}
