//! The requests of one connection that are not answered yet, by their stream.
//!
//! A client's streams are numbered 1, 3, 5, … in the order of their begin, and few are open at a time: a ring beginning
//! at the oldest finds one without hashing.

use std::collections::VecDeque;

/// A request on its way.
pub struct Stream {
    /// Which of the messages it carries.
    pub message: usize,
    /// When it was asked, or was to be asked, in nanoseconds since the load began.
    pub asked_ns: u64,
    /// Bytes of the message that are sent.
    pub sent: usize,
    /// Bytes that the other side lets us send on this stream.
    pub window: i64,
    /// What has come of the answer: gRPC's head, then the message.
    pub answer: Vec<u8>,
}

/// The open streams.
#[derive(Default)]
pub struct Streams {
    ring: VecDeque<Option<Stream>>,
    oldest: u32,
    open: usize,
}

impl Streams {
    /// How many are open.
    pub fn open(&self) -> usize {
        self.open
    }

    /// Open the next one and say its number.
    pub fn push(&mut self, stream: Stream) -> u32 {
        self.ring.push_back(Some(stream));
        self.open += 1;
        number_at(self.oldest + self.ring.len() as u32 - 1)
    }

    /// An open stream by its number.
    pub fn get(&mut self, number: u32) -> Option<&mut Stream> {
        let place = self.place(number)?;
        self.ring.get_mut(place)?.as_mut()
    }

    /// Close a stream; None where it is not open.
    pub fn take(&mut self, number: u32) -> Option<Stream> {
        let place = self.place(number)?;
        let stream = self.ring.get_mut(place)?.take()?;
        self.open -= 1;
        while matches!(self.ring.front(), Some(None)) {
            self.ring.pop_front();
            self.oldest += 1;
        }
        Some(stream)
    }

    /// All windows grow or shrink: the other side has changed what a stream begins with.
    pub fn widen(&mut self, by: i64) {
        for stream in self.ring.iter_mut().flatten() {
            stream.window += by;
        }
    }

    fn place(&self, number: u32) -> Option<usize> {
        (number / 2).checked_sub(self.oldest).map(|place| place as usize)
    }
}

fn number_at(place: u32) -> u32 {
    2 * place + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(message: usize) -> Stream {
        Stream { message, asked_ns: 0, sent: 0, window: 0, answer: Vec::new() }
    }

    #[test]
    fn streams_are_numbered_as_a_client_numbers_them() {
        let mut streams = Streams::default();
        assert_eq!((0..3).map(|message| streams.push(stream(message))).collect::<Vec<_>>(), [1, 3, 5]);
    }

    #[test]
    fn one_that_is_answered_first_leaves_the_others_in_place() {
        let mut streams = Streams::default();
        for message in 0..3 {
            streams.push(stream(message));
        }
        assert_eq!(streams.take(3).map(|s| s.message), Some(1));
        assert_eq!(streams.take(5).map(|s| s.message), Some(2));
        assert_eq!(streams.take(1).map(|s| s.message), Some(0));
        assert_eq!((streams.open(), streams.push(stream(3))), (0, 7));
    }

    #[test]
    fn a_stream_that_is_closed_is_not_found() {
        let mut streams = Streams::default();
        let number = streams.push(stream(0));
        drop(streams.take(number));
        assert!(streams.get(number).is_none() && streams.take(number).is_none());
    }
}
