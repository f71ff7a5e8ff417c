//! An error as gRPC carries it: code, percent-encoded message, and google.rpc.Status in `grpc-status-details-bin`.
//!
//! Every error has ErrorInfo, so that a caller can branch on a reason that does not change with the wording. One that
//! can succeed later has RetryInfo, one that speaks of a part of the request BadRequest, a bound QuotaFailure.
//! <https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto>

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::{Cause, ServingError};
use crate::proto::{put_bytes, put_number};

const DOMAIN: &[u8] = b"argosy";
const MAX_MESSAGE_BYTES: usize = 512;
/// A client takes 8 KiB of trailers, and a field's name may have come from a request.
const MAX_FIELD_BYTES: usize = 128;

/// `grpc-status`.
pub const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// Write the error into trailers.
pub fn put_status(trailers: &mut HeaderMap, error: &ServingError) {
    trailers.insert(STATUS, HeaderValue::from(error.cause as u16));
    for (name, text) in [
        (MESSAGE, percent_encoded(bounded_message(&error.message).as_bytes())),
        (DETAILS, base64(&status_details(error))),
    ] {
        if let Ok(value) = HeaderValue::try_from(text) {
            trailers.insert(name, value);
        }
    }
}

/// The text in at most 512 bytes of UTF-8.
pub fn bounded_message(message: &str) -> Cow<'_, str> {
    cut(message, MAX_MESSAGE_BYTES)
}

fn cut(text: &str, max_bytes: usize) -> Cow<'_, str> {
    if text.len() <= max_bytes {
        return Cow::Borrowed(text);
    }
    let end = (0..=max_bytes - "…".len()).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    Cow::Owned(format!("{}…", &text[..end]))
}

fn status_details(error: &ServingError) -> Vec<u8> {
    let message = bounded_message(&error.message);
    let field = cut(&error.field, MAX_FIELD_BYTES);
    let mut status = Vec::with_capacity(256);
    put_number(&mut status, 1, error.cause as u64);
    put_bytes(&mut status, 2, message.as_bytes());
    put_detail(&mut status, "google.rpc.ErrorInfo", &error_info(error, &field));
    if error.cause == Cause::InvalidInput && !field.is_empty() {
        put_detail(&mut status, "google.rpc.BadRequest", &pair(&field, &message));
    }
    if error.cause == Cause::Exhausted {
        put_detail(&mut status, "google.rpc.QuotaFailure", &pair(&error.reason, &message));
    }
    if let Some(delay) = error.retry_after {
        let mut duration = Vec::new();
        put_number(&mut duration, 1, delay.as_secs());
        put_number(&mut duration, 2, u64::from(delay.subsec_nanos()));
        let mut info = Vec::new();
        put_bytes(&mut info, 1, &duration);
        put_detail(&mut status, "google.rpc.RetryInfo", &info);
    }
    status
}

fn error_info(error: &ServingError, field: &str) -> Vec<u8> {
    let mut info = Vec::new();
    put_bytes(&mut info, 1, error.reason.as_bytes());
    put_bytes(&mut info, 2, DOMAIN);
    if !field.is_empty() {
        put_bytes(&mut info, 3, &two_strings("field", field));
    }
    info
}

/// A message whose field 1 is a message of two strings: FieldViolation and Violation alike.
fn pair(first: &str, second: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, 1, &two_strings(first, second));
    out
}

fn two_strings(first: &str, second: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, 1, first.as_bytes());
    put_bytes(&mut out, 2, second.as_bytes());
    out
}

fn put_detail(status: &mut Vec<u8>, name: &str, detail: &[u8]) {
    let mut any = Vec::with_capacity(detail.len() + 64);
    put_bytes(&mut any, 1, format!("type.googleapis.com/{name}").as_bytes());
    put_bytes(&mut any, 2, detail);
    put_bytes(status, 3, &any);
}

/// <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses>
fn percent_encoded(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b' '..=b'~' if *byte != b'%' => out.push(char::from(*byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Without padding, as gRPC wants it of whoever sends.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for index in 0..=chunk.len() {
            out.push(char::from(ALPHABET[(bits >> (18 - 6 * index)) as usize & 63]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648_without_padding() {
        for (bytes, text) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn what_is_not_printable_ascii_is_percent_encoded() {
        assert_eq!(percent_encoded("50 % é\n".as_bytes()), "50 %25 %C3%A9%0A");
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let cut = bounded_message(&"é".repeat(400)).into_owned();
        assert!(cut.len() <= MAX_MESSAGE_BYTES && cut.ends_with("é…"));
        assert_eq!(bounded_message("short"), "short");
    }
}
