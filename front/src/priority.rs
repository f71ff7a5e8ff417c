//! Which level of priority a request asks for.
//!
//! The message's parameter comes first, then the header `argosy-priority`: digits and nothing else, so that no two
//! readers of a header take it for different numbers.

use crate::error::{invalid, shown, ServingError};
use crate::headers::{Own, OwnHeaders};

/// As many as every whole number of 64 bits has room for.
const MAX_DIGITS: usize = 19;

/// The number that is asked for, 0 for none; `asked` is the message's.
pub fn asked_priority(asked: u64, headers: &OwnHeaders) -> Result<u64, ServingError> {
    match headers.all(Own::Priority).next() {
        Some(value) if asked == 0 => {
            let said = String::from_utf8_lossy(value.as_bytes());
            whole_number(&said).ok_or_else(|| wrong_priority(&said))
        }
        _ => Ok(asked),
    }
}

fn whole_number(said: &str) -> Option<u64> {
    let digits_alone = said.bytes().all(|byte| byte.is_ascii_digit()) && said.len() <= MAX_DIGITS;
    said.parse().ok().filter(|_| digits_alone)
}

fn wrong_priority(said: &str) -> ServingError {
    let name = Own::Priority.name();
    let text = format!("the header {name}: a whole number is needed, got '{}'", shown(said));
    invalid("INVALID_INPUT", text, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(header: &str) -> Result<u64, ServingError> {
        asked_priority(0, &OwnHeaders::one(Own::Priority, header))
    }

    #[test]
    fn a_priority_has_one_to_nineteen_digits() {
        assert_eq!(asked("2"), Ok(2));
        assert_eq!(asked("0000000000000000003"), Ok(3));
        assert_eq!(asked("9999999999999999999"), Ok(9_999_999_999_999_999_999));
    }

    #[test]
    fn anything_else_is_no_priority() {
        for header in ["", "+5", "-1", "1 ", "1.0", "00000000000000000003", "١"] {
            assert_eq!(asked(header).unwrap_err().field, Own::Priority.name(), "{header}");
        }
    }

    #[test]
    fn the_message_comes_before_the_header() {
        assert_eq!(asked_priority(7, &OwnHeaders::one(Own::Priority, "+5")), Ok(7));
    }
}
