//! The line of requests that wait for one model-version: who is let in, who leaves together, who has waited too long.
//!
//! Requests leave oldest first; what stands behind the oldest and can run with it goes along. Room and the measured
//! service time of a batch decide admission. Time is an argument and nothing here blocks: the queue around it does.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::error::{deadline_exceeded, exhausted, ServingError};

/// How much of the newest batch goes into the measured service time.
const NEWEST: f64 = 0.2;
const SHORTEST_RETRY: Duration = Duration::from_millis(10);

/// How requests become batches.
#[derive(Clone, Debug)]
pub struct Policy {
    /// A batch has no more rows than this, unless a single request has.
    pub max_batch_rows: u64,
    /// What may wait.
    pub capacity_rows: u64,
    /// How long the oldest may wait for company.
    pub max_wait: Duration,
    /// Workers that take from the queue.
    pub instances: u32,
}

/// What stands in the line.
pub trait Waiting {
    /// Whether both can be rows of one batch.
    fn runs_with(&self, other: &Self) -> bool;
    /// Its rows.
    fn rows(&self) -> u64;
    /// When the front had read it.
    fn arrived(&self) -> Instant;
    /// When its caller stops waiting.
    fn deadline(&self) -> Option<Instant>;
}

/// What a worker that is free does now.
#[derive(Debug, PartialEq)]
pub enum Next<T> {
    /// Run these.
    Batch(Vec<T>),
    /// Wait, for this long at most where there is a limit.
    Wait(Option<Duration>),
    /// Go home: the line is closed and empty.
    Closed,
}

/// A bounded line of requests. Each has a ticket, by which it can be taken out again.
pub struct Line<T> {
    policy: Policy,
    waiting: VecDeque<(u64, T)>,
    waiting_rows: u64,
    next_ticket: u64,
    running_batches: u32,
    service_time_s: Option<f64>,
    closed: bool,
}

impl<T: Waiting> Line<T> {
    /// An empty line.
    pub fn new(policy: Policy) -> Self {
        Line {
            policy,
            waiting: VecDeque::new(),
            waiting_rows: 0,
            next_ticket: 0,
            running_batches: 0,
            service_time_s: None,
            closed: false,
        }
    }

    /// Rows that wait.
    pub fn waiting_rows(&self) -> u64 {
        self.waiting_rows
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether no more is let in.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Let no more in; what waits still leaves.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Why a request is not let in, if it is not: no room, or a deadline that cannot be met. `model` is for the text.
    pub fn check(&self, model: &str, request: &T, now: Instant) -> Result<(), ServingError> {
        let (rows, capacity) = (request.rows(), self.policy.capacity_rows);
        // A request larger than the queue is let in alone: it could never run otherwise.
        if !self.waiting.is_empty() && self.waiting_rows.saturating_add(rows) > capacity {
            let text = format!("model '{model}': {} of {capacity} rows wait, {rows} do not fit", self.waiting_rows);
            let delay = Duration::try_from_secs_f64(self.wait_s()).unwrap_or(Duration::MAX);
            return Err(exhausted("QUEUE_FULL", text).retry(delay.max(SHORTEST_RETRY)));
        }
        request.deadline().map_or(Ok(()), |deadline| self.check_deadline(deadline, now))
    }

    fn check_deadline(&self, deadline: Instant, now: Instant) -> Result<(), ServingError> {
        let left_s = deadline.saturating_duration_since(now).as_secs_f64();
        if left_s <= 0.0 {
            return Err(deadline_exceeded("the deadline had passed when the request arrived".to_owned()));
        }
        // With nothing ahead a request is always let in, so that one slow batch is not remembered for ever.
        let ahead = !self.waiting.is_empty() || self.running_batches > 0;
        match self.service_time_s {
            Some(service_time_s) if ahead && self.wait_s() + service_time_s > left_s => {
                let (needed_ms, left_ms) = ((self.wait_s() + service_time_s) * 1e3, left_s * 1e3);
                let text = format!("{needed_ms:.0} ms are needed behind what waits, {left_ms:.0} ms are left");
                Err(deadline_exceeded(text))
            }
            _ => Ok(()),
        }
    }

    /// How long what is ahead takes the workers, by the measured service time of a batch.
    fn wait_s(&self) -> f64 {
        // What runs is on average half done.
        let busy = if self.running_batches >= self.policy.instances { 0.5 } else { 0.0 };
        let batches_ahead = self.waiting_rows as f64 / self.policy.max_batch_rows as f64 + busy;
        batches_ahead * self.service_time_s.unwrap_or(0.0) / f64::from(self.policy.instances)
    }

    /// Put a request at the end; its ticket.
    pub fn push(&mut self, request: T) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting_rows += request.rows();
        self.waiting.push_back((ticket, request));
        ticket
    }

