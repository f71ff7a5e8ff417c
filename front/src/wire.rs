//! The few facts that a front reads from a message without knowing its type.
//!
//! Every request has its model in field 1 and its version in field 2; a typed request's rows are the elements of one
//! repeated field. Like every protobuf parser this takes the last of a field that comes twice. Whether the rest of
//! the message is right is the task's to say.

use crate::proto::{text, Malformed, Reader, Value};

/// What a request says before it is understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The model's name, '' for none.
    pub model: &'a str,
    /// The version, '' for the default one.
    pub version: &'a str,
    /// How often the rows' field came.
    pub row_count: usize,
}

/// Model, version and the number of elements of `rows_field`, 0 for no such field.
pub fn read_envelope(message: &[u8], rows_field: u32) -> Result<Envelope<'_>, Malformed> {
    let mut reader = Reader::new(message);
    let (mut model, mut version, mut row_count) = (&b""[..], &b""[..], 0);
    while let Some((number, value)) = reader.field()? {
        match (number, value) {
            (number, _) if number == rows_field => row_count += 1,
            (1, Value::Bytes(bytes)) => model = bytes,
            (2, Value::Bytes(bytes)) => version = bytes,
            _ => {}
        }
    }
    Ok(Envelope { model: text(model)?, version: text(version)?, row_count })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{put_bytes, put_number};

    #[test]
    fn the_last_of_a_repeated_scalar_counts_and_rows_are_counted() {
        let mut message = Vec::new();
        put_bytes(&mut message, 1, b"first");
        put_bytes(&mut message, 3, b"a");
        put_number(&mut message, 9, 7);
        put_bytes(&mut message, 1, b"last");
        put_bytes(&mut message, 2, b"2");
        put_bytes(&mut message, 3, b"b");
        assert_eq!(read_envelope(&message, 3), Ok(Envelope { model: "last", version: "2", row_count: 2 }));
    }

    #[test]
    fn a_model_that_is_no_utf8_is_malformed() {
        let mut message = Vec::new();
        put_bytes(&mut message, 1, b"\xff");
        assert_eq!(read_envelope(&message, 3), Err(Malformed));
    }

    #[test]
    fn an_empty_message_names_nothing() {
        assert_eq!(read_envelope(b"", 3), Ok(Envelope { model: "", version: "", row_count: 0 }));
    }
}
