//! Answers that may block, for the methods that no queue feeds.
//!
//! A method may block for minutes: a load does. So at most `AT_ONCE` answers of one method are under way, and further
//! calls of that method wait their turn; a call of another method never waits for them, nor does a message that has to
//! be read on a thread.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::error::{internal, ServingError};
use crate::memory::Held;

/// Answers of one method at one time.
const AT_ONCE: usize = 8;

/// Answers messages of one rare method.
#[derive(Clone)]
pub struct RareAnswer {
    answer: Arc<dyn Fn(Bytes) -> Result<Bytes, ServingError> + Send + Sync>,
    turns: Arc<Semaphore>,
}

impl RareAnswer {
    /// By `answer`, which may block.
    pub fn new(answer: impl Fn(Bytes) -> Result<Bytes, ServingError> + Send + Sync + 'static) -> Self {
        RareAnswer { answer: Arc::new(answer), turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Ask it on a thread, in turn. `held`: room for the message, given back when it has been answered.
    pub async fn ask(&self, message: Bytes, held: Held) -> Result<Bytes, ServingError> {
        let answer = self.answer.clone();
        on_thread(&self.turns, move || {
            let outcome = answer(message);
            drop(held);
            outcome
        })
        .await
    }
}

/// Run what may take long or block on another thread when there is a turn for it, which it holds until its end even
/// where nobody waits for it any more.
pub async fn on_thread<T: Send + 'static>(
    turns: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, ServingError> + Send + 'static,
) -> Result<T, ServingError> {
    let failed = || internal("the front failed on a request");
    let turn = turns.clone().acquire_owned().await.map_err(|_| failed())?;
    let working = spawn_blocking(move || {
        let outcome = work();
        drop(turn);
        outcome
    });
    working.await.map_err(|_| failed())?
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{channel, Receiver};
    use std::sync::Mutex;
    use std::time::Duration;

    use tokio::runtime::Builder;
    use tokio::task::yield_now;
    use tokio::time::timeout;

    use super::*;
    use crate::sync::lock;

    /// Answers nothing until it is told to.
    fn blocked(release: Receiver<()>) -> RareAnswer {
        let release = Mutex::new(release);
        RareAnswer::new(move |message| {
            let _ = lock(&release).recv();
            Ok(message)
        })
    }

    #[test]
    fn a_method_whose_every_turn_is_taken_holds_up_its_own_calls_alone() {
        let (release, released) = channel();
        let loads = blocked(released);
        let lists = RareAnswer::new(Ok);
        let threads = AT_ONCE + 1;
        Builder::new_current_thread().enable_time().max_blocking_threads(threads).build().unwrap().block_on(async {
            let calls = (0..4 * AT_ONCE).map(|_| {
                let loads = loads.clone();
                tokio::spawn(async move { loads.ask(Bytes::from_static(b"load"), Held::default()).await })
            });
            let calls: Vec<_> = calls.collect();
            while loads.turns.available_permits() > 0 {
                yield_now().await;
            }
            let listed =
                timeout(Duration::from_secs(10), lists.ask(Bytes::from_static(b"list"), Held::default())).await;
            assert_eq!(listed, Ok(Ok(Bytes::from_static(b"list"))));
            drop(release);
            for call in calls {
                assert_eq!(call.await.unwrap(), Ok(Bytes::from_static(b"load")));
            }
        });
    }
}
