//! The counts of calls: of one caller to one method, or a sum of these.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::snapshot::{Calls, LastError, Latency};
use crate::text::micros;

#[derive(Default)]
pub(super) struct Counters {
    pub(super) sums: Sums,
    /// Of the durations of calls that ran, in microseconds. Made with the first.
    histogram: Option<Histogram<u32>>,
    last_error: Option<Box<LastError>>,
}

/// The counts that can be added without much work.
#[derive(Default)]
pub(super) struct Sums {
    /// Without the mean.
    calls: Calls,
    /// The number of calls that ran, and the sum of their durations in microseconds.
    ran: u64,
    duration: u64,
    /// The longest one.
    max: u64,
}

/// The histogram's precision in decimal digits: one is one part in 16.
const DIGITS: u8 = 1;
/// Longer durations are counted as this one, an hour. Bounds a histogram to 2 KB.
const MAX_DURATION: u64 = 3_600_000_000;

impl Counters {
    pub(super) fn waits(&mut self) {
        self.sums.calls.waiting += 1;
    }

    pub(super) fn waits_no_more(&mut self) {
        self.sums.calls.waiting = self.sums.calls.waiting.saturating_sub(1);
    }

    pub(super) fn runs(&mut self) {
        self.sums.calls.running += 1;
    }

    pub(super) fn runs_no_more(&mut self) {
        self.sums.calls.running = 0;
    }

    pub(super) fn ended(
        &mut self,
        waited: Duration,
        ran: Option<Duration>,
        is_dropped: bool,
        error: Option<LastError>,
    ) {
        if let Some(ran) = ran {
            let duration = micros(waited + ran);
            self.sums.ran += 1;
            self.sums.duration = self.sums.duration.saturating_add(duration);
            self.sums.max = self.sums.max.max(duration);
            if let Some(histogram) = self.histogram() {
                let _ = histogram.record(duration.clamp(1, MAX_DURATION));
            }
        }
        self.sums.calls.calls += 1;
        self.sums.calls.dropped += u64::from(is_dropped);
        if let Some(error) = error {
            self.sums.calls.errors += 1;
            self.last_error = Some(Box::new(error));
        }
    }

    fn histogram(&mut self) -> Option<&mut Histogram<u32>> {
        if self.histogram.is_none() {
            // It grows with the largest duration.
            self.histogram = Histogram::new(DIGITS).ok();
        }
        self.histogram.as_mut()
    }

    pub(super) fn is_unused(&self) -> bool {
        let Calls { calls, waiting, running, .. } = self.sums.calls;
        calls == 0 && waiting == 0 && running == 0
    }

    pub(super) fn add(&mut self, other: &Counters) {
        self.sums.add(&other.sums);
        if let (Some(theirs), Some(own)) = (&other.histogram, self.histogram()) {
            let _ = own.add(theirs);
        }
        if let Some(error) = &other.last_error
            && self.last_error.as_ref().is_none_or(|last| last.at < error.at)
        {
            self.last_error = Some(error.clone());
        }
    }

    pub(super) fn latency(&self) -> Latency {
        let Some(histogram) = &self.histogram else { return Latency::default() };
        let max = self.sums.max;
        let quantile = |quantile| histogram.value_at_quantile(quantile).min(max);
        Latency { p50: quantile(0.5), p99: quantile(0.99), max }
    }

    /// The histogram as upper bounds and counts.
    pub(super) fn buckets(&self) -> Vec<(u64, u64)> {
        let recorded = self.histogram.iter().flat_map(Histogram::iter_recorded);
        recorded.map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value().into())).collect()
    }

    pub(super) fn last_error(&self) -> Option<LastError> {
        self.last_error.as_deref().cloned()
    }
}

impl Sums {
    pub(super) fn add(&mut self, other: &Sums) {
        let (sum, other_calls) = (&mut self.calls, &other.calls);
        sum.calls += other_calls.calls;
        sum.errors += other_calls.errors;
        sum.dropped += other_calls.dropped;
        sum.waiting += other_calls.waiting;
        sum.running += other_calls.running;
        self.ran += other.ran;
        self.duration = self.duration.saturating_add(other.duration);
        self.max = self.max.max(other.max);
    }

    pub(super) fn calls(&self) -> Calls {
        Calls { mean: self.duration.checked_div(self.ran).unwrap_or(0), ..self.calls.clone() }
    }
}
