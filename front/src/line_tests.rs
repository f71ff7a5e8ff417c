//! The line's decisions, with time as a number.

use std::time::{Duration, Instant};

use crate::error::Cause;
use crate::line::{Line, Next, Policy, Waiting};

#[derive(Clone, Debug, PartialEq)]
struct Request {
    kind: char,
    rows: u64,
    arrived: Instant,
    deadline: Option<Instant>,
}

impl Waiting for Request {
    fn runs_with(&self, other: &Self) -> bool {
        self.kind == other.kind
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

const MS: Duration = Duration::from_millis(1);

fn line(max_wait: Duration) -> Line<Request> {
    Line::new(Policy { max_batch_rows: 4, capacity_rows: 8, max_wait, instances: 1 })
}

fn request(kind: char, rows: u64, arrived: Instant) -> Request {
    Request { kind, rows, arrived, deadline: None }
}

fn kinds(next: Next<Request>) -> String {
    match next {
        Next::Batch(requests) => requests.iter().map(|request| request.kind).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_oldest_leaves_with_those_that_run_with_it() {
    let now = Instant::now();
    let mut line = line(Duration::ZERO);
    for kind in ['a', 'b', 'a', 'b'] {
        line.push(request(kind, 1, now));
    }
    assert_eq!(kinds(line.next(now)), "aa");
    assert_eq!(kinds(line.next(now)), "bb");
    assert_eq!(line.next(now), Next::Wait(None));
}

#[test]
fn a_batch_has_no_more_rows_than_it_may_unless_one_request_has() {
    let now = Instant::now();
    let mut line = line(Duration::ZERO);
    for rows in [9, 3, 2] {
        line.push(request('a', rows, now));
    }
    assert_eq!(kinds(line.next(now)), "a");
    assert_eq!(kinds(line.next(now)), "a");
    assert_eq!(line.waiting_rows(), 2);
}

#[test]
fn a_batch_waits_for_company_until_it_is_full_or_the_oldest_has_waited_enough() {
    let now = Instant::now();
    let mut line = line(5 * MS);
    line.push(request('a', 1, now));
    assert_eq!(line.next(now + MS), Next::Wait(Some(4 * MS)));
    line.push(request('a', 3, now + MS));
    assert_eq!(kinds(line.next(now + MS)), "aa");
    line.push(request('b', 1, now + MS));
    assert_eq!(kinds(line.next(now + 6 * MS)), "b");
}

#[test]
fn what_does_not_fit_is_refused_with_the_time_to_come_again() {
    let now = Instant::now();
    let mut line = line(Duration::ZERO);
    line.push(request('a', 8, now));
    let error = line.check("m", &request('a', 1, now), now).unwrap_err();
    assert_eq!((error.cause, &*error.reason), (Cause::Exhausted, "QUEUE_FULL"));
    assert_eq!(error.message, "model 'm': 8 of 8 rows wait, 1 do not fit");
    assert_eq!(error.retry_after, Some(10 * MS));
}

#[test]
fn a_request_larger_than_the_queue_is_let_in_alone() {
    let now = Instant::now();
    assert_eq!(line(Duration::ZERO).check("m", &request('a', 100, now), now), Ok(()));
}

#[test]
fn a_deadline_that_cannot_be_met_is_refused_behind_what_waits() {
    let now = Instant::now();
    let mut line = line(Duration::ZERO);
    let late = Request { deadline: Some(now + 50 * MS), ..request('a', 1, now) };
    line.push(request('a', 4, now));
    line.next(now);
    line.finished(100 * MS);
    assert_eq!(line.check("m", &late, now), Ok(()), "nothing is ahead");
    line.push(request('a', 4, now));
    let error = line.check("m", &late, now).unwrap_err();
    assert_eq!(error.message, "200 ms are needed behind what waits, 50 ms are left");
}

#[test]
fn the_expired_and_the_withdrawn_never_leave() {
    let now = Instant::now();
    let mut line = line(Duration::ZERO);
    line.push(Request { deadline: Some(now + MS), ..request('a', 1, now) });
    let ticket = line.push(request('b', 1, now));
    line.push(request('c', 1, now));
    assert_eq!(line.expired(now + MS).len(), 1);
    assert!(line.withdraw(ticket).is_some());
    assert!(line.withdraw(ticket).is_none());
    assert_eq!((kinds(line.next(now)), line.waiting_rows()), ("c".to_owned(), 0));
}

#[test]
fn a_closed_line_hands_out_what_waits_and_then_says_so() {
    let now = Instant::now();
    let mut line = line(5 * MS);
    line.push(request('a', 1, now));
    line.close();
    assert_eq!(kinds(line.next(now)), "a");
    assert_eq!(line.next(now), Next::Closed);
}
