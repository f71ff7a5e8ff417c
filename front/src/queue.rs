//! The queue of one model-version: the line, its lock, and the workers that wait at it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::batch::Batch;
use crate::caller::{Answer, Caller};
use crate::counts::{us, QueueCounts};
use crate::error::{deadline_exceeded, exhausted, ServingError};
use crate::io::Io;
use crate::line::{Line, Next};
use crate::queue_spec::QueueSpec;
use crate::request::Request;
use crate::sync::{lock, wait};
use crate::told::{BatchTold, Told};

/// When what was displaced may try again: those that displaced it must have gone first.
const DISPLACED_RETRY: Duration = Duration::from_millis(100);

/// A request whose answer is complete.
struct Settled {
    caller: Arc<Caller>,
    outcome: Result<Bytes, ServingError>,
    told: Told,
    compute_us: u64,
    in_parts: bool,
}

struct State {
    line: Line<Request>,
    counts: QueueCounts,
}

/// Bounded by rows. `take` blocks a worker thread; everything else returns at once.
pub struct ModelQueue {
    /// As it was opened.
    pub spec: QueueSpec,
    state: Mutex<State>,
    changed: Condvar,
    fed: AtomicBool,
    io: Arc<Io>,
}

impl ModelQueue {
    /// An open queue without requests.
    pub fn new(spec: QueueSpec, io: Arc<Io>) -> Arc<Self> {
        let state = State { line: Line::new(spec.policy.clone()), counts: QueueCounts::default() };
        Arc::new(ModelQueue {
            spec,
            state: Mutex::new(state),
            changed: Condvar::new(),
            fed: AtomicBool::new(false),
            io,
        })
    }

    /// Queue a request; it comes back where the queue is closed.
    pub fn admit(self: &Arc<Self>, request: Request) -> Result<Option<Request>, ServingError> {
        let mut state = lock(&self.state);
        if state.line.is_closed() {
            return Ok(Some(request));
        }
        state.line.check(&self.spec.model, &request, Instant::now())?;
        request.caller.stands_in(self);
        let displaced = state.line.push(request);
        state.counts.last_request_unix_ms = unix_ms();
        drop(state);
        if !displaced.is_empty() {
            self.refuse(displaced, &self.displaced());
        }
        if !self.fed.swap(true, Ordering::AcqRel) {
            self.io.feed(self);
        }
        Ok(None)
    }

    /// A round has ended in which requests came.
    pub fn wake_worker(&self) {
        self.fed.store(false, Ordering::Release);
        // With the lock held once, no worker is between its look at the line and its wait.
        drop(lock(&self.state));
        self.changed.notify_one();
    }

    /// Wait for a batch. None once the queue is closed and empty.
    pub fn take(self: &Arc<Self>) -> Option<Arc<Batch>> {
        let mut state = lock(&self.state);
        loop {
            let now = Instant::now();
            self.refuse(state.line.expired(now), &expired());
            let limit = match state.line.next(now) {
                Next::Batch(requests) => {
                    state.counts.in_flight_requests += requests.len() as u64;
                    let batch = Batch::new(requests, self.clone(), now);
                    // Under the lock, so that a caller who leaves is either still in the line or known to the batch.
                    batch.requests.iter().for_each(|request| request.caller.runs_in(&batch));
                    if !state.line.is_empty() {
                        // For a worker that was woken too early to see what has become complete since.
                        self.changed.notify_one();
                    }
                    return Some(batch);
                }
                Next::Wait(limit) => limit,
                Next::Closed => return None,
            };
            state = wait(&self.changed, state, limit);
        }
    }

    /// Take out what still waits of a request whose caller has gone.
    pub fn withdraw(&self, caller: &Caller) {
        // With the lock held, nothing moves on to another ticket.
        let mut state = lock(&self.state);
        state.line.withdraw(caller.ticket());
    }

    /// Admit no more; what waits is still handed out.
    pub fn close(&self) {
        lock(&self.state).line.close();
        self.changed.notify_all();
    }

    /// What has been done, and the rows that wait.
    pub fn stats(&self) -> (QueueCounts, u64) {
        let state = lock(&self.state);
        (state.counts.clone(), state.line.waiting_rows())
    }

    /// All of a batch has been answered: send it.
    pub fn finish(&self, batch: &Batch, outcomes: Vec<Result<Bytes, ServingError>>) {
        let compute = batch.taken.elapsed();
        let told = Arc::new(self.told(us(compute), batch.rows));
        // Of one that was ended, or refused as a whole, the time says nothing of those that run to their end.
        let has_run = outcomes.iter().any(Result::is_ok);
        let requests = batch.requests.iter().zip(outcomes);
        let settled: Vec<Settled> = requests
            .filter_map(|(request, outcome)| self.settle(batch, request, outcome, &told, us(compute)))
            .collect();
        {
            let mut state = lock(&self.state);
            state.line.finished(batch.rows, batch.taken, has_run.then_some(compute));
            state.counts.add_batch(batch.rows, batch.requests.len() as u64);
            for one in &settled {
                state.counts.add_request(one.told.queue_us, one.compute_us, one.outcome.is_ok());
                if one.outcome.is_err() && one.in_parts {
                    state.line.withdraw(one.caller.ticket());
                }
            }
        }
        self.io
            .post(settled.into_iter().map(|one| (one.caller, Answer { outcome: one.outcome, told: Some(one.told) })));
    }

    /// What one request's outcome is to its caller; None where other parts of it are still to come.
    fn settle(
        &self,
        batch: &Batch,
        request: &Request,
        outcome: Result<Bytes, ServingError>,
        told: &Arc<BatchTold>,
        compute_us: u64,
    ) -> Option<Settled> {
        let caller = request.caller.clone();
        let Some(part) = &request.part else {
            let told = Told { queue_us: request.waited_us(batch.taken), batch: told.clone(), cache: None };
            return Some(Settled { caller, outcome, told, compute_us, in_parts: false });
        };
        let (outcome, first_taken) = part.whole.settle(part.index, outcome, batch.taken, self.spec.max_answer_bytes)?;
        let compute_us = us(first_taken.elapsed());
        let batch = Arc::new(self.told(compute_us, self.spec.policy.max_batch_rows));
        let told = Told { queue_us: request.waited_us(first_taken), batch, cache: None };
        Some(Settled { caller, outcome, told, compute_us, in_parts: true })
    }

    /// Answer requests that will not run.
    fn refuse(&self, requests: Vec<Request>, error: &ServingError) {
        if requests.is_empty() {
            return;
        }
        let (told, now) = (Arc::new(self.told(0, 0)), Instant::now());
        self.io.post(requests.into_iter().map(|request| {
            let told = Told { queue_us: request.waited_us(now), batch: told.clone(), cache: None };
            (request.caller, Answer { outcome: Err(error.clone()), told: Some(told) })
        }));
    }

    fn displaced(&self) -> ServingError {
        let text = format!("model '{}': the request made room for one of a higher priority", self.spec.model);
        exhausted("QUEUE_FULL", text).retry(DISPLACED_RETRY)
    }

    fn told(&self, compute_us: u64, rows: u64) -> BatchTold {
        BatchTold::new(compute_us, rows, self.spec.version_told.clone(), self.spec.device_told.clone())
    }
}

fn expired() -> ServingError {
    deadline_exceeded("the deadline passed while the request waited: the model did not run".to_owned())
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
