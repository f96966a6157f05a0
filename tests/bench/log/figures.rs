//! Many measurements of one thing, and the few numbers that are shown of them.

use std::time::Duration;

/// Measurements of one thing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    pub(crate) fn with_capacity(most: usize) -> Self {
        Self(Vec::with_capacity(most))
    }

    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub(crate) fn push_time(&mut self, time: Duration) {
        self.push(time.as_secs_f64());
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn sum(&self) -> f64 {
        self.0.iter().sum()
    }

    pub(crate) fn mean(&self) -> f64 {
        self.sum() / self.len() as f64
    }

    /// The value below which this part of all values is.
    pub(crate) fn at(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        sorted.get((last as f64 * part).round() as usize).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn median(&self) -> f64 {
        self.at(0.5)
    }

    /// The least and the most, as they are shown behind a median.
    pub(crate) fn spread(&self, shown: impl Fn(f64) -> String) -> String {
        format!("{}..{}", shown(self.at(0.0)), shown(self.at(1.0)))
    }
}

/// Seconds, shown as milliseconds.
pub(crate) fn millis(seconds: f64) -> String {
    let ms = seconds * 1e3;
    let digits = if ms < 10.0 { 3 } else { 1 };
    format!("{ms:.digits$}")
}

/// A count, shown in thousands.
pub(crate) fn thousands(count: f64) -> String {
    format!("{:.1}k", count / 1e3)
}

/// Bytes, shown as MiB.
pub(crate) fn mib(bytes: f64) -> String {
    format!("{:.1}", bytes / f64::from(1 << 20))
}

/// How many times as much, as it is shown; nothing if there is nothing to compare with.
pub(crate) fn ratio(value: f64, beside: f64) -> String {
    let times = value / beside;
    if times.is_finite() { format!("{times:.2}") } else { "-".to_owned() }
}
