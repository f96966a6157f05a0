//! How a family comes into being: made from its name, its help and its labels, and registered.

use prometheus::{
    Error, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};

/// A name and its help text.
pub(super) type Named<'a> = (&'a str, &'a str);

/// Makes families in one registry. Each of its functions fails if the name is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Families<'a>(pub(super) &'a Registry);

impl Families<'_> {
    pub(super) fn counter(self, (name, help): Named<'_>) -> Result<IntCounter, Error> {
        let counter = IntCounter::new(name, help)?;
        self.0.register(Box::new(counter.clone()))?;
        Ok(counter)
    }

    pub(super) fn counters(
        self,
        (name, help): Named<'_>,
        labels: &[&str],
    ) -> Result<IntCounterVec, Error> {
        let family = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(family.clone()))?;
        Ok(family)
    }

    pub(super) fn gauge(self, (name, help): Named<'_>) -> Result<IntGauge, Error> {
        let gauge = IntGauge::new(name, help)?;
        self.0.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    pub(super) fn gauges(
        self,
        (name, help): Named<'_>,
        labels: &[&str],
    ) -> Result<IntGaugeVec, Error> {
        let family = IntGaugeVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(family.clone()))?;
        Ok(family)
    }

    pub(super) fn histogram(
        self,
        (name, help): Named<'_>,
        buckets: &[f64],
    ) -> Result<Histogram, Error> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let histogram = Histogram::with_opts(options)?;
        self.0.register(Box::new(histogram.clone()))?;
        Ok(histogram)
    }

    pub(super) fn histograms(
        self,
        (name, help): Named<'_>,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec, Error> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let family = HistogramVec::new(options, labels)?;
        self.0.register(Box::new(family.clone()))?;
        Ok(family)
    }
}
