//! Who is let into a line, by what is ahead: the room that is left, and the measured service time of a batch.
//!
//! A request of more rows than a batch takes the room of a batch, since no more of it leaves at once. What stands in a
//! lower level is not ahead and takes no room: it is displaced.

use std::time::{Duration, Instant};

use crate::error::{deadline_exceeded, exhausted, ServingError};

/// How much of the newest batch goes into the measured service time.
const NEWEST: f64 = 0.2;
/// How many mean deviations a request must have to spare, as TCP has it of round trips: RFC 6298.
const DEVIATIONS: f64 = 4.0;
const SHORTEST_RETRY: Duration = Duration::from_millis(10);

/// How requests become batches.
#[derive(Clone, Debug)]
pub struct Policy {
    /// A batch has no more rows than this.
    pub max_batch_rows: u64,
    /// What may wait.
    pub capacity_rows: u64,
    /// How long the oldest may wait for company.
    pub max_wait: Duration,
    /// Workers that take from the queue.
    pub instances: u32,
    /// Priorities that a request may ask for, 1 first; 0 or 1: all are alike.
    pub levels: u32,
    /// Of a request that asks for none, or for one that there is not.
    pub default_level: u32,
}

impl Policy {
    /// The level of a request that asks for `priority`, 0 for none: as Triton has it.
    pub fn level(&self, priority: u64) -> u32 {
        match u32::try_from(priority) {
            Ok(level @ 1..) if level <= self.levels => level,
            _ => self.default_level,
        }
    }
}

/// How long a batch takes, and how far batches are from that on average; 0 until one has been measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServiceTime {
    mean_s: f64,
    deviation_s: f64,
    is_known: bool,
}

impl ServiceTime {
    /// A batch took so long.
    pub fn add(&mut self, compute: Duration) {
        let newest_s = compute.as_secs_f64();
        if !self.is_known {
            (self.mean_s, self.is_known) = (newest_s, true);
            return;
        }
        let error_s = newest_s - self.mean_s;
        self.mean_s += NEWEST * error_s;
        self.deviation_s += NEWEST * (error_s.abs() - self.deviation_s);
    }
}

/// What leaves before a request, and what the workers do.
pub struct Ahead {
    /// That wait.
    pub rows: u64,
    /// Of all workers.
    pub running_batches: u32,
    /// Of a batch.
    pub service_time: ServiceTime,
}

impl Ahead {
    /// Refuse what finds no room. `model` is for the text.
    pub fn check_room(&self, policy: &Policy, model: &str, rows: u64) -> Result<(), ServingError> {
        let capacity = policy.capacity_rows;
        // What is larger than the queue is let in alone: it could never run otherwise.
        if self.rows == 0 || self.rows.saturating_add(rows.min(policy.max_batch_rows)) <= capacity {
            return Ok(());
        }
        let text = format!("model '{model}': {} of {capacity} rows wait, {rows} do not fit", self.rows);
        let delay = Duration::try_from_secs_f64(self.wait_s(policy)).unwrap_or(Duration::MAX);
        Err(exhausted("QUEUE_FULL", text).retry(delay.max(SHORTEST_RETRY)))
    }

    /// Refuse what cannot be answered in time.
    pub fn check_deadline(
        &self,
        policy: &Policy,
        rows: u64,
        deadline: Instant,
        now: Instant,
    ) -> Result<(), ServingError> {
        let left_s = deadline.saturating_duration_since(now).as_secs_f64();
        if left_s <= 0.0 {
            return Err(deadline_exceeded("the deadline had passed when the request arrived".to_owned()));
        }
        // With nothing ahead a request is always let in, so that one slow batch is not remembered for ever.
        if !self.service_time.is_known || (self.rows == 0 && self.running_batches == 0) {
            return Ok(());
        }
        let parts = rows.div_ceil(policy.max_batch_rows).div_ceil(u64::from(policy.instances));
        let own_s = parts as f64 * self.service_time.mean_s;
        let needed_s = self.wait_s(policy) + own_s + DEVIATIONS * self.service_time.deviation_s;
        if needed_s <= left_s {
            return Ok(());
        }
        let (needed_ms, left_ms) = (needed_s * 1e3, left_s * 1e3);
        let text = format!("{needed_ms:.0} ms are needed behind what waits, {left_ms:.0} ms are left");
        let delay = Duration::try_from_secs_f64(needed_s - left_s).unwrap_or(Duration::MAX);
        Err(deadline_exceeded(text).retry(delay.max(SHORTEST_RETRY)))
    }

    /// How long what is ahead takes the workers.
    fn wait_s(&self, policy: &Policy) -> f64 {
        // What runs is on average half done.
        let busy = if self.running_batches >= policy.instances { 0.5 } else { 0.0 };
        let batches_ahead = self.rows as f64 / policy.max_batch_rows as f64 + busy;
        batches_ahead * self.service_time.mean_s / f64::from(policy.instances)
    }
}
