//! The few facts that a front reads from a message without knowing its type.
//!
//! Every request has its model in field 1 and its version in field 2; a typed request's rows are the elements of one
//! repeated field. Like every protobuf parser this takes the last of a field that comes twice. Whether the rest of
//! the message is right is the task's to say.

use crate::error::{invalid, malformed, ServingError};
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
    /// Bytes of all other fields.
    pub other_bytes: usize,
}

/// A message of nothing but tiny fields costs far more to read than its bytes say.
const MAX_FIELDS: usize = 250_000;

/// Model, version and the number of elements of `rows_field`, 0 for no such field; `message_name` is for errors.
pub fn read_envelope<'a>(
    message: &'a [u8],
    rows_field: u32,
    message_name: impl Fn() -> String,
) -> Result<Envelope<'a>, ServingError> {
    match walk(message, rows_field) {
        Ok(Some(envelope)) => Ok(envelope),
        Ok(None) => {
            let text = format!("{}: at most {MAX_FIELDS} fields are read", message_name());
            Err(invalid("TOO_MANY_FIELDS", text, ""))
        }
        Err(Malformed) => Err(malformed(&message_name())),
    }
}

/// None where there are too many fields.
fn walk(message: &[u8], rows_field: u32) -> Result<Option<Envelope<'_>>, Malformed> {
    let mut reader = Reader::new(message);
    let (mut model, mut version, mut row_count, mut field_count) = (&b""[..], &b""[..], 0, 0);
    let (mut left, mut other_bytes) = (message.len(), message.len());
    while let Some((number, value)) = reader.field()? {
        field_count += 1;
        let bytes = std::mem::replace(&mut left, reader.left()) - left;
        if field_count > MAX_FIELDS {
            return Ok(None);
        }
        match (number, value) {
            (number, Value::Bytes(_)) if number == rows_field => {
                row_count += 1;
                other_bytes -= bytes;
            }
            (1, Value::Bytes(bytes)) => model = bytes,
            (2, Value::Bytes(bytes)) => version = bytes,
            _ => {}
        }
    }
    Ok(Some(Envelope { model: text(model)?, version: text(version)?, row_count, other_bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{put_bytes, put_number};

    fn read(message: &[u8]) -> Result<Envelope<'_>, ServingError> {
        read_envelope(message, 3, || "m".to_owned())
    }

    #[test]
    fn the_last_of_a_repeated_scalar_counts_and_rows_are_counted() {
        let mut message = Vec::new();
        put_bytes(&mut message, 1, b"first");
        put_bytes(&mut message, 3, b"a");
        put_number(&mut message, 9, 7);
        put_bytes(&mut message, 1, b"last");
        put_bytes(&mut message, 2, b"2");
        put_bytes(&mut message, 3, b"b");
        assert_eq!(read(&message), Ok(Envelope { model: "last", version: "2", row_count: 2, other_bytes: 18 }));
    }

    #[test]
    fn a_model_that_is_no_utf8_is_malformed() {
        let mut message = Vec::new();
        put_bytes(&mut message, 1, b"\xff");
        assert_eq!(read(&message).unwrap_err().reason, "MALFORMED_MESSAGE");
    }

    #[test]
    fn an_empty_message_names_nothing() {
        assert_eq!(read(b""), Ok(Envelope { model: "", version: "", row_count: 0, other_bytes: 0 }));
    }

    #[test]
    fn endless_tiny_fields_are_too_many() {
        assert_eq!(read(&b"\x50\x00".repeat(MAX_FIELDS)).unwrap().model, "");
        assert_eq!(read(&b"\x50\x00".repeat(MAX_FIELDS + 1)).unwrap_err().reason, "TOO_MANY_FIELDS");
    }
}
