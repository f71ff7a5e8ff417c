//! The messages of a call, as HTTP/2 brings them.
//!
//! Flow control follows the reader: bytes are acknowledged when more are asked for, so a caller whose messages nobody
//! wants yet is made to wait, with no more than a window of them here.

use std::future::{poll_fn, Future};
use std::task::{ready, Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use tokio::time::timeout;

use crate::error::{deadline_exceeded, invalid, malformed, ServingError};
use crate::frame::{Framed, Frames, Head};
use crate::memory::{Held, MessageMemory, SMALL_BYTES};

/// Why no further message comes.
pub enum Broken {
    /// The caller has gone, or the connection has.
    Gone,
    /// What came is refused.
    Refused(ServingError),
}

/// Any message has so long, and a second more for each of so many bytes.
const LEAST_TIME: Duration = Duration::from_secs(20);
const SLOWEST_BYTES: usize = 1 << 20;

/// The messages of one call.
pub struct Incoming {
    /// Of one message, unpacked.
    pub limit: usize,
    body: RecvStream,
    frames: Frames,
    unacknowledged: usize,
    only: Option<Framed>,
}

impl Incoming {
    /// `limit`: of one message; `slack`: how far above it one may be as it comes.
    pub fn new(body: RecvStream, limit: usize, slack: usize) -> Self {
        Incoming { limit, body, frames: Frames::new(limit.saturating_add(slack)), unacknowledged: 0, only: None }
    }

    /// The message of a call that has one, and the room that it has taken.
    pub async fn only_message(&mut self, memory: &MessageMemory) -> Result<(Framed, Held), Broken> {
        let head = if self.only.is_some() { None } else { self.next_head().await? };
        let most = head.map_or(0, |head| self.most_bytes(head));
        let held = memory.hold(most).await.map_err(Broken::Refused)?;
        whole_in_time(&held, head, poll_fn(|context| self.poll_only(context))).await?;
        Ok((self.only.take().ok_or_else(not_one)?, held))
    }

    /// The message of a call that has one, if it is there; None of one that is packed or large, of which no more is read.
    pub fn poll_only_plain(&mut self, context: &mut Context) -> Poll<Result<Option<Bytes>, Broken>> {
        if self.only.is_none() {
            match ready!(self.poll_head(context))? {
                Some(head) if head.packed || head.length > SMALL_BYTES => return Poll::Ready(Ok(None)),
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

    /// What a message with that head needs room for: nothing of one that comes small, which may become large when it is
    /// unpacked.
    pub fn most_bytes(&self, head: Head) -> usize {
        if head.packed && head.length > SMALL_BYTES {
            head.length.saturating_add(self.limit)
        } else {
            head.length
        }
    }

    /// The message of that head, for which there is room.
    pub async fn message(&mut self, head: Head, held: &Held) -> Result<Option<Framed>, Broken> {
        whole_in_time(held, Some(head), poll_fn(|context| self.poll_message(context))).await
    }

    /// The head of the next message, once it is there; None after the last.
    fn poll_head(&mut self, context: &mut Context) -> Poll<Result<Option<Head>, Broken>> {
        self.poll_cut(context, Frames::next_head)
    }

    /// The next message, if it is there.
    fn poll_message(&mut self, context: &mut Context) -> Poll<Result<Option<Framed>, Broken>> {
        self.poll_cut(context, Frames::message)
    }

    /// What `cut` finds in the frames, as soon as enough of them is there; None after the last.
    fn poll_cut<T>(
        &mut self,
        context: &mut Context,
        cut: impl Fn(&mut Frames) -> Result<Option<T>, ServingError>,
    ) -> Poll<Result<Option<T>, Broken>> {
        loop {
            match cut(&mut self.frames) {
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
        if self.unacknowledged > 0 {
            // Fails only where the stream has ended, which the next look tells.
            let _ = self.body.flow_control().release_capacity(std::mem::take(&mut self.unacknowledged));
        }
        Poll::Ready(match ready!(self.body.poll_data(context)) {
            Some(Ok(chunk)) => {
                self.unacknowledged = chunk.len();
                self.frames.push(chunk);
                Ok(Some(()))
            }
            Some(Err(_)) => Err(Broken::Gone),
            None if self.frames.is_empty() => Ok(None),
            None => Err(Broken::Refused(malformed("gRPC frame"))),
        })
    }
}

/// What a message of so many bytes has, to come or to be taken, while it holds room that others want.
pub fn time_for(bytes: usize) -> Duration {
    LEAST_TIME + Duration::from_secs((bytes / SLOWEST_BYTES) as u64)
}

async fn whole_in_time<T>(
    held: &Held,
    head: Option<Head>,
    reading: impl Future<Output = Result<T, Broken>>,
) -> Result<T, Broken> {
    if held.is_none() {
        return reading.await;
    }
    let length = head.map_or(0, |head| head.length);
    let time = time_for(length);
    timeout(time, reading).await.unwrap_or_else(|_| {
        let text = format!("a message of {length} bytes has {} s to come", time.as_secs());
        Err(Broken::Refused(deadline_exceeded(text)))
    })
}

fn not_one() -> Broken {
    Broken::Refused(invalid("MALFORMED_MESSAGE", "a unary call has one message".to_owned(), ""))
}
