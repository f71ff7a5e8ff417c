//! What the headers of a call say.

use std::time::{Duration, Instant};

use http::{HeaderMap, Method, StatusCode};

use crate::error::{exhausted, ServingError};
use crate::frame::Encoding;
use crate::headers::{GRPC_ENCODING, GRPC_TIMEOUT};
use crate::memory::Held;

/// A call, as its headers have it.
pub struct Call {
    /// As they came.
    pub headers: HeaderMap,
    /// When they came.
    pub arrived: Instant,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    /// How packed messages are packed.
    pub encoding: Encoding,
    /// Room for the message that is being answered.
    pub held: Held,
}

impl Call {
    /// Read the headers of a call that came at `arrived`.
    pub fn new(headers: HeaderMap, arrived: Instant) -> Self {
        let timeout = headers.get(&GRPC_TIMEOUT).and_then(|value| timeout(value.as_bytes()));
        let encoding = Encoding::of_header(headers.get(&GRPC_ENCODING).map(|value| value.as_bytes()));
        let deadline = timeout.and_then(|timeout| arrived.checked_add(timeout));
        Call { headers, arrived, deadline, encoding, held: Held::default() }
    }
}

/// Why a request is not gRPC, as HTTP says it.
pub fn http_refusal(method: &Method, headers: &HeaderMap) -> Option<StatusCode> {
    let content_type = headers.get(http::header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    if method != Method::POST {
        Some(StatusCode::METHOD_NOT_ALLOWED)
    } else if !is_grpc(content_type) {
        Some(StatusCode::UNSUPPORTED_MEDIA_TYPE)
    } else {
        None
    }
}

/// 'application/grpc', with a format or parameters; gRPC-Web is another protocol.
fn is_grpc(content_type: &[u8]) -> bool {
    let rest = content_type.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Refuse headers of more than `limit` bytes, counted as HTTP/2 counts them.
pub fn check_metadata(headers: &HeaderMap, limit: usize) -> Result<(), ServingError> {
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    if size <= limit {
        return Ok(());
    }
    Err(exhausted("METADATA_TOO_LARGE", format!("metadata of at most {limit} bytes is taken, got {size}")))
}

/// <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>: at most eight digits and a unit.
fn timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0, |number: u64, digit| number * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Some(Duration::from_secs(number * 3600)),
        b'M' => Some(Duration::from_secs(number * 60)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_read_in_every_unit() {
        assert_eq!(timeout(b"2H"), Some(Duration::from_secs(7200)));
        assert_eq!(timeout(b"99999999n"), Some(Duration::from_nanos(99_999_999)));
        assert_eq!(timeout(b"0m"), Some(Duration::ZERO));
        for bad in [&b""[..], b"S", b"1", b"1x", b"-1S", b"123456789S"] {
            assert_eq!(timeout(bad), None);
        }
    }

    #[test]
    fn metadata_is_counted_with_32_bytes_a_header() {
        let mut headers = HeaderMap::new();
        headers.insert("x", "y".parse().unwrap());
        assert!(check_metadata(&headers, 34).is_ok());
        assert_eq!(check_metadata(&headers, 33).unwrap_err().reason, "METADATA_TOO_LARGE");
    }

    #[test]
    fn grpc_alone_is_taken_in_any_format_and_grpc_web_is_another_protocol() {
        let refusal = |content_type: &str| {
            let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, content_type.parse().unwrap())]);
            http_refusal(&Method::POST, &headers)
        };
        for taken in ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"] {
            assert_eq!(refusal(taken), None, "{taken}");
        }
        for other in ["application/grpc-web+proto", "application/grpcx", "application/json", ""] {
            assert_eq!(refusal(other), Some(StatusCode::UNSUPPORTED_MEDIA_TYPE), "{other}");
        }
    }
}
