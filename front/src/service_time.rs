//! How long a batch takes, by its rows, learnt from those that ran: a line through the newest of them.
//!
//! The fit is one of least squares in which each batch weighs a fifth less than the next, and is never one that falls.
//! How far batches are from it on average is what a request must have to spare, four times over, as TCP has it of round
//! trips (RFC 6298).

use std::time::Duration;

/// How much less than the next a batch weighs.
const NEWEST: f64 = 0.2;
const DEVIATIONS: f64 = 4.0;
/// Of rows: below it all batches have had about the same number.
const LEAST_VARIANCE: f64 = 0.25;

/// Times in seconds; 0 until a batch has been measured.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServiceTime {
    is_known: bool,
    rows: f64,
    time_s: f64,
    rows_squared: f64,
    rows_time_s: f64,
    deviation_s: f64,
}

impl ServiceTime {
    /// Whether a batch has been measured.
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// What to have to spare.
    pub fn spare_s(&self) -> f64 {
        DEVIATIONS * self.deviation_s
    }

    /// What a batch of so many rows takes.
    pub fn of(&self, rows: u64) -> f64 {
        (self.time_s + self.slope_s() * (rows as f64 - self.rows)).max(0.0)
    }

    /// What to leave a batch of so many rows to be in time.
    pub fn needed(&self, rows: u64) -> Duration {
        Duration::try_from_secs_f64(self.of(rows) + self.spare_s()).unwrap_or(Duration::MAX)
    }

    /// A batch has run.
    pub fn add(&mut self, rows: u64, compute_s: f64) {
        if self.is_known {
            self.deviation_s += NEWEST * ((compute_s - self.of(rows)).abs() - self.deviation_s);
        }
        let share = if self.is_known { NEWEST } else { 1.0 };
        let rows = rows as f64;
        self.rows += share * (rows - self.rows);
        self.time_s += share * (compute_s - self.time_s);
        self.rows_squared += share * (rows * rows - self.rows_squared);
        self.rows_time_s += share * (rows * compute_s - self.rows_time_s);
        self.is_known = true;
    }

    /// A row's own time.
    fn slope_s(&self) -> f64 {
        let variance = self.rows_squared - self.rows * self.rows;
        if variance < LEAST_VARIANCE {
            return 0.0;
        }
        let slope_s = (self.rows_time_s - self.rows * self.time_s) / variance;
        // Not more than as if rows were all that costs.
        slope_s.max(0.0).min(self.time_s / self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_batch_follows_its_rows() {
        let mut time = ServiceTime::default();
        for rows in [4, 8, 16, 32].into_iter().cycle().take(40) {
            time.add(rows, 0.005 + 0.01 * rows as f64);
        }
        assert!((time.of(1) - 0.015).abs() < 1e-6 && (time.of(32) - 0.325).abs() < 1e-6);
        assert!(time.spare_s() < 0.02, "{}", time.spare_s());
    }

    #[test]
    fn batches_of_one_size_have_one_time() {
        let mut time = ServiceTime::default();
        time.add(4, 0.1);
        assert_eq!((time.of(1), time.of(32), time.spare_s()), (0.1, 0.1, 0.0));
    }

    #[test]
    fn no_fit_falls() {
        let mut time = ServiceTime::default();
        time.add(1, 0.2);
        time.add(32, 0.1);
        assert_eq!(time.of(1), time.of(32));
    }
}