    /// Take out the requests whose deadline has passed.
    pub fn expired(&mut self, now: Instant) -> Vec<T> {
        let late = |request: &T| request.deadline().is_some_and(|deadline| deadline <= now);
        if !self.waiting.iter().any(|(_, request)| late(request)) {
            return Vec::new();
        }
        let all = std::mem::take(&mut self.waiting).into_iter();
        let (out, stay): (Vec<_>, Vec<_>) = all.partition(|(_, request)| late(request));
        self.waiting = stay.into();
        self.left(out)
    }

    /// What a free worker does now. A batch counts as running from here on.
    pub fn next(&mut self, now: Instant) -> Next<T> {
        let Some((_, oldest)) = self.waiting.front() else {
            return if self.closed { Next::Closed } else { Next::Wait(None) };
        };
        let left = (oldest.arrived() + self.policy.max_wait).saturating_duration_since(now);
        let (chosen, complete) = self.company(oldest);
        if !complete && !left.is_zero() {
            return Next::Wait(Some(left));
        }
        self.running_batches += 1;
        Next::Batch(self.remove(&chosen))
    }

    /// Where those stand that run with the oldest, and whether nothing is gained by waiting for more.
    fn company(&self, oldest: &T) -> (Vec<usize>, bool) {
        let limit = self.policy.max_batch_rows;
        let mut chosen = Vec::with_capacity(self.waiting.len().min(limit as usize));
        let mut rows: u64 = 0;
        for (place, (_, request)) in self.waiting.iter().enumerate() {
            if !chosen.is_empty() && !request.runs_with(oldest) {
                continue;
            }
            if !chosen.is_empty() && rows.saturating_add(request.rows()) > limit {
                return (chosen, true);
            }
            chosen.push(place);
            rows = rows.saturating_add(request.rows());
        }
        (chosen, self.closed || rows >= limit)
    }

    fn remove(&mut self, places: &[usize]) -> Vec<T> {
        let whole_front = places.last().is_some_and(|last| last + 1 == places.len());
        let out: Vec<(u64, T)> = if whole_front {
            self.waiting.drain(..places.len()).collect()
        } else {
            let mut places = places.iter().copied().peekable();
            let all = std::mem::take(&mut self.waiting).into_iter().enumerate();
            let (out, stay): (Vec<_>, Vec<_>) = all.partition(|(place, _)| places.next_if_eq(place).is_some());
            self.waiting = stay.into_iter().map(|(_, entry)| entry).collect();
            out.into_iter().map(|(_, entry)| entry).collect()
        };
        self.left(out)
    }

    fn left(&mut self, out: Vec<(u64, T)>) -> Vec<T> {
        self.waiting_rows -= out.iter().map(|(_, request)| request.rows()).sum::<u64>();
        out.into_iter().map(|(_, request)| request).collect()
    }

    /// Take out one request, if it still waits.
    pub fn withdraw(&mut self, ticket: u64) -> Option<T> {
        let place = self.waiting.binary_search_by_key(&ticket, |(ticket, _)| *ticket).ok()?;
        let (_, request) = self.waiting.remove(place)?;
        self.waiting_rows -= request.rows();
        Some(request)
    }

    /// A batch was answered `compute` after it left.
    pub fn finished(&mut self, compute: Duration) {
        self.running_batches -= 1;
        let newest = compute.as_secs_f64();
        self.service_time_s = Some(self.service_time_s.map_or(newest, |before| before + NEWEST * (newest - before)));
    }
}
