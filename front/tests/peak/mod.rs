//! How much memory this process has held at most, by the kernel.

use std::fs::read_to_string;

/// None where the kernel does not tell.
pub fn peak_bytes() -> Option<usize> {
    let status = read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.trim().trim_end_matches(" kB").parse::<usize>().ok()? << 10)
}
