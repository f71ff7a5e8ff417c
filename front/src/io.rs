//! What other threads leave for the I/O thread, and when it wakes the workers.
//!
//! A batch's answers are left all at once and cost one wake. A queue that has got requests is told to its workers at
//! the end of a poll round, when everything that had come in has been read: so a batch holds what is there and not
//! only what came first.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio::task::yield_now;

use crate::caller::{Answer, Caller};
use crate::queue::ModelQueue;
use crate::sync::lock;

/// The I/O thread's letter boxes.
#[derive(Default)]
pub struct Io {
    answers: Mutex<Vec<(Arc<Caller>, Answer)>>,
    suspects: Mutex<Vec<Arc<Caller>>>,
    left: Notify,
    fed: Mutex<Vec<Arc<ModelQueue>>>,
    round: Notify,
}

impl Io {
    /// Answers to be sent, from any thread.
    pub fn post(&self, answers: impl IntoIterator<Item = (Arc<Caller>, Answer)>) {
        lock(&self.answers).extend(answers);
        self.left.notify_one();
    }

    /// A caller may have gone.
    pub fn suspect(&self, caller: Arc<Caller>) {
        lock(&self.suspects).push(caller);
        self.left.notify_one();
    }

    /// A queue has got its first request of this round.
    pub fn feed(&self, queue: &Arc<ModelQueue>) {
        lock(&self.fed).push(queue.clone());
        self.round.notify_one();
    }

    /// Send what is left here, for as long as the front runs.
    pub async fn deliver(&self, send: impl Fn(&Caller, Answer)) {
        loop {
            self.left.notified().await;
            for (caller, answer) in std::mem::take(&mut *lock(&self.answers)) {
                send(&caller, answer);
            }
            for caller in std::mem::take(&mut *lock(&self.suspects)) {
                caller.watch();
            }
        }
    }

    /// Wake workers at the end of each round, for as long as the front runs.
    pub async fn end_rounds(&self) {
        loop {
            self.round.notified().await;
            // Back only after every task that is ready has run and the sockets were looked at once more.
            yield_now().await;
            for queue in std::mem::take(&mut *lock(&self.fed)) {
                queue.wake_worker();
            }
        }
    }
}
