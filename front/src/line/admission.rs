//! Who is let into a line: room (`room`) and deadlines decide.

use std::time::Instant;

use super::Line;
use crate::error::{too_late, ServingError};
use crate::room::Ahead;
use crate::waiting::Waiting;

impl<T: Waiting> Line<T> {
    /// Why a request is not let in, if it is not: no room, or a deadline that cannot be met. `model` is for the text.
    pub fn check(&self, model: &str, request: &T, now: Instant) -> Result<(), ServingError> {
        let ahead = self.ahead(request.level(), now);
        ahead.check_room(&self.policy, model, request.rows())?;
        let Some(own) = request.deadline() else { return Ok(()) };
        if own <= now {
            return Err(too_late());
        }
        let first = self.first_deadline(request, own, ahead.rows);
        ahead.check_deadline(&self.policy, request.rows(), first, now)
    }

    /// What leaves before a request of `level` that comes now, and what the workers do.
    fn ahead(&self, level: u32, now: Instant) -> Ahead {
        let behind = self.waiting.iter().rev().take_while(|(ticket, _)| ticket.level > level);
        let behind_rows: u64 = behind.map(|(_, request)| self.standing(request)).sum();
        let all_busy = self.running.len() >= self.policy.instances as usize;
        let left_s = self
            .running
            .iter()
            .map(|(taken, rows)| self.service_time.of(*rows) - now.saturating_duration_since(*taken).as_secs_f64());
        Ahead {
            rows: self.standing_rows - behind_rows,
            busy: !self.running.is_empty(),
            free_in_s: if all_busy { left_s.fold(f64::MAX, f64::min).max(0.0) } else { 0.0 },
            service_time: self.service_time,
        }
    }

    /// The first deadline of the batch that a request would join, which it makes longer for all of it. Those count that
    /// are as patient as it is, give or take a batch: nobody is refused for who is in a hurry.
    fn first_deadline(&self, request: &T, own: Instant, ahead_rows: u64) -> Instant {
        let mut joined_rows = ahead_rows % self.policy.max_batch_rows;
        let ahead = self.waiting.iter().rev().skip_while(|(ticket, _)| ticket.level > request.level());
        let joined = ahead.take_while(|(_, other)| {
            let is_joined = joined_rows > 0;
            joined_rows = joined_rows.saturating_sub(self.standing(other));
            is_joined
        });
        let a_batch_s = self.service_time.of(self.policy.max_batch_rows);
        let least_s = patience_s(own, request.arrived()) - a_batch_s;
        let deadlines = joined.filter_map(|(_, other)| {
            other.deadline().filter(|deadline| patience_s(*deadline, other.arrived()) >= least_s)
        });
        deadlines.fold(own, Instant::min)
    }
}

fn patience_s(deadline: Instant, arrived: Instant) -> f64 {
    deadline.saturating_duration_since(arrived).as_secs_f64()
}
