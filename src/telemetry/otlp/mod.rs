//! Takes ended spans to a collector of traces, by OTLP over HTTP.
//!
//! Promises: spans go in batches, one request at a time; a collector that is away, overloaded or hangs
//! costs spans and nothing else, first those that find no place in the queue; each span is counted once,
//! as exported, failed or dropped; a change between reached and not reached is logged once. When the
//! program stops, what has ended is sent once more, within a bound.
//!
//! Nothing is read of the environment here: the variables of OpenTelemetry's SDKs do not count.

mod collector;
mod message;

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::limits;
use crate::metrics::trace::{Metrics, Outcome};
use crate::tasks::Tasks;
use crate::trace::Tracer;
use crate::trace::queue::Ended;
use crate::trace::span::Finished;
use crate::upstream::connect::Connect;
use crate::upstream::endpoint::Endpoint;
use collector::{Collector, NotTaken};

/// The running export, or none.
#[derive(Debug, Default)]
pub struct Export(Tasks);

/// Starts the export to `endpoint`, if there is one; the tracer is off if not.
#[must_use]
pub fn start(
    endpoint: Option<&Endpoint>,
    connect: &Connect,
    metrics: &Metrics,
) -> (Tracer, Export) {
    let Some(endpoint) = endpoint else {
        return (Tracer::default(), Export::default());
    };
    let (tracer, ended) = Tracer::on(metrics);
    let exporter = Exporter {
        collector: Collector::new(endpoint.clone(), connect),
        ended,
        metrics: metrics.clone(),
        is_away: false,
    };
    let tasks = Tasks::new();
    tasks.spawn("export spans", exporter.run(tasks.stop_token().clone()));
    (tracer, Export(tasks))
}

impl Export {
    /// Sends what has ended and ends; takes at most [`limits::SPAN_FLUSH_WAIT`].
    pub async fn finish(self) {
        let Self(tasks) = self;
        tasks.stop();
        tasks.wait().await;
    }
}

/// Sends one batch after the other.
struct Exporter {
    collector: Collector,
    ended: Ended,
    metrics: Metrics,
    /// Whether the last sending did not reach it.
    is_away: bool,
}

impl Exporter {
    async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::new();
        // What was taken stays in `batch`. If it is just being sent, the collector may get it twice,
        // under the same ids.
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = self.forward(&mut batch) => {}
        }
        self.flush(batch).await;
    }

    /// Goes on until there will be no more spans.
    async fn forward(&mut self, batch: &mut Vec<Finished>) {
        loop {
            self.ended.take(batch, limits::MAX_SPANS_PER_REQUEST, limits::SPAN_PATIENCE).await;
            if batch.is_empty() {
                return;
            }
            self.export(batch).await;
            batch.clear();
        }
    }

    /// Sends a batch until it is taken, refused, or given up.
    async fn export(&mut self, batch: &[Finished]) {
        let mut pause = limits::FIRST_SPAN_PAUSE;
        for _ in 1..limits::SPAN_SENDINGS {
            let Some(asked) = self.send(batch).await else { return };
            let asked = asked.map(|asked| asked.max(limits::FIRST_SPAN_PAUSE));
            sleep(asked.unwrap_or(pause).min(limits::LONGEST_SPAN_PAUSE)).await;
            pause *= 2;
        }
        if self.send(batch).await.is_some() {
            self.count(Outcome::Failed, batch.len());
        }
    }

    /// Sends a batch once. Gives what the collector asks to wait, or nothing, if it is to be sent again;
    /// else the spans are counted.
    async fn send(&mut self, batch: &[Finished]) -> Option<Option<Duration>> {
        let sent = self.collector.send(batch).await;
        match &sent {
            Ok(0) => self.tell(None),
            Ok(rejected) => self.tell(Some(&format!("it rejects {rejected} of a batch"))),
            Err(error) => self.tell(Some(error)),
        }
        match sent {
            Ok(rejected) => {
                let rejected = rejected.min(batch.len());
                self.count(Outcome::Failed, rejected);
                self.count(Outcome::Exported, batch.len() - rejected);
                None
            }
            Err(NotTaken::Refused(_)) => {
                self.count(Outcome::Failed, batch.len());
                None
            }
            Err(NotTaken::Overloaded(_, asked)) => Some(asked),
            Err(NotTaken::Away(_)) => Some(None),
        }
    }

    /// Once for each change: a collector that is away for a day is one line.
    fn tell(&mut self, error: Option<&dyn Display>) {
        match error {
            Some(error) if !self.is_away => {
                tracing::warn!(%error, "spans do not reach the collector of traces");
            }
            None if self.is_away => tracing::info!("spans reach the collector of traces again"),
            Some(_) | None => {}
        }
        self.is_away = error.is_some();
    }

    /// Sends what there is, each batch once.
    async fn flush(mut self, mut batch: Vec<Finished>) {
        let ends = Instant::now() + limits::SPAN_FLUSH_WAIT;
        loop {
            let room = limits::MAX_SPANS_PER_REQUEST - batch.len();
            batch.extend(self.ended.take_now(room));
            if batch.is_empty() {
                return;
            }
            if !matches!(timeout_at(ends, self.send(&batch)).await, Ok(None)) {
                self.count(Outcome::Failed, batch.len());
            }
            batch.clear();
        }
    }

    fn count(&self, outcome: Outcome, spans: usize) {
        self.metrics.count(outcome, u64::try_from(spans).unwrap_or(u64::MAX));
    }
}
