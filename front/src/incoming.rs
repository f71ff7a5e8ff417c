//! A request as HTTP/2 brings it: what its headers say, and its messages.
//!
//! Flow control follows the reader: bytes are acknowledged when they are cut into messages, so a caller whose messages
//! nobody wants yet is made to wait.

use std::future::{poll_fn, Future};
use std::task::{ready, Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::RecvStream;
use http::{HeaderMap, Method, StatusCode};
use tokio::time::timeout as timeout_after;

use crate::error::{deadline_exceeded, exhausted, invalid, malformed, ServingError};
use crate::frame::{most_bytes, Encoding, Framed, Frames};
use crate::headers::{GRPC_ENCODING, GRPC_TIMEOUT};
use crate::memory::{Held, Memory};

/// What a call's headers say.
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
    } else if !content_type.starts_with(b"application/grpc") {
        Some(StatusCode::UNSUPPORTED_MEDIA_TYPE)
    } else {
        None
    }
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

/// Why no further message comes.
pub enum Broken {
    /// The caller has gone, or the connection has.
    Gone,
    /// What came is refused.
    Refused(ServingError),
}

/// How long a message may take to come, from its head on: meanwhile it has room that others want.
const READ_TIMEOUT: Duration = Duration::from_secs(120);

async fn in_time<T>(reading: impl Future<Output = Result<T, Broken>>) -> Result<T, Broken> {
    timeout_after(READ_TIMEOUT, reading).await.unwrap_or_else(|_| {
        let text = format!("a message must come within {} s from its head on", READ_TIMEOUT.as_secs());
        Err(Broken::Refused(deadline_exceeded(text)))
    })
}

/// The messages of one call.
pub struct Incoming {
    /// Of one message, as it comes and unpacked.
    pub limit: usize,
    body: RecvStream,
    frames: Frames,
    only: Option<Framed>,
}

impl Incoming {
    /// `limit`: of one message.
    pub fn new(body: RecvStream, limit: usize) -> Self {
        Incoming { limit, body, frames: Frames::new(limit), only: None }
    }

    /// The message of a call that has one, and the room that it has taken.
    pub async fn only_message(&mut self, memory: &Memory) -> Result<(Framed, Held), Broken> {
        let most = match &self.only {
            Some(message) => most_bytes(message.packed, message.bytes.len(), self.limit),
            None => self.next_bytes().await?,
        };
        let held = memory.hold(most).await;
        in_time(poll_fn(|context| self.poll_only(context))).await?;
        Ok((self.only.take().ok_or_else(not_one)?, held))
    }

    /// The message of a call that has one, if it is there; None of a packed one, which `only_message` has.
    pub fn poll_only_plain(&mut self, context: &mut Context) -> Poll<Result<Option<Bytes>, Broken>> {
        ready!(self.poll_only(context))?;
        Poll::Ready(Ok(self.only.take_if(|message| !message.packed).map(|message| message.bytes)))
    }

    /// Until the one message is there and the end of the call: whoever is answered before it has ended its call sees it
    /// reset, which proxies take for a failure.
    fn poll_only(&mut self, context: &mut Context) -> Poll<Result<(), Broken>> {
        loop {
            if self.only.is_some() && self.body.is_end_stream() && self.frames.is_empty() {
                return Poll::Ready(Ok(()));
            }
            match (ready!(self.poll_message(context))?, &self.only) {
                (Some(message), None) => self.only = Some(message),
                (None, Some(_)) => return Poll::Ready(Ok(())),
                (None, None) | (Some(_), Some(_)) => return Poll::Ready(Err(not_one())),
            }
        }
    }

    /// Wait for the head of the next message: what it takes in memory at most, 0 after the last.
    pub async fn next_bytes(&mut self) -> Result<usize, Broken> {
        poll_fn(|context| self.poll_next_bytes(context)).await
    }

    /// The next message, whose head has come; None after the last.
    pub async fn message(&mut self) -> Result<Option<Framed>, Broken> {
        in_time(poll_fn(|context| self.poll_message(context))).await
    }

    fn poll_next_bytes(&mut self, context: &mut Context) -> Poll<Result<usize, Broken>> {
        loop {
            match self.frames.next_head() {
                Ok(Some((packed, length))) => return Poll::Ready(Ok(most_bytes(packed, length, self.limit))),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(Broken::Refused(error))),
            }
            if ready!(self.poll_chunk(context))?.is_none() {
                return Poll::Ready(Ok(0));
            }
        }
    }

    /// The next message, if it is there.
    fn poll_message(&mut self, context: &mut Context) -> Poll<Result<Option<Framed>, Broken>> {
        loop {
            match self.frames.message() {
                Ok(Some(message)) => return Poll::Ready(Ok(Some(message))),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(Broken::Refused(error))),
            }
            if ready!(self.poll_chunk(context))?.is_none() {
                return Poll::Ready(Ok(None));
            }
        }
    }

    /// Take in what has come; None at the end, after a whole message.
    fn poll_chunk(&mut self, context: &mut Context) -> Poll<Result<Option<()>, Broken>> {
        Poll::Ready(match ready!(self.body.poll_data(context)) {
            Some(Ok(chunk)) => {
                // Fails only where the stream has ended, which the next look tells.
                let _ = self.body.flow_control().release_capacity(chunk.len());
                self.frames.push(chunk);
                Ok(Some(()))
            }
            Some(Err(_)) => Err(Broken::Gone),
            None if self.frames.is_empty() => Ok(None),
            None => Err(Broken::Refused(malformed("gRPC frame"))),
        })
    }
}

fn not_one() -> Broken {
    Broken::Refused(invalid("MALFORMED_MESSAGE", "a unary call has one message".to_owned(), ""))
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
}
