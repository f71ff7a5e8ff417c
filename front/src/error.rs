//! Every way a request can fail in the front, told apart by cause: `services/runtime/errors.py` in Rust.
//!
//! The texts are the portable front's, word for word, since callers and tests of both read them.

use std::borrow::Cow;
use std::time::Duration;

/// Why a request was not answered; the number is its gRPC status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cause {
    /// The request itself is wrong.
    InvalidInput = 3,
    /// The deadline has passed or cannot be met.
    Deadline = 4,
    /// No such model, version or service.
    NotFound = 5,
    /// The caller is known and not allowed.
    Forbidden = 7,
    /// A bound was reached.
    Exhausted = 8,
    /// A version must not be loaded.
    RefusedLoad = 9,
    /// A method or an encoding that is not offered.
    Unimplemented = 12,
    /// What nobody foresaw.
    Internal = 13,
    /// Can be answered elsewhere now or here later.
    Unavailable = 14,
    /// The caller is not known.
    Unauthenticated = 16,
}

impl Cause {
    /// The cause of a gRPC status code; INTERNAL for a code that the front never sends.
    pub fn of_code(code: u8) -> Cause {
        use Cause::*;
        [
            InvalidInput,
            Deadline,
            NotFound,
            Forbidden,
            Exhausted,
            RefusedLoad,
            Unimplemented,
            Unavailable,
            Unauthenticated,
        ]
        .into_iter()
        .find(|cause| *cause as u8 == code)
        .unwrap_or(Internal)
    }
}

/// A failure whose text may be shown to the caller.
#[derive(Clone, Debug, PartialEq)]
pub struct ServingError {
    /// Decides the status code.
    pub cause: Cause,
    /// ErrorInfo's UPPER_SNAKE word.
    pub reason: Cow<'static, str>,
    /// What was wrong, what was expected, what to do.
    pub message: String,
    /// The part of the request at fault, or nothing.
    pub field: String,
    /// Set where the same request can succeed later.
    pub retry_after: Option<Duration>,
}

impl ServingError {
    /// An error without field and without retry.
    pub fn new(cause: Cause, reason: &'static str, message: String) -> Self {
        ServingError { cause, reason: Cow::Borrowed(reason), message, field: String::new(), retry_after: None }
    }

    /// The same error, speaking of `field`.
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = field.into();
        self
    }

    /// The same error, with the advice to try again after `delay`.
    pub fn retry(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }
}

/// INVALID_ARGUMENT with the common reason.
pub fn invalid_input(message: String, field: impl Into<String>) -> ServingError {
    invalid("INVALID_INPUT", message, field)
}

/// INVALID_ARGUMENT with a reason of its own.
pub fn invalid(reason: &'static str, message: String, field: impl Into<String>) -> ServingError {
    ServingError::new(Cause::InvalidInput, reason, message).at(field)
}

/// A request without a single row.
pub fn empty_request(field: &str) -> ServingError {
    invalid("EMPTY_REQUEST", format!("{field}: at least one is needed, got 0"), field)
}

/// A request of more rows than a model takes at once.
pub fn too_many_rows(field: &str, limit: u64, rows: u64) -> ServingError {
    invalid("TOO_MANY_ROWS", format!("{field}: at most {limit} rows a request, got {rows}"), field)
}

/// The bytes are not a message of that name.
pub fn malformed(message_name: &str) -> ServingError {
    let text = "the bytes are no valid message (cut short, nested too deep, or a string that is not UTF-8)";
    ServingError::new(Cause::InvalidInput, "MALFORMED_MESSAGE", format!("{message_name}: {text}"))
}

/// No such model, or no such version of it where one is named.
pub fn unknown_model(model: &str, version: &str) -> ServingError {
    let (reason, message) = if version.is_empty() {
        ("UNKNOWN_MODEL", format!("no model '{}'", shown(model)))
    } else {
        ("UNKNOWN_VERSION", format!("model '{}' has no version '{}'", shown(model), shown(version)))
    };
    ServingError::new(Cause::NotFound, reason, message)
}

/// Nothing is wrong with the request: it can be answered elsewhere now or here later.
pub fn unavailable(reason: &'static str, message: String) -> ServingError {
    ServingError::new(Cause::Unavailable, reason, message).retry(Duration::from_secs(1))
}

/// A bound was reached.
pub fn exhausted(reason: &'static str, message: String) -> ServingError {
    ServingError::new(Cause::Exhausted, reason, message)
}

/// The deadline has passed or cannot be met: the model did not run.
pub fn deadline_exceeded(message: String) -> ServingError {
    ServingError::new(Cause::Deadline, "DEADLINE_EXCEEDED", message)
}

/// The deadline had passed before anything could be done.
pub fn too_late() -> ServingError {
    deadline_exceeded("the deadline had passed when the request arrived".to_owned())
}

/// Something that nobody foresaw and the front itself met: there is no id, since the front writes no log.
pub fn internal(what: &str) -> ServingError {
    ServingError::new(Cause::Internal, "INTERNAL", format!("internal error in the front: {what}"))
}

/// A message over the limit; `got` is its size, or None where unpacking was given up.
pub fn message_too_large(limit: usize, got: Option<usize>) -> ServingError {
    let got = got.map_or_else(|| "more".to_owned(), |size| size.to_string());
    exhausted("MESSAGE_TOO_LARGE", format!("a message of at most {limit} bytes is taken, got {got}"))
}

/// An answer over the limit; `got` is its size, or None where no more of it was put together.
pub fn answer_too_large(limit: usize, got: Option<usize>) -> ServingError {
    let got = got.map_or_else(|| "more".to_owned(), |size| size.to_string());
    exhausted("ANSWER_TOO_LARGE", format!("an answer has at most {limit} bytes, this one {got}: ask for less"))
}

const SHOWN_CHARACTERS: usize = 64;

/// `text` as an error message may quote it: printable and short.
pub fn shown(text: &str) -> String {
    let mut characters = text.chars();
    let mut out: String =
        characters.by_ref().take(SHOWN_CHARACTERS).map(|c| if printable(c) { c } else { '?' }).collect();
    if characters.next().is_some() {
        out.push('…');
    }
    out
}

fn printable(c: char) -> bool {
    matches!(c, '"' | '\'' | '\\') || c.escape_debug().len() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_is_printable_and_short() {
        assert_eq!(shown("it's\n\"é\"\u{0}"), "it's?\"é\"?");
        assert_eq!(shown(&"x".repeat(64)), "x".repeat(64));
        assert_eq!(shown(&"x".repeat(65)), format!("{}…", "x".repeat(64)));
    }

    #[test]
    fn every_cause_is_found_by_its_code() {
        for code in [3, 4, 5, 7, 8, 9, 12, 13, 14, 16] {
            assert_eq!(Cause::of_code(code) as u8, code);
        }
        assert_eq!(Cause::of_code(2), Cause::Internal);
    }
}
