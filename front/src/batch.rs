//! Requests that run together.
//!
//! Each is answered once; the answers are kept until the last is there and go back together. What a worker drops is
//! answered INTERNAL, so that no caller ever hangs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;

use crate::error::{internal, ServingError};
use crate::infer::InferCall;
use crate::infer_reply::{encode_infer, Output};
use crate::queue::ModelQueue;
use crate::request::Request;
use crate::sync::lock;

/// What is done, from any thread and at most once, when every caller of a batch has gone.
pub type WhenAbandoned = Box<dyn FnOnce() + Send>;

/// What callers are to know of their own tensors, by the request's index: parameters of its answer, each of them true.
pub type Remarks = HashMap<usize, Vec<String>>;

type Outcome = Result<Bytes, ServingError>;

struct State {
    outcomes: Vec<Option<Outcome>>,
    unanswered: usize,
    when_abandoned: Option<WhenAbandoned>,
    abandoned: bool,
}

/// Requests of one method, taken by one worker.
pub struct Batch {
    /// Oldest first.
    pub requests: Vec<Request>,
    /// Of all requests.
    pub rows: u64,
    /// When it left the queue.
    pub taken: Instant,
    queue: Arc<ModelQueue>,
    state: Mutex<State>,
}

impl Batch {
    /// `requests`: at least one.
    pub fn new(requests: Vec<Request>, queue: Arc<ModelQueue>, taken: Instant) -> Arc<Self> {
        let outcomes = requests.iter().map(|_| None).collect();
        let state = State { outcomes, unanswered: requests.len(), when_abandoned: None, abandoned: false };
        let rows = requests.iter().map(|request| request.rows).sum();
        Arc::new(Batch { requests, rows, taken, queue, state: Mutex::new(state) })
    }

    /// The queue that it came from.
    pub fn queue(&self) -> &ModelQueue {
        &self.queue
    }

    /// What a worker reads of a request: of a part of a typed one, the message with the part's rows alone.
    pub fn message(&self, request: &Request) -> Bytes {
        match (&request.part, self.queue.spec.typed(request.method)) {
            (Some(part), Some(route)) => {
                let rows = part.first_row..part.first_row + request.rows;
                part.whole.with_rows(&request.message, route.rows_field, rows)
            }
            _ => request.message.clone(),
        }
    }

    /// The tensors of its requests; none where the method is a typed one.
    pub fn calls(&self) -> impl Iterator<Item = &InferCall> {
        self.requests.iter().filter_map(|request| request.call.as_ref())
    }

    /// Answer one request. A second answer, and one to a request that is not there, is passed over.
    pub fn settle(&self, index: usize, outcome: Outcome) {
        let mut state = lock(&self.state);
        state.settle(index, outcome);
        self.send_when_complete(state);
    }

    /// Answer every request that has no answer yet with its rows of the outputs, which have all of the batch's rows.
    pub fn settle_with(&self, outputs: &[Output], remarks: &Remarks) {
        let mut start = 0;
        let frames = self.requests.iter().enumerate().map(|(index, request)| {
            let call = request.call.as_ref()?;
            let remarks = remarks.get(&index).map_or(&[][..], Vec::as_slice);
            let frame = encode_infer(call, &self.queue.spec.reply_head, outputs, start, remarks);
            start += request.rows as usize;
            Some(frame)
        });
        let frames: Vec<Option<Bytes>> = frames.collect();
        let mut state = lock(&self.state);
        for (index, frame) in frames.into_iter().enumerate() {
            if let Some(frame) = frame {
                state.settle(index, Ok(frame));
            }
        }
        self.send_when_complete(state);
    }

    /// Answer every request that has no answer yet with `error`.
    pub fn fail_rest(&self, error: &ServingError) {
        let mut state = lock(&self.state);
        for index in 0..self.requests.len() {
            if matches!(state.outcomes.get(index), Some(None)) {
                state.settle(index, Err(error.clone()));
            }
        }
        self.send_when_complete(state);
    }

    /// The worker has let go of the batch.
    pub fn abandon(&self) {
        if self.is_unanswered() {
            self.fail_rest(&internal("a worker left the request unanswered"));
        }
    }

    /// Whether an answer is still to come.
    pub fn is_unanswered(&self) -> bool {
        lock(&self.state).unanswered > 0
    }

    /// Do this when every caller has gone who still waits for an answer. True, and nothing is done, where that is so
    /// already.
    pub fn on_abandoned(&self, callback: WhenAbandoned) -> bool {
        let mut state = lock(&self.state);
        if self.nobody_waits(&state) {
            state.abandoned = true;
            return true;
        }
        state.when_abandoned = Some(callback);
        false
    }

    /// A caller waits no more: when no other waits for an answer that is still to come, say so.
    pub fn caller_gone(&self) {
        let mut state = lock(&self.state);
        if !self.nobody_waits(&state) {
            return;
        }
        let callback = state.when_abandoned.take();
        state.abandoned |= callback.is_some();
        drop(state);
        if let Some(callback) = callback {
            callback();
        }
    }

    /// Whether all is answered without what `on_abandoned` was given having been called, which it then never is.
    pub fn is_settled(&self) -> bool {
        let state = lock(&self.state);
        state.unanswered == 0 && !state.abandoned
    }

    fn nobody_waits(&self, state: &State) -> bool {
        let mut pairs = state.outcomes.iter().zip(&self.requests);
        state.unanswered > 0 && !pairs.any(|(outcome, request)| outcome.is_none() && request.caller.waits())
    }

    fn send_when_complete(&self, mut state: std::sync::MutexGuard<State>) {
        if state.unanswered > 0 || state.outcomes.is_empty() {
            return;
        }
        let outcomes = std::mem::take(&mut state.outcomes);
        let callback = state.when_abandoned.take();
        drop(state);
        drop(callback);
        self.queue.finish(self, outcomes.into_iter().flatten().collect());
    }
}

impl State {
    fn settle(&mut self, index: usize, outcome: Outcome) {
        if let Some(place @ None) = self.outcomes.get_mut(index) {
            *place = Some(outcome);
            self.unanswered -= 1;
        }
    }
}
