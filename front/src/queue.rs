//! The queue of one model-version: the line, its lock, and the workers that wait at it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::HeaderValue;

use crate::batch::Batch;
use crate::caller::{Answer, BatchTold, Caller, Told};
use crate::counts::{us, QueueCounts};
use crate::error::{deadline_exceeded, ServingError};
use crate::infer::InferCall;
use crate::io::Io;
use crate::line::{Line, Next, Policy, Waiting};
use crate::sync::{lock, wait};
use crate::tensors::Signature;

/// A method by its place among the front's: 0 is ModelInfer, the typed ones follow.
pub type MethodIndex = usize;

/// One model-version's queue, as it was opened.
pub struct QueueSpec {
    /// Its name.
    pub model: String,
    /// Its version.
    pub version: String,
    /// The typed methods that feed it.
    pub methods: Vec<MethodIndex>,
    /// Their names, for a message.
    pub offered: String,
    /// A request of more is wrong.
    pub max_request_rows: u64,
    /// Of ModelInfer.
    pub signature: Signature,
    /// How requests become batches.
    pub policy: Policy,
    /// The first fields of every ModelInferResponse.
    pub reply_head: Vec<u8>,
    /// For the trailers.
    pub version_told: HeaderValue,
    /// For the trailers.
    pub device_told: HeaderValue,
}

/// One request on its way through the front.
pub struct Request {
    /// Who waits.
    pub caller: Arc<Caller>,
    /// Which method was called.
    pub method: MethodIndex,
    /// As it came.
    pub message: Bytes,
    /// ModelInfer only.
    pub call: Option<InferCall>,
    /// At least one.
    pub rows: u64,
    /// When its head had come.
    pub arrived: Instant,
    /// When its caller stops waiting.
    pub deadline: Option<Instant>,
}

impl Waiting for Request {
    fn runs_with(&self, other: &Self) -> bool {
        self.method == other.method && open_dimensions(self) == open_dimensions(other)
    }
    fn rows(&self) -> u64 {
        self.rows
    }
    fn arrived(&self) -> Instant {
        self.arrived
    }
    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
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
        let caller = request.caller.clone();
        let ticket = state.line.push(request);
        caller.stands_in(self, ticket);
        state.counts.last_request_unix_ms = unix_ms();
        drop(state);
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
            self.refuse(state.line.expired(now), now);
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

    /// Take out a request whose caller has gone: false where it no longer waits.
    pub fn withdraw(&self, ticket: u64) -> bool {
        lock(&self.state).line.withdraw(ticket).is_some()
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
        let queue_us: Vec<u64> = batch.requests.iter().map(|request| waited_us(request, batch.taken)).collect();
        let failures = outcomes.iter().filter(|outcome| outcome.is_err()).count() as u64;
        {
            let mut state = lock(&self.state);
            state.line.finished(compute);
            state.counts.add_batch(batch.rows, &queue_us, us(compute), failures);
        }
        let told = Arc::new(self.told(us(compute), batch.rows));
        let callers = batch.requests.iter().map(|request| request.caller.clone());
        self.io.post(callers.zip(outcomes).zip(queue_us).map(|((caller, outcome), queue_us)| {
            (caller, Answer { outcome, told: Some(Told { queue_us, batch: told.clone() }) })
        }));
    }

    fn refuse(&self, expired: Vec<Request>, now: Instant) {
        if expired.is_empty() {
            return;
        }
        let told = Arc::new(self.told(0, 0));
        self.io.post(expired.into_iter().map(|request| {
            let text = "the deadline passed while the request waited: the model did not run".to_owned();
            let told = Told { queue_us: waited_us(&request, now), batch: told.clone() };
            (request.caller, Answer { outcome: Err(deadline_exceeded(text)), told: Some(told) })
        }));
    }

    fn told(&self, compute_us: u64, rows: u64) -> BatchTold {
        BatchTold {
            compute_us: HeaderValue::from(compute_us),
            rows: HeaderValue::from(rows),
            version: self.spec.version_told.clone(),
            device: self.spec.device_told.clone(),
        }
    }
}

fn open_dimensions(request: &Request) -> &[i64] {
    request.call.as_ref().map_or(&[], |call| &call.open_dimensions)
}

fn waited_us(request: &Request, until: Instant) -> u64 {
    us(until.checked_duration_since(request.arrived).unwrap_or(Duration::ZERO))
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
