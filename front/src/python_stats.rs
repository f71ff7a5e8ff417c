//! A queue's figures as Python reads them.

use pyo3::prelude::*;

use crate::cache::CacheCounts;
use crate::counts::{us, TimeCounts, BOUNDS_US};
use crate::queue::ModelQueue;

/// (bounds, counts, sum), all in microseconds.
type Histogram = (Vec<u64>, Vec<u64>, u64);

/// (hits, misses, microseconds of all hits, entries, bytes).
type Cache = (u64, u64, u64, usize, usize);

/// The fields of `services.runtime.front.QueueStats`, by name.
#[derive(IntoPyObject)]
pub struct QueueStats {
    model: String,
    version: String,
    waiting_rows: u64,
    in_flight_requests: u64,
    succeeded_requests: u64,
    failed_requests: u64,
    answered_rows: u64,
    batches_by_rows: Vec<(u64, u64)>,
    queue_time: Histogram,
    compute_time: Histogram,
    last_request_unix_ms: u64,
    cache: Option<Cache>,
}

/// What the queue has done since it was opened.
pub fn queue_stats(queue: &ModelQueue) -> QueueStats {
    let (counts, waiting_rows) = queue.stats();
    QueueStats {
        model: queue.spec.model.clone(),
        version: queue.spec.version.clone(),
        waiting_rows,
        in_flight_requests: counts.in_flight_requests,
        succeeded_requests: counts.succeeded_requests,
        failed_requests: counts.failed_requests,
        answered_rows: counts.answered_rows,
        batches_by_rows: counts.batches_by_rows.into_iter().collect(),
        queue_time: histogram(&counts.queue_time),
        compute_time: histogram(&counts.compute_time),
        last_request_unix_ms: counts.last_request_unix_ms,
        cache: queue.spec.cache.as_ref().map(|cache| figures(cache.counts())),
    }
}

fn histogram(times: &TimeCounts) -> Histogram {
    (BOUNDS_US.to_vec(), times.counts.to_vec(), times.sum_us)
}

fn figures(counts: CacheCounts) -> Cache {
    (counts.hits, counts.misses, us(counts.hit_time), counts.entries, counts.bytes)
}
