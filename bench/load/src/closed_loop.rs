//! So many requests in flight, always: each answer lets the next request go, on the same connection.

use std::io::Result;

use crate::load::Load;

/// Send `count` requests over all connections; nanoseconds until the last is answered.
pub fn run(load: &mut Load, in_flight: usize, connections: usize, count: u64) -> Result<u64> {
    let mut left = count;
    for number in 0..in_flight.min(count as usize) {
        load.ask(number % connections, load.now_ns());
        left -= 1;
    }
    load.flush()?;
    while load.tally.finished() < count {
        let finished = load.turn(None)?;
        let now_ns = load.now_ns();
        for connection in finished.into_iter().take(left as usize) {
            load.ask(connection, now_ns);
            left -= 1;
        }
        load.flush()?;
    }
    Ok(load.now_ns())
}
