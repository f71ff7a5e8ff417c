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

use crate::calls::INLINE_BYTES;
use crate::error::{deadline_exceeded, exhausted, invalid, malformed, ServingError};
use crate::frame::{Encoding, Framed, Frames, Head};
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

/// Why no further message comes.
pub enum Broken {
    /// The caller has gone, or the connection has.
    Gone,
    /// What came is refused.
    Refused(ServingError),
}

/// How long a message may take to come once it has room, which others want: so long, and a second for each of so many
/// bytes.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
const SLOWEST_BYTES: usize = 1 << 20;

/// The messages of one call.
pub struct Incoming {
    /// Of one message, unpacked.
    pub limit: usize,
    body: RecvStream,
    frames: Frames,
    only: Option<Framed>,
}

impl Incoming {
    /// `limit`: of one message; `slack`: how far above it one may be as it comes.
    pub fn new(body: RecvStream, limit: usize, slack: usize) -> Self {
        Incoming { limit, body, frames: Frames::new(limit.saturating_add(slack)), only: None }
    }

    /// The message of a call that has one, and the room that it has taken.
    pub async fn only_message(&mut self, memory: &Memory) -> Result<(Framed, Held), Broken> {
        let head = if self.only.is_some() { None } else { self.next_head().await? };
        let held = self.hold(memory, head).await?;
        whole_in_time(head, poll_fn(|context| self.poll_only(context))).await?;
        Ok((self.only.take().ok_or_else(not_one)?, held))
    }

    /// The message of a call that has one, if it is there; None of one that is packed or large, of which no more is read.
    pub fn poll_only_plain(&mut self, context: &mut Context) -> Poll<Result<Option<Bytes>, Broken>> {
        if self.only.is_none() {
            match ready!(self.poll_head(context))? {
                Some(head) if head.packed || head.length > INLINE_BYTES => return Poll::Ready(Ok(None)),
                _ => {}
            }
        }
        ready!(self.poll_only(context))?;
        Poll::Ready(Ok(self.only.take().map(|message| message.bytes)))
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

    /// Wait for the head of the next message; None after the last.
    pub async fn next_head(&mut self) -> Result<Option<Head>, Broken> {
        poll_fn(|context| self.poll_head(context)).await
    }

    /// Room for a message with that head: none for what comes small, which may become large when it is unpacked.
    pub async fn hold(&self, memory: &Memory, head: Option<Head>) -> Result<Held, Broken> {
        let most = match head {
            Some(Head { packed: true, length }) if length > INLINE_BYTES => length.saturating_add(self.limit),
            Some(Head { length, .. }) => length,
            None => 0,
        };
        memory.hold(most).await.map_err(Broken::Refused)
    }

    /// The message of that head.
    pub async fn message(&mut self, head: Head) -> Result<Option<Framed>, Broken> {
        whole_in_time(Some(head), poll_fn(|context| self.poll_message(context))).await
    }

    /// The head of the next message, once it is there; None after the last.
    fn poll_head(&mut self, context: &mut Context) -> Poll<Result<Option<Head>, Broken>> {
        loop {
            match self.frames.next_head() {
                Ok(None) => {}
                found => return Poll::Ready(found.map_err(Broken::Refused)),
            }
            if ready!(self.poll_chunk(context))?.is_none() {
                return Poll::Ready(Ok(None));
            }
        }
    }

    /// The next message, if it is there.
    fn poll_message(&mut self, context: &mut Context) -> Poll<Result<Option<Framed>, Broken>> {
        loop {
            match self.frames.message() {
                Ok(None) => {}
                found => return Poll::Ready(found.map_err(Broken::Refused)),
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

async fn whole_in_time<T>(head: Option<Head>, reading: impl Future<Output = Result<T, Broken>>) -> Result<T, Broken> {
    let length = head.map_or(0, |head| head.length);
    let longest = READ_TIMEOUT + Duration::from_secs((length / SLOWEST_BYTES) as u64);
    timeout_after(longest, reading).await.unwrap_or_else(|_| {
        let text = format!("a message of {length} bytes must come within {} s", longest.as_secs());
        Err(Broken::Refused(deadline_exceeded(text)))
    })
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
