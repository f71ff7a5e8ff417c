//! The line of requests that wait for one model-version: who is let in, who leaves together, who has waited too long.
//!
//! Requests stand by their priority's level, and within a level oldest first; what stands behind the first and can run
//! with it goes along. A request of more rows than a batch leaves in parts: after each, the rest goes to the end of its
//! level, so that it holds up the others by one batch at a time. Time is an argument and nothing here blocks: the queue
//! around it does.

mod admission;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::room::Policy;
use crate::service_time::ServiceTime;
use crate::waiting::{Ticket, Waiting};

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
    waiting: VecDeque<(Ticket, T)>,
    waiting_rows: u64,
    standing_rows: u64,
    next_number: u64,
    // When each batch left, and its rows.
    running: Vec<(Instant, u64)>,
    service_time: ServiceTime,
    closed: bool,
}

impl<T: Waiting> Line<T> {
    /// An empty line.
    pub fn new(policy: Policy) -> Self {
        Line {
            policy,
            waiting: VecDeque::new(),
            waiting_rows: 0,
            standing_rows: 0,
            next_number: 0,
            running: Vec::new(),
            service_time: ServiceTime::default(),
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

    /// What a request takes up: of one that is larger than a batch, what leaves next.
    fn standing(&self, request: &T) -> u64 {
        request.rows().min(self.policy.max_batch_rows)
    }

    /// Put a request at the end of its level. Those that have no room behind it come back: the newest of the last level.
    pub fn push(&mut self, request: T) -> Vec<T> {
        let (level, taken) = (request.level(), self.standing(&request));
        let mut displaced = Vec::new();
        while self.standing_rows + taken > self.policy.capacity_rows {
            match self.waiting.pop_back() {
                Some((ticket, last)) if ticket.level > level => {
                    self.left(&last);
                    displaced.push(last);
                }
                last => {
                    self.waiting.extend(last);
                    break;
                }
            }
        }
        self.stand(request);
        displaced
    }

    fn stand(&mut self, request: T) {
        let ticket = Ticket { level: request.level(), number: self.next_number };
        self.next_number += 1;
        self.waiting_rows += request.rows();
        self.standing_rows += self.standing(&request);
        request.moved(ticket);
        match self.waiting.back() {
            Some((last, _)) if *last > ticket => {
                let place = self.waiting.partition_point(|(other, _)| *other < ticket);
                self.waiting.insert(place, (ticket, request));
            }
            _ => self.waiting.push_back((ticket, request)),
        }
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
        self.all_left(out)
    }

    /// What a free worker does now. A batch counts as running from here on.
    pub fn next(&mut self, now: Instant) -> Next<T> {
        let Some((_, first)) = self.waiting.front() else {
            return if self.closed { Next::Closed } else { Next::Wait(None) };
        };
        let left = self.left_to_wait(first.arrived(), now);
        let (chosen, complete) = self.company(first);
        if !complete && !left.is_zero() {
            return Next::Wait(Some(left));
        }
        let mut batch = self.remove(&chosen);
        let rows: u64 = batch.iter().map(T::rows).sum();
        self.running.push((now, rows.min(self.policy.max_batch_rows)));
        if let [only] = batch.as_mut_slice() {
            if only.rows() > self.policy.max_batch_rows {
                let part = only.split(self.policy.max_batch_rows);
                self.stand(std::mem::replace(only, part));
            }
        }
        Next::Batch(batch)
    }

    /// How long a batch may still wait for company: as long as whoever came first may, and everybody's deadline lets it.
    fn left_to_wait(&self, first: Instant, now: Instant) -> Duration {
        if self.policy.max_wait.is_zero() {
            return Duration::ZERO;
        }
        let oldest = self.waiting.iter().map(|(_, request)| request.arrived()).min().unwrap_or(first);
        let run = self.service_time.needed(self.waiting_rows.min(self.policy.max_batch_rows));
        let latest = self.waiting.iter().filter_map(|(_, request)| latest_start(request, run));
        latest.fold(oldest + self.policy.max_wait, Instant::min).saturating_duration_since(now)
    }

    /// Where those stand that run with the first, and whether nothing is gained by waiting for more.
    fn company(&self, first: &T) -> (Vec<usize>, bool) {
        let limit = self.policy.max_batch_rows;
        let mut chosen = Vec::with_capacity(self.waiting.len().min(limit as usize));
        let mut rows: u64 = 0;
        for (place, (_, request)) in self.waiting.iter().enumerate() {
            if !chosen.is_empty() && !request.runs_with(first) {
                if self.policy.in_order {
                    return (chosen, true);
                }
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
        let out: Vec<(Ticket, T)> = if whole_front {
            self.waiting.drain(..places.len()).collect()
        } else {
            let mut places = places.iter().copied().peekable();
            let all = std::mem::take(&mut self.waiting).into_iter().enumerate();
            let (out, stay): (Vec<_>, Vec<_>) = all.partition(|(place, _)| places.next_if_eq(place).is_some());
            self.waiting = stay.into_iter().map(|(_, entry)| entry).collect();
            out.into_iter().map(|(_, entry)| entry).collect()
        };
        self.all_left(out)
    }

    fn all_left(&mut self, out: Vec<(Ticket, T)>) -> Vec<T> {
        out.iter().for_each(|(_, request)| self.left(request));
        out.into_iter().map(|(_, request)| request).collect()
    }

    fn left(&mut self, request: &T) {
        self.waiting_rows -= request.rows();
        self.standing_rows -= self.standing(request);
    }

    /// Take out one request, if it still waits.
    pub fn withdraw(&mut self, ticket: Ticket) -> Option<T> {
        let place = self.waiting.binary_search_by_key(&ticket, |(ticket, _)| *ticket).ok()?;
        let (_, request) = self.waiting.remove(place)?;
        self.left(&request);
        Some(request)
    }

    /// A batch of `rows` that left at `taken` runs no more. `compute`: how long it took; None of one that says nothing of
    /// how long others take.
    pub fn finished(&mut self, rows: u64, taken: Instant, compute: Option<Duration>) {
        if let Some(place) = self.running.iter().position(|running| *running == (taken, rows)) {
            self.running.swap_remove(place);
        }
        if let Some(compute) = compute {
            self.service_time.add(rows, compute.as_secs_f64());
        }
    }
}

/// When a request has to leave for its deadline: half of its time is for what comes after, or more where a run takes more.
fn latest_start<T: Waiting>(request: &T, run: Duration) -> Option<Instant> {
    let (arrived, deadline) = (request.arrived(), request.deadline()?);
    let half = deadline.saturating_duration_since(arrived) / 2;
    Some(deadline.checked_sub(run.max(half)).unwrap_or(arrived))
}
