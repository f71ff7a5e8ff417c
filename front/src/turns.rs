//! How soon the I/O thread runs where the workers have every CPU.
//!
//! A batch computes for milliseconds. Whoever wakes beside it waits until its slice of time has ended, and so would an
//! admission, and even a refusal. Linux, from 6.12 on, lets a thread ask for shorter slices: one that wakes with a
//! shorter slice than the one that runs goes first, and its share of the CPU stays what it was. Older kernels take the
//! wish and do nothing about it; nothing depends on it.

/// The shortest that Linux grants.
#[cfg(target_os = "linux")]
const SLICE_NS: u64 = 100_000;

/// Ask for short turns for the thread that calls.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub fn take_short_turns() {
    const CALLER: libc::c_long = 0;
    const NO_FLAGS: libc::c_long = 0;
    let size = std::mem::size_of::<libc::sched_attr>() as u32;
    let mut attributes = libc::sched_attr {
        size,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    let own = &raw mut attributes;
    // SAFETY: the kernel writes at most `size` bytes to `own`, which has them.
    let read = unsafe { libc::syscall(libc::SYS_sched_getattr, CALLER, own, libc::c_long::from(size), NO_FLAGS) };
    if read != 0 || attributes.sched_policy != libc::SCHED_OTHER as u32 {
        return; // somebody has chosen for this process
    }
    attributes.sched_runtime = SLICE_NS;
    // SAFETY: the kernel reads the `size` bytes that `attributes` says and has. Where it refuses, nothing has changed.
    unsafe { libc::syscall(libc::SYS_sched_setattr, CALLER, &raw const attributes, NO_FLAGS) };
}

/// Elsewhere threads are as they are.
#[cfg(not(target_os = "linux"))]
pub fn take_short_turns() {}
