//! The answers that each message had, every different one once.
//!
//! A server may answer one request in several ways that are all right: rounding follows the size of the batch. What is
//! right is not known here; there are few ways, so each answer is compared with them, the last one first, and all that
//! differ are handed to who can judge them.

use std::io::{Error, Result};

/// More ways than this are no rounding.
const MOST_WAYS: usize = 512;

/// The ways in which each message was answered, with how often.
pub struct Answers {
    /// By message.
    pub ways: Vec<Vec<(Vec<u8>, u64)>>,
}

impl Answers {
    /// To that many messages.
    pub fn new(messages: usize) -> Answers {
        Answers { ways: vec![Vec::new(); messages] }
    }

    /// Count an answer. An error where the message has had too many different ones.
    pub fn add(&mut self, message: usize, answer: Vec<u8>) -> Result<()> {
        let ways = &mut self.ways[message];
        match ways.iter().position(|(way, _)| *way == answer) {
            Some(place) => {
                ways[place].1 += 1;
                ways.swap(0, place);
            }
            None if ways.len() == MOST_WAYS => {
                return Err(Error::other(format!("message {message} was answered in more than {MOST_WAYS} ways")));
            }
            None => ways.push((answer, 1)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_different_answer_is_kept_once_with_its_count() {
        let mut answers = Answers::new(2);
        for (message, answer) in [(0, b"a"), (0, b"b"), (0, b"a"), (1, b"b")] {
            assert!(answers.add(message, answer.to_vec()).is_ok());
        }
        let mut first = answers.ways[0].clone();
        first.sort();
        assert_eq!(first, [(b"a".to_vec(), 2), (b"b".to_vec(), 1)]);
        assert_eq!(answers.ways[1], [(b"b".to_vec(), 1)]);
    }

    #[test]
    fn answers_without_end_are_an_error() {
        let mut answers = Answers::new(1);
        assert!((0..MOST_WAYS).all(|number| answers.add(0, number.to_be_bytes().to_vec()).is_ok()));
        assert!(answers.add(0, b"one more".to_vec()).is_err());
    }
}
