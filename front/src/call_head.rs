//! What the headers of a call say.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::error::{exhausted, invalid, shown, ServingError};
use crate::frame::Encoding;
use crate::headers::{OwnHeaders, OWN};
use crate::memory::Held;

const TIMEOUT: &str = "grpc-timeout";

/// A call, as its headers have it.
pub struct Call {
    /// Those that are the fleet's own, which few callers send.
    pub headers: OwnHeaders,
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
    /// Read the headers of a call that came at `arrived`, each once: to look for one by its name costs a hash. Refuse
    /// headers of more than `limit` bytes, counted as HTTP/2 counts them.
    pub fn new(headers: &HeaderMap, arrived: Instant, limit: usize) -> Result<Self, ServingError> {
        let (mut size, mut patience, mut encoding, mut own) = (0, None, None, OwnHeaders::default());
        for (name, value) in headers {
            size += name.as_str().len() + value.len() + 32;
            match name.as_str() {
                TIMEOUT => patience = patience.or(Some(value)),
                "grpc-encoding" => encoding = encoding.or(Some(value)),
                name if name.starts_with(OWN) => own.add(name, value),
                _ => {}
            }
        }
        if size > limit {
            return Err(exhausted(
                "METADATA_TOO_LARGE",
                format!("metadata of at most {limit} bytes is taken, got {size}"),
            ));
        }
        let patience = patience.map(|value| timeout(value.as_bytes()).ok_or_else(|| no_timeout(value))).transpose()?;
        Ok(Call {
            headers: own,
            arrived,
            deadline: patience.and_then(|patience| arrived.checked_add(patience)),
            encoding: Encoding::of_header(encoding.map(|value| value.as_bytes())),
            held: Held::default(),
        })
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

fn no_timeout(value: &HeaderValue) -> ServingError {
    let said = String::from_utf8_lossy(value.as_bytes());
    let text = format!("the header {TIMEOUT}: at most eight digits and a unit are needed, got '{}'", shown(&said));
    invalid("INVALID_INPUT", text, TIMEOUT)
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
    use crate::headers::Own;

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
    fn a_timeout_that_is_none_is_refused_and_not_passed_over() {
        let headers = HeaderMap::from_iter([("grpc-timeout".parse().unwrap(), "-1S".parse().unwrap())]);
        let refused = Call::new(&headers, Instant::now(), 1000).err().unwrap();
        let text = "the header grpc-timeout: at most eight digits and a unit are needed, got '-1S'";
        assert_eq!((&*refused.message, &*refused.field), (text, "grpc-timeout"));
    }

    #[test]
    fn metadata_is_counted_with_32_bytes_a_header() {
        let mut headers = HeaderMap::new();
        headers.insert("x", "y".parse().unwrap());
        assert!(Call::new(&headers, Instant::now(), 34).is_ok());
        let refused = Call::new(&headers, Instant::now(), 33).err();
        assert_eq!(refused.map(|error| error.reason), Some("METADATA_TOO_LARGE".into()));
    }

    #[test]
    fn of_a_header_that_comes_twice_the_first_counts_and_the_fleets_own_are_kept() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("grpc-timeout", "1S"), ("grpc-timeout", "9S"), ("argosy-model", "a"), ("x", "y")] {
            headers.append(name, value.parse().unwrap());
        }
        headers.append("argosy-model", "b".parse().unwrap());
        let arrived = Instant::now();
        let call = Call::new(&headers, arrived, 1000).ok().unwrap();
        assert_eq!(call.deadline, Some(arrived + Duration::from_secs(1)));
        assert_eq!(call.headers.all(Own::Model).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(call.headers.all(Own::Version).next(), None);
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
