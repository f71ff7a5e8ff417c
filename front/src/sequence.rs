//! Whether a step of a sequence was sent to its endpoint by the sequence that it is a step of.
//!
//! A router sends a step by the header `argosy-sequence`. Whoever says one sequence there and another in the message may
//! reach an endpoint that keeps an older state of it, and would be answered wrongly; so both must say the same. What
//! the parameter is in the header is that of `services/runtime/sequence_header.py`. Nothing here knows of states.

use crate::error::{invalid, shown, ServingError};
use crate::headers::{Own, OwnHeaders};
use crate::infer_message::{read_infer, Choice};

const LONGEST: usize = 512;

/// Refuse a ModelInferRequest whose `sequence_id` is another than that of the headers, where both are there.
pub fn check_sequence(message: &[u8], headers: &OwnHeaders) -> Result<(), ServingError> {
    if headers.all(Own::Sequence).next().is_none() {
        return Ok(());
    }
    let values = headers.all(Own::Sequence).map(|value| String::from_utf8_lossy(value.as_bytes()));
    // As HTTP joins a header that comes twice, which is no sequence's.
    let said = values.filter(|value| !value.is_empty()).collect::<Vec<_>>().join(",");
    // Never malformed: it was read before.
    let own = read_infer(message).ok().and_then(|request| in_header(request.sequence_id?));
    match own {
        Some(own) if !said.is_empty() && said != own => Err(mismatch(&said, &own)),
        _ => Ok(()),
    }
}

fn mismatch(said: &str, own: &str) -> ServingError {
    let (name, said, own) = (Own::Sequence.name(), shown(said), shown(own));
    let text = format!("the header {name} says '{said}', where the message's sequence_id makes it '{own}'");
    invalid("SEQUENCE_MISMATCH", text, name)
}

/// A sequence's id percent-encoded; None of a parameter that is no id.
fn in_header(parameter: Choice) -> Option<String> {
    match parameter {
        Choice::Whole(number) if number > 0 => Some(number.to_string()),
        Choice::Text(text) if !text.is_empty() => Some(percent_encoded(text)),
        _ => None,
    }
}

/// <https://www.rfc-editor.org/rfc/rfc3986#section-2.3>: all but the unreserved characters, cut at the longest header.
fn percent_encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes().take(LONGEST) {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out.truncate(LONGEST);
    out
}
