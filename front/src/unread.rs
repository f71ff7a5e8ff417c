//! Answers that their callers leave no window for: sent as they are taken, within bounds.
//!
//! What HTTP/2 was given stays until the caller takes it or the connection ends. So an answer that does not fit into the
//! caller's window of the moment, or is as large as what needs room on its way in, is given piece by piece. Those that
//! are sent so have the room of a few of the greatest size, and each has so long to be taken; the others wait for room,
//! whole, and not for long. Small ones are not looked at: as many as a connection may have open take little.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::SendStream;
use http::HeaderMap;
use tokio::time::timeout;

use crate::error::{deadline_exceeded, ServingError};
use crate::frame::HEAD;
use crate::incoming::time_for;
use crate::outgoing::Outgoing;
use crate::race::{race, Either};

/// An answer up to this is handed to HTTP/2 whatever the caller's window.
const SMALL_BYTES: usize = 16 * 1024;

/// The caller has gone.
pub struct Gone;

/// Whether the caller takes a message of so many bytes now. Asks for the room that it needs.
pub fn is_taken(stream: &mut SendStream<Bytes>, bytes: usize) -> bool {
    if bytes <= SMALL_BYTES {
        return true;
    }
    stream.reserve_capacity(bytes);
    stream.capacity() >= bytes
}

/// How many bytes the caller takes, once it takes any of those that were asked for.
pub fn poll_taken(stream: &mut SendStream<Bytes>, context: &mut Context) -> Poll<Result<usize, Gone>> {
    match stream.poll_capacity(context) {
        Poll::Ready(Some(Ok(0))) | Poll::Pending => stream.poll_reset(context).map(|_| Err(Gone)),
        Poll::Ready(Some(Ok(bytes))) => Poll::Ready(Ok(bytes)),
        Poll::Ready(Some(Err(_)) | None) => Poll::Ready(Err(Gone)),
    }
}

/// Send a framed message as its caller takes it, then the trailers; an error in their place where it does not.
pub async fn send_as_taken(mut stream: SendStream<Bytes>, frame: Bytes, trailers: HeaderMap, outgoing: Arc<Outgoing>) {
    // While it waits, the connection's window is for others.
    stream.reserve_capacity(0);
    let room = outgoing.room.hold_however_small(frame.len().saturating_sub(HEAD));
    let held = race(room, poll_fn(|context| stream.poll_reset(context))).await;
    let sent = match held {
        Either::First(Ok(held)) => {
            let outcome = send_in_time(&mut stream, frame).await;
            drop(held);
            outcome
        }
        Either::First(Err(error)) => Ok(Err(error)),
        Either::Second(_) => Err(Gone),
    };
    let trailers = match sent {
        Ok(Ok(())) => trailers,
        Ok(Err(error)) => outgoing.failed(&error),
        Err(Gone) => return,
    };
    let _ = stream.send_trailers(trailers);
}

async fn send_in_time(stream: &mut SendStream<Bytes>, frame: Bytes) -> Result<Result<(), ServingError>, Gone> {
    let (bytes, time) = (frame.len(), time_for(frame.len()));
    match timeout(time, send_pieces(stream, frame)).await {
        Ok(sent) => sent.map(Ok),
        Err(_) => {
            let text = format!("an answer of {bytes} bytes has {} s to be taken", time.as_secs());
            Ok(Err(deadline_exceeded(text)))
        }
    }
}

async fn send_pieces(stream: &mut SendStream<Bytes>, mut rest: Bytes) -> Result<(), Gone> {
    while !rest.is_empty() {
        stream.reserve_capacity(rest.len());
        let taken = poll_fn(|context| poll_taken(stream, context)).await?;
        stream.send_data(rest.split_to(taken.min(rest.len())), false).map_err(|_| Gone)?;
    }
    Ok(())
}
