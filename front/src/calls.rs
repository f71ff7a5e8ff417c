//! A call from its headers to whoever answers it.
//!
//! A unary request that came whole in one read is answered without a task; whatever has to wait for more bytes, for a
//! thread or for a stream's caller gets one.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::RecvStream;
use http::Request;

use crate::caller::{Answer, Way};
use crate::error::ServingError;
use crate::frame::{framed, Framed};
use crate::incoming::{check_metadata, http_refusal, Broken, Call, Incoming};
use crate::outgoing::refuse_http;
use crate::predict::{admit, place};
use crate::rare::on_thread;
use crate::server::{Method, Server};
use crate::stream::{answer_each, stream_infer};
use crate::watch::tell;

/// Above this a message is read on another thread, so that the I/O thread never stands still.
const INLINE_BYTES: usize = 1 << 20;

/// How far above the limit a message of a stream may be and still be answered within the stream.
const STREAM_SLACK_BYTES: usize = 64 * 1024;

/// Begin to answer a call.
pub fn accept(server: &Arc<Server>, request: Request<RecvStream>, to: SendResponse<Bytes>, context: &mut Context) {
    let (head, body) = request.into_parts();
    if let Some(status) = http_refusal(&head.method, &head.headers) {
        return refuse_http(to, status);
    }
    let checked = check_metadata(&head.headers, server.limits.max_metadata_bytes);
    let method = match checked.and_then(|()| server.method(head.uri.path())) {
        Ok(method) => method,
        Err(error) => return server.outgoing.refuse(to, &error, None),
    };
    let call = Call::new(head.headers, Instant::now());
    let limit = server.limits.max_message_bytes;
    let server = server.clone();
    match method {
        Method::StreamInfer => {
            let incoming = Incoming::new(body, limit.saturating_add(STREAM_SLACK_BYTES));
            tokio::spawn(stream_infer(server, call, incoming, to));
        }
        Method::Stream(answer) => {
            tokio::spawn(answer_each(server, call, Incoming::new(body, limit), answer, to));
        }
        Method::Watch(watched, changes) => {
            tokio::spawn(async move {
                let mut incoming = Incoming::new(body, limit);
                let message = match incoming.only_message().await {
                    Ok(message) => unpack(&server, message, &call).await.map_err(Broken::Refused),
                    Err(broken) => Err(broken),
                };
                match message {
                    Ok(message) => tell(server, watched, &changes, message, to).await,
                    Err(broken) => refuse(&server, broken, to),
                }
            });
        }
        unary => answer_unary(server, unary, call, Incoming::new(body, limit), to, context),
    }
}

fn answer_unary(
    server: Arc<Server>,
    method: Method,
    call: Call,
    mut incoming: Incoming,
    to: SendResponse<Bytes>,
    context: &mut Context,
) {
    match incoming.poll_only_message(context) {
        Poll::Ready(Ok(message)) if !message.packed => answer_message(server, method, call, message.bytes, to),
        Poll::Ready(Err(broken)) => refuse(&server, broken, to),
        Poll::Ready(Ok(packed)) => {
            tokio::spawn(unpack_and_answer(server, method, call, packed, to));
        }
        Poll::Pending => {
            tokio::spawn(async move {
                match incoming.only_message().await {
                    Ok(message) => unpack_and_answer(server, method, call, message, to).await,
                    Err(broken) => refuse(&server, broken, to),
                }
            });
        }
    }
}

async fn unpack_and_answer(server: Arc<Server>, method: Method, call: Call, message: Framed, to: SendResponse<Bytes>) {
    match unpack(&server, message, &call).await {
        Ok(message) => answer_message(server, method, call, message, to),
        Err(error) => server.outgoing.refuse(to, &error, None),
    }
}

/// A message as it was before it was packed; unpacking takes another thread.
pub async fn unpack(server: &Server, message: Framed, call: &Call) -> Result<Bytes, ServingError> {
    if !message.packed {
        return Ok(message.bytes);
    }
    let (encoding, limit) = (call.encoding, server.limits.max_message_bytes);
    on_thread(&server.reading, move || message.unpack(encoding, limit)).await
}

fn answer_message(server: Arc<Server>, method: Method, call: Call, message: Bytes, to: SendResponse<Bytes>) {
    match method {
        Method::Predict(route) if message.len() <= INLINE_BYTES => {
            match place(&server, &route, &message, &call.headers) {
                Ok(placed) => drop(admit(&server, &route, message, &call, placed, Way::Unary(to))),
                Err(error) => server.outgoing.refuse(to, &error, None),
            }
        }
        Method::Predict(route) => {
            tokio::spawn(async move {
                let (reader, by, read, headers) =
                    (server.clone(), route.clone(), message.clone(), call.headers.clone());
                match on_thread(&server.reading, move || place(&reader, &by, &read, &headers)).await {
                    Ok(placed) => drop(admit(&server, &route, message, &call, placed, Way::Unary(to))),
                    Err(error) => server.outgoing.refuse(to, &error, None),
                }
            });
        }
        Method::HealthCheck => reply(&server, server.health.check(&message), to),
        Method::Unary(answer) => {
            tokio::spawn(async move {
                let outcome = answer.ask(message).await;
                reply(&server, outcome, to);
            });
        }
        Method::StreamInfer | Method::Stream(_) | Method::Watch(..) => {}
    }
}

fn reply(server: &Server, outcome: Result<Bytes, ServingError>, to: SendResponse<Bytes>) {
    server.outgoing.answer(to, Answer { outcome: outcome.map(|message| framed(&message)), told: None });
}

fn refuse(server: &Server, broken: Broken, to: SendResponse<Bytes>) {
    if let Broken::Refused(error) = broken {
        server.outgoing.refuse(to, &error, None);
    }
}
