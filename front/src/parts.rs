//! A request of more rows than a batch: its parts, and the one answer that their answers become.
//!
//! A part is a request of its own on its way through the queue. The first part that fails answers the whole. A typed
//! answer is a message whose rows are one repeated field, and protobuf reads messages that stand one behind the other
//! as one, their repeated fields joined; ModelInfer's outputs are joined tensor by tensor.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;

use crate::error::{internal, ServingError};
use crate::frame::{framed, HEAD};
use crate::join::join_infer;
use crate::proto::{put_bytes, put_fixed32, put_fixed64, put_number, Malformed, Reader, Value};
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
    state: Mutex<State>,
}

struct State {
    answers: Vec<Option<Bytes>>,
    taken: Option<Instant>,
    settled: bool,
}

impl Whole {
    /// Of `count` parts.
    pub fn new(count: usize, is_infer: bool) -> Arc<Self> {
        let state = State { answers: vec![None; count], taken: None, settled: false };
        Arc::new(Whole { is_infer, state: Mutex::new(state) })
    }

    /// A part has been answered that left at `taken`: the whole's outcome, once, and when its first part left.
    pub fn settle(&self, index: usize, outcome: Outcome, taken: Instant) -> Option<(Outcome, Instant)> {
        let mut state = lock(&self.state);
        let first = state.taken.map_or(taken, |first| first.min(taken));
        state.taken = Some(first);
        if state.settled {
            return None;
        }
        match outcome {
            Err(error) => {
                state.settled = true;
                Some((Err(error), first))
            }
            Ok(answer) => {
                if let Some(place) = state.answers.get_mut(index) {
                    *place = Some(answer);
                }
                if state.answers.iter().any(Option::is_none) {
                    return None;
                }
                state.settled = true;
                let answers: Vec<Bytes> = std::mem::take(&mut state.answers).into_iter().flatten().collect();
                Some((self.joined(&answers), first))
            }
        }
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

/// The message with no other elements of `rows_field` than those of `rows`.
pub fn with_rows(message: &[u8], rows_field: u32, rows: Range<u64>) -> Result<Vec<u8>, Malformed> {
    let (mut out, mut row) = (Vec::new(), 0);
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        if let (true, Value::Bytes(_)) = (number == rows_field, value) {
            row += 1;
            if !rows.contains(&(row - 1)) {
                continue;
            }
        }
        put_field(&mut out, number, value);
    }
    Ok(out)
}

fn put_field(out: &mut Vec<u8>, number: u32, value: Value) {
    match value {
        Value::Varint(value) => put_number(out, number, value),
        Value::Fixed32(value) => put_fixed32(out, number, value),
        Value::Fixed64(value) => put_fixed64(out, number, value),
        Value::Bytes(value) => put_bytes(out, number, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::deadline_exceeded;

    #[test]
    fn a_part_of_a_message_has_its_own_rows_and_all_else() {
        let mut message = Vec::new();
        put_bytes(&mut message, 1, b"m");
        [b"a", b"b", b"c"].iter().for_each(|row| put_bytes(&mut message, 3, *row));
        put_number(&mut message, 4, 7);
        put_fixed32(&mut message, 5, [1, 2, 3, 4]);
        let mut wanted = Vec::new();
        put_bytes(&mut wanted, 1, b"m");
        put_bytes(&mut wanted, 3, b"b");
        put_number(&mut wanted, 4, 7);
        put_fixed32(&mut wanted, 5, [1, 2, 3, 4]);
        assert_eq!(with_rows(&message, 3, 1..2), Ok(wanted));
    }

    #[test]
    fn answers_are_joined_in_the_order_of_the_parts_not_of_their_coming() {
        let (whole, now) = (Whole::new(2, false), Instant::now());
        assert!(whole.settle(1, Ok(framed(b"second")), now).is_none());
        let (outcome, _) = whole.settle(0, Ok(framed(b"first")), now).unwrap();
        assert_eq!(outcome, Ok(framed(b"firstsecond")));
    }

    #[test]
    fn the_first_part_that_fails_answers_the_whole_and_nothing_does_after_it() {
        let (whole, now) = (Whole::new(2, false), Instant::now());
        let error = deadline_exceeded("late".to_owned());
        assert_eq!(whole.settle(1, Err(error.clone()), now), Some((Err(error.clone()), now)));
        assert_eq!(whole.settle(0, Err(error), now), None);
    }
}
