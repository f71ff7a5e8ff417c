//! What one queue has done: counts that only grow. The queue that owns them holds its lock around every call.

use std::collections::BTreeMap;
use std::time::Duration;

/// Upper bounds of the histograms' buckets, in microseconds.
pub const BOUNDS_US: [u64; 14] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000];

/// A histogram of durations; the last count is of everything above the last bound.
#[derive(Clone, Default)]
pub struct TimeCounts {
    /// By bucket.
    pub counts: [u64; BOUNDS_US.len() + 1],
    /// Of all durations.
    pub sum_us: u64,
}

impl TimeCounts {
    fn add(&mut self, duration_us: u64) {
        self.counts[BOUNDS_US.partition_point(|bound| *bound < duration_us)] += 1;
        self.sum_us += duration_us;
    }
}

/// Everything that is told of a queue but how much waits in it now.
#[derive(Clone, Default)]
pub struct QueueCounts {
    /// When a request was last admitted.
    pub last_request_unix_ms: u64,
    /// Requests of batches that run.
    pub in_flight_requests: u64,
    /// Requests that were answered with a message.
    pub succeeded_requests: u64,
    /// Requests that were answered with an error after they ran.
    pub failed_requests: u64,
    /// Rows of all batches that were answered.
    pub answered_rows: u64,
    /// How many batches had so many rows.
    pub batches_by_rows: BTreeMap<u64, u64>,
    /// From arrival to leaving in a batch.
    pub queue_time: TimeCounts,
    /// From leaving in a batch to its last answer, once a request.
    pub compute_time: TimeCounts,
}

impl QueueCounts {
    /// A batch of `requests`, or parts of such, was answered.
    pub fn add_batch(&mut self, rows: u64, requests: u64) {
        self.in_flight_requests -= requests;
        self.answered_rows += rows;
        *self.batches_by_rows.entry(rows).or_default() += 1;
    }

    /// A request was answered in full.
    pub fn add_request(&mut self, queue_us: u64, compute_us: u64, succeeded: bool) {
        *(if succeeded { &mut self.succeeded_requests } else { &mut self.failed_requests }) += 1;
        self.queue_time.add(queue_us);
        self.compute_time.add(compute_us);
    }
}

/// Whole microseconds.
pub fn us(duration: Duration) -> u64 {
    duration.as_micros() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_at_a_bound_counts_below_it() {
        let mut times = TimeCounts::default();
        [0, 100, 101, 9_000_000].iter().for_each(|duration| times.add(*duration));
        assert_eq!((times.counts[0], times.counts[1], times.counts[14]), (2, 1, 1));
        assert_eq!(times.sum_us, 9_000_201);
    }
}
