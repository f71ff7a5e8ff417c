//! Memory for large messages, of all calls of the process together.
//!
//! What is small is bounded by HTTP/2's windows and by the rows of the queue that it waits in. A large message is read no
//! further than its head and one window until there is room for all of it, a packed one that turns out large is unpacked
//! again when there is; the room is its own until it has been answered. So however many such messages come at once, and
//! however small they were packed, they take the memory of a few. Who finds no room for a while is refused, so that what
//! holds it, be it a slow caller or a slow model, shows.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::error::{exhausted, ServingError};

/// A message up to this needs no room and is read on the I/O thread; a larger one on another, so that the I/O thread never
/// stands still.
pub const SMALL_BYTES: usize = 1 << 20;

/// Messages of the greatest size that there is room for at one time.
const AT_ONCE: usize = 4;

/// What room is counted in.
const UNIT: usize = 1024;

/// How long a message waits for room.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The room of one process.
pub struct MessageMemory {
    free: Arc<Semaphore>,
    units: u32,
    longest_wait: Duration,
}

impl MessageMemory {
    /// `limit`: of one message.
    pub fn new(limit: usize) -> Self {
        let units = units(limit.saturating_mul(AT_ONCE)).min(Semaphore::MAX_PERMITS as u32);
        MessageMemory { free: Arc::new(Semaphore::new(units as usize)), units, longest_wait: LONGEST_WAIT }
    }

    /// Wait for room for so many bytes, in turn, but not for long. What is small needs none.
    pub async fn hold(&self, bytes: usize) -> Result<Held, ServingError> {
        if bytes <= SMALL_BYTES {
            return Ok(Held::default());
        }
        self.hold_however_small(bytes).await
    }

    /// As `hold`, of what is small too.
    pub async fn hold_however_small(&self, bytes: usize) -> Result<Held, ServingError> {
        timeout(self.longest_wait, self.acquire(bytes)).await.map_err(|_| {
            let waited = self.longest_wait.as_secs();
            let text = format!("there was no room for a message of up to {bytes} bytes within {waited} s");
            exhausted("NO_ROOM", text).retry(Duration::from_secs(1))
        })
    }

    /// As `hold`, however long it takes: for who is not to be refused, as a stream in the middle.
    pub async fn hold_at_last(&self, bytes: usize) -> Held {
        if bytes <= SMALL_BYTES {
            return Held::default();
        }
        self.acquire(bytes).await
    }

    async fn acquire(&self, bytes: usize) -> Held {
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
    /// Whether no room was needed.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

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

    use tokio::runtime::Builder;

    use super::*;

    const LIMIT: usize = 8 << 20;

    /// The room, if it is there now.
    fn ready(future: impl Future<Output = Result<Held, ServingError>>) -> Option<Held> {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let _inside = runtime.enter();
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(held) => held.ok(),
            Poll::Pending => None,
        }
    }

    #[test]
    fn who_finds_no_room_for_a_while_is_told() {
        Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
            let memory = MessageMemory { longest_wait: Duration::from_millis(1), ..MessageMemory::new(LIMIT) };
            let held = memory.hold(AT_ONCE * LIMIT).await;
            let error = memory.hold(LIMIT).await.err().unwrap();
            assert_eq!((&*error.reason, error.retry_after), ("NO_ROOM", Some(Duration::from_secs(1))));
            drop(held);
            assert!(memory.hold(AT_ONCE * LIMIT).await.is_ok());
        });
    }

    #[test]
    fn there_is_room_for_a_few_large_messages_and_then_for_small_ones() {
        let memory = MessageMemory::new(LIMIT);
        let held: Vec<_> = (0..AT_ONCE).filter_map(|_| ready(memory.hold(LIMIT))).collect();
        assert_eq!(held.len(), AT_ONCE);
        assert!(ready(memory.hold(SMALL_BYTES + 1)).is_none());
        assert!(ready(memory.hold(SMALL_BYTES)).is_some());
        drop(held);
        assert!(ready(memory.hold(LIMIT)).is_some());
    }

    #[test]
    fn what_turns_out_small_gives_its_room_back() {
        let memory = MessageMemory::new(LIMIT);
        let mut held = ready(memory.hold(AT_ONCE * LIMIT)).unwrap();
        held.shrink(LIMIT);
        let other = ready(memory.hold((AT_ONCE - 1) * LIMIT));
        assert!(other.is_some() && ready(memory.hold(LIMIT)).is_none());
        held.shrink(0);
        assert!(ready(memory.hold(LIMIT)).is_some());
    }

    #[test]
    fn room_is_given_back_with_the_last_that_holds_it() {
        let memory = MessageMemory::new(LIMIT);
        let held = ready(memory.hold(AT_ONCE * LIMIT)).unwrap();
        let part = held.clone();
        drop(held);
        assert!(ready(memory.hold(LIMIT)).is_none());
        drop(part);
        assert!(ready(memory.hold(LIMIT)).is_some());
    }

    #[test]
    fn more_than_all_waits_for_all() {
        assert!(ready(MessageMemory::new(LIMIT).hold(usize::MAX)).is_some());
    }
}
