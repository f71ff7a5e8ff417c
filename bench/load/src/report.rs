//! What is handed to the caller, little-endian, on standard output.
//!
//! u64 elapsed nanoseconds, u64 errors, u64 count of latencies, that many u64 nanoseconds; then to the end, for each
//! different answer: u32 message, u64 how often, u32 length, the answer's bytes.

use std::io::{BufWriter, Result, Write};

use crate::load::Tally;

/// Write all of it.
pub fn write(to: impl Write, elapsed_ns: u64, tally: &Tally) -> Result<()> {
    let mut to = BufWriter::new(to);
    for number in [elapsed_ns, tally.errors, tally.latencies_ns.len() as u64] {
        to.write_all(&number.to_le_bytes())?;
    }
    for latency_ns in &tally.latencies_ns {
        to.write_all(&latency_ns.to_le_bytes())?;
    }
    for (message, ways) in tally.answers.ways.iter().enumerate() {
        for (answer, count) in ways {
            to.write_all(&(message as u32).to_le_bytes())?;
            to.write_all(&count.to_le_bytes())?;
            to.write_all(&(answer.len() as u32).to_le_bytes())?;
            to.write_all(answer)?;
        }
    }
    to.flush()
}
