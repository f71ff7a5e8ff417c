//! Who is let into a line, by what is ahead: the room that is left, and the measured service time of a batch.
//!
//! A request of more rows than a batch takes the room of a batch, since no more of it leaves at once. What stands in a
//! lower level is not ahead and takes no room: it is displaced.

use std::time::{Duration, Instant};

use crate::error::{deadline_exceeded, exhausted, ServingError};
use crate::service_time::ServiceTime;

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
    /// Of a model that keeps a state: who cannot run with the first lets nobody past.
    pub in_order: bool,
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

/// What leaves before a request or with it, and what the workers do.
pub struct Ahead {
    /// That wait.
    pub rows: u64,
    /// Whether a batch runs.
    pub busy: bool,
    /// When a worker is free, by the measured time of what runs.
    pub free_in_s: f64,
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
        Err(exhausted("QUEUE_FULL", text).retry(delay(self.wait_s(policy, 0))))
    }

    /// Refuse what makes the batch that it would join too late for `deadline`, the first of it.
    pub fn check_deadline(
        &self,
        policy: &Policy,
        rows: u64,
        deadline: Instant,
        now: Instant,
    ) -> Result<(), ServingError> {
        // With nothing ahead a request is always let in, so that one slow batch is not remembered for ever.
        if !self.service_time.is_known() || (self.rows == 0 && !self.busy) {
            return Ok(());
        }
        let left_s = deadline.saturating_duration_since(now).as_secs_f64();
        let needed_s = self.wait_s(policy, rows) + self.service_time.spare_s();
        if needed_s <= left_s {
            return Ok(());
        }
        let (needed_ms, left_ms) = (needed_s * 1e3, left_s * 1e3);
        let text = format!("{needed_ms:.0} ms are needed behind what waits, {left_ms:.0} ms are left");
        Err(deadline_exceeded(text).retry(delay(needed_s - left_s)))
    }

    /// How long the workers take for what is ahead and for a request of `own_rows`, which joins the last batch.
    fn wait_s(&self, policy: &Policy, own_rows: u64) -> f64 {
        let (limit, rows) = (policy.max_batch_rows, self.rows.saturating_add(own_rows));
        let (full, last_rows) = (rows / limit, rows % limit);
        let last_s = if last_rows > 0 { self.service_time.of(last_rows) } else { 0.0 };
        let batches_s = full as f64 * self.service_time.of(limit) + last_s;
        self.free_in_s + batches_s / u64::from(policy.instances).min(full + 1) as f64
    }
}

fn delay(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).max(SHORTEST_RETRY)
}
