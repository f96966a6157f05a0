//! The way of ended spans from where they end to whoever takes them out of the program: bounded, and
//! nobody waits to put one in.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::span::Finished;
use crate::limits;
use crate::metrics::trace::{Metrics, Outcome};

/// Where spans are put in.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    spans: mpsc::Sender<Finished>,
    metrics: Metrics,
}

/// Where they are taken out.
#[derive(Debug)]
pub struct Ended(mpsc::Receiver<Finished>);

pub(super) fn bounded(metrics: &Metrics) -> (Queue, Ended) {
    let (spans, ended) = mpsc::channel(limits::MAX_QUEUED_SPANS);
    (Queue { spans, metrics: metrics.clone() }, Ended(ended))
}

impl Queue {
    /// Puts one in; if there is no place, it is counted and gone.
    pub(super) fn put(&self, span: Finished) {
        if self.spans.try_send(span).is_err() {
            self.metrics.count(Outcome::Dropped, 1);
        }
    }
}

impl Ended {
    /// Waits for a span, and then for others for as long as `patience`, until `taken` holds `most` of
    /// them. It stays empty if there will be no more.
    // Cancel-safe: what was taken is in `taken`, all else still in the queue.
    pub async fn take(&mut self, taken: &mut Vec<Finished>, most: usize, patience: Duration) {
        if taken.is_empty() {
            self.0.recv_many(taken, most).await;
        }
        let ends = Instant::now() + patience;
        while !taken.is_empty() && taken.len() < most {
            match timeout_at(ends, self.0.recv_many(taken, most - taken.len())).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
    }

    /// Those that are there, at most `most` of them.
    pub fn take_now(&mut self, most: usize) -> Vec<Finished> {
        std::iter::from_fn(|| self.0.try_recv().ok()).take(most).collect()
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;
    use crate::trace::Tracer;
    use crate::trace::context::TraceContext;
    use crate::trace::span::Kind;

    #[tokio::test(start_paused = true)]
    async fn what_finds_no_place_is_counted_and_nobody_waits() {
        let metrics = Metrics::new(&Registry::new()).expect("names are free");
        let (tracer, mut ended) = Tracer::on(&metrics);
        let context = TraceContext::begin();
        for _ in 0..limits::MAX_QUEUED_SPANS + 3 {
            tracer.begin("poll", Kind::Client, Some(&context)).end();
        }
        assert_eq!(metrics.counted(Outcome::Dropped), 3);
        let mut taken = Vec::new();
        ended.take(&mut taken, 10, Duration::from_secs(1)).await;
        assert_eq!(taken.len(), 10);
        assert_eq!(ended.take_now(usize::MAX).len(), limits::MAX_QUEUED_SPANS - 10);
        drop(tracer);
        taken.clear();
        ended.take(&mut taken, 10, Duration::from_secs(1)).await;
        assert_eq!(taken, []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_waits_for_company_and_not_without_end() {
        let metrics = Metrics::new(&Registry::new()).expect("names are free");
        let (tracer, mut ended) = Tracer::on(&metrics);
        let context = TraceContext::begin();
        tracer.begin("poll", Kind::Client, Some(&context)).end();
        let began = Instant::now();
        let patience = Duration::from_secs(1);
        let later = async {
            tokio::time::sleep(patience / 2).await;
            tracer.begin("append", Kind::Internal, Some(&context)).end();
        };
        let mut taken = Vec::new();
        tokio::join!(ended.take(&mut taken, 10, patience), later);
        assert_eq!(taken.iter().map(|span| span.name).collect::<Vec<_>>(), ["poll", "append"]);
        assert_eq!(began.elapsed(), patience);
    }
}
