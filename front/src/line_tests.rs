//! The line's decisions, with time as a number.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::error::Cause;
use crate::line::{Line, Next};
use crate::room::Policy;
use crate::waiting::{Ticket, Waiting};

#[derive(Clone, Debug, PartialEq)]
struct Request {
    kind: char,
    rows: u64,
    level: u32,
    arrived: Instant,
    deadline: Option<Instant>,
    ticket: Cell<Ticket>,
}

impl Waiting for Request {
    fn runs_with(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
    fn rows(&self) -> u64 {
        self.rows
    }
    fn level(&self) -> u32 {
        self.level
    }
    fn arrived(&self) -> Instant {
        self.arrived
    }
    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
    fn split(&mut self, rows: u64) -> Self {
        self.rows -= rows;
        Request { rows, ..self.clone() }
    }
    fn moved(&self, to: Ticket) {
        self.ticket.set(to);
    }
}

const MS: Duration = Duration::from_millis(1);

fn line(max_wait: Duration) -> Line<Request> {
    Line::new(policy(max_wait))
}

fn policy(max_wait: Duration) -> Policy {
    Policy { max_batch_rows: 4, capacity_rows: 8, max_wait, instances: 1, levels: 3, default_level: 2, in_order: false }
}

fn request(kind: char, rows: u64, arrived: Instant) -> Request {
    Request { kind, rows, level: 2, arrived, deadline: None, ticket: Cell::default() }
}

fn urgent(kind: char, rows: u64, arrived: Instant) -> Request {
    Request { level: 1, ..request(kind, rows, arrived) }
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
fn a_batch_has_no_more_rows_than_it_may() {
    let now = Instant::now();
    let mut line = line(Duration::ZERO);
    for rows in [3, 2] {
        line.push(request('a', rows, now));
    }
    assert_eq!(kinds(line.next(now)), "a");
    assert_eq!(line.waiting_rows(), 2);
}

#[test]
fn a_request_larger_than_a_batch_leaves_in_parts_and_lets_the_others_in_between() {
    let now = Instant::now();
    let mut line = line(Duration::ZERO);
    line.push(request('g', 10, now));
    line.push(request('a', 4, now));
    line.push(request('b', 4, now));
    let order: Vec<(String, u64)> = (0..5)
        .map(|_| {
            let before = line.waiting_rows();
            let kinds = kinds(line.next(now));
            (kinds, before - line.waiting_rows())
        })
        .collect();
    assert_eq!(order, [("g", 4), ("a", 4), ("b", 4), ("g", 4), ("g", 2)].map(|(kind, rows)| (kind.to_owned(), rows)));
    assert_eq!(line.next(now), Next::Wait(None));
}

#[test]
fn a_request_larger_than_a_batch_takes_the_room_of_one_batch() {
    let now = Instant::now();
    let mut line = line(Duration::ZERO);
    line.push(request('g', 100, now));
    assert_eq!(line.check("m", &request('a', 4, now), now), Ok(()));
    line.push(request('a', 4, now));
    assert!(line.check("m", &request('a', 1, now), now).is_err());
}

#[test]
fn what_is_left_of_a_request_can_be_withdrawn_by_its_new_ticket() {
    let now = Instant::now();
    let mut line = line(Duration::ZERO);
    line.push(request('g', 10, now));
    let Next::Batch(parts) = line.next(now) else { panic!("no part left") };
    assert!(line.withdraw(parts[0].ticket.get()).is_none(), "the part that left has the old ticket");
    let Next::Batch(parts) = line.next(now) else { panic!("no part left") };
    assert_eq!((parts[0].rows, line.waiting_rows()), (4, 2));
}

#[test]
fn a_higher_level_leaves_first_and_a_lower_one_fills_what_is_left_of_the_batch() {
    let now = Instant::now();
    let mut line = line(Duration::ZERO);
    line.push(request('a', 1, now));
    line.push(request('b', 1, now));
    line.push(urgent('b', 1, now + MS));
    let Next::Batch(batch) = line.next(now + MS) else { panic!("no batch left") };
    assert_eq!(batch.iter().map(|one| (one.kind, one.level)).collect::<Vec<_>>(), [('b', 1), ('b', 2)]);
    assert_eq!(kinds(line.next(now + MS)), "a");
}

#[test]
fn a_full_line_makes_room_for_a_higher_level_by_its_newest_of_the_last() {
    let now = Instant::now();
    let mut line = line(Duration::ZERO);
    line.push(request('a', 4, now));
    line.push(request('b', 4, now));
    assert!(line.check("m", &request('c', 1, now), now).is_err());
    assert_eq!(line.check("m", &urgent('c', 1, now), now), Ok(()));
    let displaced = line.push(urgent('c', 1, now));
    assert_eq!(displaced.iter().map(|one| one.kind).collect::<String>(), "b");
    assert_eq!(line.waiting_rows(), 5);
}

#[test]
fn what_stands_in_a_lower_level_is_not_ahead() {
    let now = Instant::now();
    let mut line = line(Duration::ZERO);
    line.push(request('a', 4, now));
    line.next(now);
    line.finished(4, now, Some(100 * MS));
    line.push(request('a', 4, now));
    let in_150_ms = |request| Request { deadline: Some(now + 150 * MS), ..request };
    assert!(line.check("m", &in_150_ms(request('a', 1, now)), now).is_err());
    assert_eq!(line.check("m", &in_150_ms(urgent('a', 1, now)), now), Ok(()));
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
fn nobody_waits_for_company_until_it_is_too_late() {
    let now = Instant::now();
    let mut line = line(50 * MS);
    let hurried = |left| Request { deadline: Some(now + left), ..request('a', 1, now) };
    line.push(hurried(40 * MS));
    assert_eq!(line.next(now), Next::Wait(Some(20 * MS)), "half of its time");
    assert_eq!(kinds(line.next(now + 20 * MS)), "a");
    line.finished(1, now + 20 * MS, Some(30 * MS));
    line.push(request('a', 1, now));
    line.push(hurried(40 * MS));
    assert_eq!(line.next(now), Next::Wait(Some(10 * MS)), "what a run takes");
    line.push(hurried(MS));
    assert_eq!(kinds(line.next(now)), "aaa");
}

#[test]
fn a_batch_that_says_nothing_of_others_is_not_remembered() {
    let now = Instant::now();
    let mut line = line(Duration::ZERO);
    for compute in [Some(100 * MS), None] {
        line.push(request('a', 4, now));
        line.next(now);
        line.finished(4, now, compute);
    }
    line.push(request('a', 4, now));
    let error = line.check("m", &Request { deadline: Some(now + MS), ..request('a', 1, now) }, now).unwrap_err();
    assert_eq!(error.message, "200 ms are needed behind what waits, 1 ms are left");
}

#[test]
fn what_does_not_fit_is_refused_with_the_time_to_come_again() {
    let now = Instant::now();
    let mut line = line(Duration::ZERO);
    line.push(request('a', 4, now));
    line.push(request('a', 4, now));
    let error = line.check("m", &request('a', 1, now), now).unwrap_err();
    assert_eq!((error.cause, &*error.reason), (Cause::Exhausted, "QUEUE_FULL"));
    assert_eq!(error.message, "model 'm': 8 of 8 rows wait, 1 do not fit");
    assert_eq!(error.retry_after, Some(10 * MS));
}

#[test]
fn a_batch_larger_than_the_queue_is_let_in_alone() {
    let now = Instant::now();
    let policy = Policy { max_batch_rows: 9, ..policy(Duration::ZERO) };
    assert_eq!(Line::new(policy).check("m", &request('a', 9, now), now), Ok(()));
}

#[test]
fn a_deadline_that_cannot_be_met_is_refused_behind_what_waits() {
    let now = Instant::now();
    let mut line = line(Duration::ZERO);
    let late = Request { deadline: Some(now + 50 * MS), ..request('a', 1, now) };
    line.push(request('a', 4, now));
    line.next(now);
    line.finished(4, now, Some(100 * MS));
    assert_eq!(line.check("m", &late, now), Ok(()), "nothing is ahead");
    line.push(request('a', 4, now));
    let error = line.check("m", &late, now).unwrap_err();
    assert_eq!(error.message, "200 ms are needed behind what waits, 50 ms are left");
    assert_eq!(error.retry_after.map(|delay| delay.as_millis()), Some(150));
}

#[test]
fn a_service_time_that_varies_leaves_less_to_chance() {
    let now = Instant::now();
    let mut line = line(Duration::ZERO);
    for compute in [100 * MS, 200 * MS] {
        line.push(request('a', 4, now));
        line.next(now);
        line.finished(4, now, Some(compute));
    }
    line.push(request('a', 4, now));
    // The mean is 120 ms, the deviation 20 ms: one batch ahead, its own, and four deviations.
    let error = line.check("m", &Request { deadline: Some(now + 319 * MS), ..request('a', 1, now) }, now).unwrap_err();
    assert_eq!(error.message, "320 ms are needed behind what waits, 319 ms are left");
    let in_time = Request { deadline: Some(now + 321 * MS), ..request('a', 1, now) };
    assert_eq!(line.check("m", &in_time, now), Ok(()));
}

#[test]
fn the_expired_and_the_withdrawn_never_leave() {
    let now = Instant::now();
    let mut line = line(Duration::ZERO);
    line.push(Request { deadline: Some(now + MS), ..request('a', 1, now) });
    line.push(request('b', 1, now));
    line.push(request('c', 1, now));
    assert_eq!(line.expired(now + MS).len(), 1);
    let ticket = Ticket { level: 2, number: 1 };
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
