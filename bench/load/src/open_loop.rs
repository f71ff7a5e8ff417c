//! Requests at a fixed rate, whatever becomes of those before.
//!
//! A closed loop waits while a server stalls, and so leaves out the requests that would have waited longest. Here each
//! request has its instant, and its latency counts from there even where it was sent later.

use std::io::Result;
use std::time::Duration;

use crate::load::Load;

/// A poll waits for whole milliseconds only; what is due sooner is waited for by asking again.
const COARSE: Duration = Duration::from_millis(2);

/// Send `count` requests, one every 1 / `rate_per_s` seconds; nanoseconds until the last is answered.
pub fn run(load: &mut Load, rate_per_s: f64, connections: usize, count: u64) -> Result<u64> {
    let due_ns = |number: u64| (number as f64 * 1e9 / rate_per_s) as u64;
    let mut asked = 0;
    while load.tally.finished() < count {
        let now_ns = load.now_ns();
        while asked < count && due_ns(asked) <= now_ns {
            load.ask(asked as usize % connections, due_ns(asked));
            asked += 1;
        }
        load.flush()?;
        let ahead = Duration::from_nanos(due_ns(asked).saturating_sub(load.now_ns()));
        let timeout = (asked < count).then(|| ahead.saturating_sub(COARSE));
        drop(load.turn(timeout)?);
    }
    load.flush()?;
    Ok(load.now_ns())
}
