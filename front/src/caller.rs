//! Who waits for an answer, and whether they still do.
//!
//! A caller of a unary method is told of by HTTP/2: the stream's waker is the caller itself, so watching for a
//! cancellation takes no task and no timer. Waking only puts the caller on a list, since HTTP/2 holds its own lock
//! then; the I/O thread looks what has happened. An answer can be given once; who has gone gets none.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Wake, Waker};

use bytes::Bytes;
use h2::server::SendResponse;
use tokio::sync::oneshot;

use crate::batch::Batch;
use crate::cache::{ResponseCache, MISS};
use crate::cache_key::Key;
use crate::error::ServingError;
use crate::io::Io;
use crate::queue::ModelQueue;
use crate::sync::lock;
use crate::told::Told;
use crate::waiting::Ticket;

/// What goes back to one caller.
pub struct Answer {
    /// A framed message, or an error.
    pub outcome: Result<Bytes, ServingError>,
    /// What the trailers tell, where the request was admitted.
    pub told: Option<Told>,
}

/// How an answer goes back.
pub enum Way {
    /// As the reply of a unary method.
    Unary(SendResponse<Bytes>),
    /// To the stream that the request is an element of.
    Element(oneshot::Sender<Answer>),
}

/// One who waits.
pub struct Caller {
    way: Mutex<Option<Way>>,
    place: Mutex<Place>,
    waits: AtomicBool,
    missed: Mutex<Option<(Arc<ResponseCache>, Key)>>,
    io: Arc<Io>,
}

#[derive(Default)]
struct Place {
    queue: Weak<ModelQueue>,
    ticket: Ticket,
    batch: Weak<Batch>,
    // Of a request in parts: those that the parts before ran in.
    batches_before: Vec<Weak<Batch>>,
}

impl Caller {
    /// A caller who waits from now on.
    pub fn new(way: Way, io: Arc<Io>) -> Arc<Self> {
        let (way, place, waits) = (Mutex::new(Some(way)), Mutex::default(), AtomicBool::new(true));
        Arc::new(Caller { way, place, waits, missed: Mutex::default(), io })
    }

    /// The answer is for that cache to keep, which is of the version that answers.
    pub fn missed(&self, by: Option<(Arc<ResponseCache>, Key)>) {
        *lock(&self.missed) = by;
    }

    /// Keep the answer where it was missed.
    pub fn keep(&self, answer: &mut Answer) {
        let Some((cache, key)) = lock(&self.missed).take() else { return };
        cache.keep(&key, answer);
        if let Some(told) = &mut answer.told {
            told.cache = Some(MISS);
        }
    }

    /// Whether the caller has neither been answered nor gone.
    pub fn waits(&self) -> bool {
        self.waits.load(Ordering::Acquire)
    }

    /// The way back, for the one who answers.
    pub fn answered(&self) -> Option<Way> {
        self.waits.store(false, Ordering::Release);
        lock(&self.way).take()
    }

    /// The request waits in `queue`.
    pub fn stands_in(&self, queue: &Arc<ModelQueue>) {
        lock(&self.place).queue = Arc::downgrade(queue);
    }

    /// The request, or what is left of it, waits under `ticket`.
    pub fn moved(&self, ticket: Ticket) {
        lock(&self.place).ticket = ticket;
    }

    /// Under which ticket it waited last.
    pub fn ticket(&self) -> Ticket {
        lock(&self.place).ticket
    }

    /// The request, or a part of it, runs in `batch`.
    pub fn runs_in(&self, batch: &Arc<Batch>) {
        let mut place = lock(&self.place);
        let before = std::mem::replace(&mut place.batch, Arc::downgrade(batch));
        if before.strong_count() > 0 {
            place.batches_before.push(before);
        }
    }

    /// Take notice if the caller of a unary method has gone, or of it later.
    pub fn watch(self: &Arc<Self>) {
        let waker = Waker::from(self.clone());
        let gone = match &mut *lock(&self.way) {
            Some(Way::Unary(respond)) => respond.poll_reset(&mut Context::from_waker(&waker)).is_ready(),
            _ => false,
        };
        if gone {
            self.leave();
        }
    }

    /// The caller has gone: forget the request, or tell the batch that runs it.
    pub fn leave(&self) {
        if self.answered().is_none() {
            return;
        }
        let queue = lock(&self.place).queue.upgrade();
        if let Some(queue) = queue {
            queue.withdraw(self);
        }
        self.waits_no_more();
    }

    /// Tell the batches that run the request, or parts of it.
    pub fn waits_no_more(&self) {
        let batches = {
            let mut place = lock(&self.place);
            let last = std::mem::take(&mut place.batch);
            std::mem::take(&mut place.batches_before).into_iter().chain([last])
        };
        for batch in batches.filter_map(|batch| batch.upgrade()) {
            batch.caller_gone();
        }
    }
}

impl Wake for Caller {
    fn wake(self: Arc<Self>) {
        if self.waits() {
            let io = self.io.clone();
            io.suspect(self);
        }
    }
}
