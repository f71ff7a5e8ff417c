//! The rows of a typed request that runs in parts: found once, for all of its parts.

use std::ops::Range;

use bytes::Bytes;

use crate::proto::{Malformed, Reader, Value};

/// A message, and where in it the elements of one repeated field stand.
pub struct Rows {
    message: Bytes,
    places: Vec<Range<usize>>,
}

impl Rows {
    /// Walk the message.
    pub fn find(message: &Bytes, rows_field: u32) -> Result<Self, Malformed> {
        let (mut reader, mut places, mut start) = (Reader::new(message), Vec::new(), 0);
        while let Some((number, value)) = reader.field()? {
            let end = message.len() - reader.left();
            if number == rows_field && matches!(value, Value::Bytes(_)) {
                places.push(start..end);
            }
            start = end;
        }
        Ok(Rows { message: message.clone(), places })
    }

    /// The message with no other rows than those.
    pub fn only(&self, rows: Range<u64>) -> Bytes {
        let (mut out, mut start) = (Vec::new(), 0);
        for (row, place) in (0..).zip(&self.places) {
            if !rows.contains(&row) {
                out.extend_from_slice(&self.message[start..place.start]);
                start = place.end;
            }
        }
        out.extend_from_slice(&self.message[start..]);
        out.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::put_bytes;

    /// Seven in field 4, longer than it need be.
    const SEVEN: &[u8] = &[4 << 3, 0x87, 0x00];

    fn message(rows: &[&[u8]]) -> Bytes {
        let mut out = Vec::new();
        put_bytes(&mut out, 1, b"m");
        rows.iter().for_each(|row| put_bytes(&mut out, 3, row));
        out.extend_from_slice(SEVEN);
        out.into()
    }

    #[test]
    fn a_part_of_a_message_has_its_own_rows_and_all_else_as_it_came() {
        let rows = Rows::find(&message(&[b"a", b"b", b"c"]), 3).unwrap();
        assert_eq!(rows.only(1..2), message(&[b"b"]));
        assert_eq!(rows.only(0..3), message(&[b"a", b"b", b"c"]));
        assert_eq!(rows.only(3..9), message(&[]));
    }

    #[test]
    fn rows_may_stand_apart() {
        let (first, second) = (message(&[b"a", b"b"]), message(&[b"c"]));
        let rows = Rows::find(&[first, second].concat().into(), 3).unwrap();
        assert_eq!(rows.only(1..3), [message(&[b"b"]), message(&[b"c"])].concat());
    }
}
