//! Memory for large messages, of all calls of the process together.
//!
//! What is small is bounded by HTTP/2's windows and by the rows of the queue that it waits in. A large message, or a packed
//! one that may become large, is read no further than its head and one window until there is room for all of it; the room
//! is its own until it has been answered. So however many such messages come at once, and however small they were packed,
//! they take the memory of a few.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::calls::INLINE_BYTES;

/// Messages of the greatest size that there is room for at one time.
const AT_ONCE: usize = 4;

/// What room is counted in.
const UNIT: usize = 1024;

/// The room of one process.
pub struct Memory {
    free: Arc<Semaphore>,
    units: u32,
}

impl Memory {
    /// `limit`: of one message.
    pub fn new(limit: usize) -> Self {
        let units = units(limit.saturating_mul(AT_ONCE)).min(Semaphore::MAX_PERMITS as u32);
        Memory { free: Arc::new(Semaphore::new(units as usize)), units }
    }

    /// Wait for room for so many bytes, in turn.
    pub async fn hold(&self, bytes: usize) -> Held {
        if bytes <= INLINE_BYTES {
            return Held::default();
        }
        let wanted = units(bytes).min(self.units);
        // An error means that it was closed, which nobody does.
        Held(self.free.clone().acquire_many_owned(wanted).await.ok().map(Arc::new))
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

/// Room for a message until all that hold it have been dropped.
#[derive(Clone, Default)]
pub struct Held(Option<Arc<OwnedSemaphorePermit>>);

impl Held {
    /// Give back what is more than so many bytes. To be called before it is cloned.
    pub fn shrink(&mut self, bytes: usize) {
        let Some(held) = self.0.as_mut().and_then(Arc::get_mut) else { return };
        let spare = held.num_permits().saturating_sub(units(bytes) as usize);
        drop(held.split(spare));
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    const LIMIT: usize = 8 << 20;

    fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    #[test]
    fn there_is_room_for_a_few_large_messages_and_then_for_small_ones() {
        let memory = Memory::new(LIMIT);
        let held: Vec<_> = (0..AT_ONCE).filter_map(|_| ready(memory.hold(LIMIT))).collect();
        assert_eq!(held.len(), AT_ONCE);
        assert!(ready(memory.hold(INLINE_BYTES + 1)).is_none());
        assert!(ready(memory.hold(INLINE_BYTES)).is_some());
        drop(held);
        assert!(ready(memory.hold(LIMIT)).is_some());
    }

    #[test]
    fn what_turns_out_small_gives_its_room_back() {
        let memory = Memory::new(LIMIT);
        let mut held = ready(memory.hold(AT_ONCE * LIMIT)).unwrap();
        held.shrink(LIMIT);
        let other = ready(memory.hold((AT_ONCE - 1) * LIMIT));
        assert!(other.is_some() && ready(memory.hold(LIMIT)).is_none());
        held.shrink(0);
        assert!(ready(memory.hold(LIMIT)).is_some());
    }

    #[test]
    fn room_is_given_back_with_the_last_that_holds_it() {
        let memory = Memory::new(LIMIT);
        let held = ready(memory.hold(AT_ONCE * LIMIT)).unwrap();
        let part = held.clone();
        drop(held);
        assert!(ready(memory.hold(LIMIT)).is_none());
        drop(part);
        assert!(ready(memory.hold(LIMIT)).is_some());
    }

    #[test]
    fn more_than_all_waits_for_all() {
        assert!(ready(Memory::new(LIMIT).hold(usize::MAX)).is_some());
    }
}
