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
            // Before the wait: whoever begins anew after a panic finds what was left.
            each(&self.answers, |(caller, answer)| send(&caller, answer));
            each(&self.suspects, |caller| caller.watch());
            self.left.notified().await;
        }
    }

    /// Wake workers at the end of each round, for as long as the front runs.
    pub async fn end_rounds(&self) {
        loop {
            each(&self.fed, |queue| queue.wake_worker());
            self.round.notified().await;
            // Back only after every task that is ready has run and the sockets were looked at once more.
            yield_now().await;
        }
    }
}

/// Take each item out of a list. Should `act` panic, what is left goes back.
fn each<T>(list: &Mutex<Vec<T>>, mut act: impl FnMut(T)) {
    let mut rest = Rest { items: std::mem::take(&mut *lock(list)).into_iter(), list };
    for item in rest.items.by_ref() {
        act(item);
    }
}

struct Rest<'a, T> {
    items: std::vec::IntoIter<T>,
    list: &'a Mutex<Vec<T>>,
}

impl<T> Drop for Rest<'_, T> {
    fn drop(&mut self) {
        if self.items.len() > 0 {
            lock(self.list).extend(self.items.by_ref());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{catch_unwind, AssertUnwindSafe};

    use super::*;

    #[test]
    fn what_is_left_when_one_item_panics_is_taken_the_next_time() {
        let list = Mutex::new(vec![1, 2, 3]);
        let mut taken = Vec::new();
        let broken = catch_unwind(AssertUnwindSafe(|| each(&list, |item| assert_ne!(item, 2))));
        assert!(broken.is_err());
        each(&list, |item| taken.push(item));
        assert_eq!(taken, [3]);
    }
}
