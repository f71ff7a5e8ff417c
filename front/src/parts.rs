//! A request of more rows than a batch: its parts, and the one answer that their answers become.
//!
//! A part is a request of its own on its way through the queue. The first part that fails answers the whole. A typed
//! answer is a message whose rows are one repeated field, and protobuf reads messages that stand one behind the other
//! as one, their repeated fields joined; ModelInfer's outputs are joined tensor by tensor.

use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use bytes::Bytes;

use crate::error::{answer_too_large, internal, ServingError};
use crate::frame::{framed, HEAD};
use crate::join::join_infer;
use crate::proto::Malformed;
use crate::rows::Rows;
use crate::sync::lock;

type Outcome = Result<Bytes, ServingError>;

/// One part of a request.
#[derive(Clone)]
pub struct Part {
    /// All parts' answers.
    pub whole: Arc<Whole>,
    /// Which part it is.
    pub index: usize,
    /// Where its rows begin in the request.
    pub first_row: u64,
}

/// What has come of the parts of one request.
pub struct Whole {
    is_infer: bool,
    // Of a typed request, when its first part has been taken.
    rows: OnceLock<Option<Rows>>,
    state: Mutex<State>,
}

struct State {
    answers: Vec<Option<Bytes>>,
    bytes: usize,
    taken: Option<Instant>,
    settled: bool,
}

impl Whole {
    /// Of `count` parts.
    pub fn new(count: usize, is_infer: bool) -> Arc<Self> {
        let state = State { answers: vec![None; count], bytes: 0, taken: None, settled: false };
        Arc::new(Whole { is_infer, rows: OnceLock::new(), state: Mutex::new(state) })
    }

    /// The whole's typed message with no other elements of `rows_field` than those of `rows`.
    pub fn with_rows(&self, message: &Bytes, rows_field: u32, rows: Range<u64>) -> Bytes {
        // Never none: the message was walked when the request was placed.
        let found = self.rows.get_or_init(|| Rows::find(message, rows_field).ok());
        found.as_ref().map_or_else(|| message.clone(), |found| found.only(rows))
    }

    /// A part has been answered that left at `taken`: the whole's outcome, once, and when its first part left. Answers
    /// that come to more than twice `limit` bytes are too large, and the parts that are left need not run.
    pub fn settle(&self, index: usize, outcome: Outcome, taken: Instant, limit: usize) -> Option<(Outcome, Instant)> {
        let mut state = lock(&self.state);
        let first = state.taken.map_or(taken, |first| first.min(taken));
        state.taken = Some(first);
        if state.settled {
            return None;
        }
        let outcome = outcome.and_then(|answer| state.add(index, answer, limit));
        if matches!(outcome, Ok(false)) {
            return None;
        }
        state.settled = true;
        let answers: Vec<Bytes> = std::mem::take(&mut state.answers).into_iter().flatten().collect();
        drop(state);
        Some((outcome.and_then(|_| self.joined(&answers)), first))
    }

    fn joined(&self, answers: &[Bytes]) -> Outcome {
        let messages: Vec<&[u8]> = answers.iter().map(|frame| frame.get(HEAD..).unwrap_or(&[])).collect();
        if !self.is_infer {
            return Ok(framed(&messages.concat()));
        }
        match join_infer(&messages) {
            Ok(message) => Ok(framed(&message)),
            Err(Malformed) => Err(internal("the answers to the parts of a request do not go together")),
        }
    }
}

impl State {
    /// Take in a part's answer: whether it is the last.
    fn add(&mut self, index: usize, answer: Bytes, limit: usize) -> Result<bool, ServingError> {
        self.bytes += answer.len().saturating_sub(HEAD);
        // Each has its own heads; how large the whole is shows when it is put together.
        if self.bytes > limit.saturating_mul(2) {
            return Err(answer_too_large(limit, None));
        }
        if let Some(place) = self.answers.get_mut(index) {
            *place = Some(answer);
        }
        Ok(self.answers.iter().all(Option::is_some))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::deadline_exceeded;

    const LIMIT: usize = 11;

    #[test]
    fn answers_are_joined_in_the_order_of_the_parts_not_of_their_coming() {
        let (whole, now) = (Whole::new(2, false), Instant::now());
        assert!(whole.settle(1, Ok(framed(b"second")), now, LIMIT).is_none());
        let (outcome, _) = whole.settle(0, Ok(framed(b"first")), now, LIMIT).unwrap();
        assert_eq!(outcome, Ok(framed(b"firstsecond")));
    }

    #[test]
    fn the_first_part_that_fails_answers_the_whole_and_nothing_does_after_it() {
        let (whole, now) = (Whole::new(2, false), Instant::now());
        let error = deadline_exceeded("late".to_owned());
        assert_eq!(whole.settle(1, Err(error.clone()), now, LIMIT), Some((Err(error.clone()), now)));
        assert_eq!(whole.settle(0, Err(error), now, LIMIT), None);
    }

    #[test]
    fn answers_that_come_to_more_than_the_limit_are_too_large_before_the_last_has_come() {
        let (whole, now) = (Whole::new(3, false), Instant::now());
        assert!(whole.settle(0, Ok(framed(&[7; 2 * LIMIT])), now, LIMIT).is_none());
        let (outcome, _) = whole.settle(2, Ok(framed(b"x")), now, LIMIT).unwrap();
        assert_eq!(outcome.unwrap_err().reason, "ANSWER_TOO_LARGE");
        assert!(whole.settle(1, Ok(framed(b"x")), now, LIMIT).is_none());
    }
}
