//! Answers as HTTP/2 carries them: a unary one whole, those of a stream one by one.
//!
//! A unary answer is handed to HTTP/2 at once, where the caller's window takes it (`unread`). A stream waits until the
//! caller has taken what was sent before.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::SendStream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::caller::Answer;
use crate::error::{answer_too_large, ServingError};
use crate::frame::HEAD;
use crate::memory::MessageMemory;
use crate::refusals::Refusals;
use crate::status::put_status;
use crate::told::{plain_trailers, Told};
use crate::unread::{is_taken, poll_taken, send_as_taken, Gone};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// Sends answers, counts errors, and keeps messages within the limit.
pub struct Outgoing {
    /// Of one message.
    pub limit: usize,
    /// Where errors are counted.
    pub refusals: Refusals,
    /// For answers that their callers do not take at once.
    pub room: MessageMemory,
}

impl Outgoing {
    /// Answer a unary call. A caller who has gone meanwhile is no error.
    pub fn answer(self: &Arc<Self>, mut to: SendResponse<Bytes>, answer: Answer) {
        match answer.outcome.and_then(|frame| self.sendable(frame)) {
            Ok(frame) => {
                let trailers = answer.told.map_or_else(plain_trailers, Told::trailers);
                let Ok(mut stream) = to.send_response(head(), false) else { return };
                if !is_taken(&mut stream, frame.len()) {
                    return drop(tokio::spawn(send_as_taken(stream, frame, trailers, self.clone())));
                }
                let _ = stream.send_data(frame, false);
                let _ = stream.send_trailers(trailers);
            }
            Err(error) => self.refuse(to, &error, answer.told),
        }
    }

    /// End a call that has not been answered with an error.
    pub fn refuse(&self, mut to: SendResponse<Bytes>, error: &ServingError, told: Option<Told>) {
        self.refusals.count(error);
        let mut response = head();
        response.headers_mut().extend(told.map(Told::trailers).unwrap_or_default());
        put_status(response.headers_mut(), error);
        let _ = to.send_response(response, true);
    }

    /// The trailers of an answer that has begun and ends with an error, which is counted.
    pub fn failed(&self, error: &ServingError) -> HeaderMap {
        self.refusals.count(error);
        let mut trailers = HeaderMap::new();
        put_status(&mut trailers, error);
        trailers
    }

    /// Begin to answer with a stream; None where the caller has gone.
    pub fn stream(self: &Arc<Self>, mut to: SendResponse<Bytes>) -> Option<OutgoingStream> {
        let stream = to.send_response(head(), false).ok()?;
        Some(OutgoingStream { stream, outgoing: self.clone() })
    }

    /// The frame, or the error in the place of an answer that is over the message limit.
    pub fn sendable(&self, frame: Bytes) -> Result<Bytes, ServingError> {
        let (limit, size) = (self.limit, frame.len().saturating_sub(HEAD));
        if size <= limit {
            return Ok(frame);
        }
        Err(answer_too_large(limit, Some(size)))
    }
}

/// Refuse what is not gRPC.
pub fn refuse_http(mut to: SendResponse<Bytes>, status: StatusCode) {
    let mut response = Response::new(());
    *response.status_mut() = status;
    let _ = to.send_response(response, true);
}

/// The answers of one stream.
pub struct OutgoingStream {
    stream: SendStream<Bytes>,
    outgoing: Arc<Outgoing>,
}

impl OutgoingStream {
    /// Send a framed message once the caller has taken the one before.
    pub async fn send(&mut self, frame: Bytes) -> Result<(), Gone> {
        self.stream.reserve_capacity(frame.len());
        poll_fn(|context| poll_taken(&mut self.stream, context)).await?;
        self.stream.send_data(frame, false).map_err(|_| Gone)
    }

    /// Whether the caller has gone; the task is woken when it goes.
    pub fn poll_gone(&mut self, context: &mut std::task::Context) -> Poll<()> {
        self.stream.poll_reset(context).map(|_| ())
    }

    /// End the stream, with an error where there is one.
    pub fn end(mut self, error: Option<&ServingError>) {
        let trailers = error.map_or_else(plain_trailers, |error| self.outgoing.failed(error));
        let _ = self.stream.send_trailers(trailers);
    }
}

fn head() -> Response<()> {
    let mut response = Response::new(());
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}
