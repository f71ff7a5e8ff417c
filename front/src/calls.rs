//! A call from its headers to whoever answers it.
//!
//! A unary request that came whole in one read is answered without a task; whatever has to wait for more bytes, for room,
//! for a thread or for a stream's caller gets one, and waits no longer than its caller does.

use std::future::{pending, poll_fn, Future};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::RecvStream;
use http::Request;
use tokio::time::sleep_until;

use crate::call_head::{http_refusal, Call};
use crate::caller::{Answer, Way};
use crate::error::{deadline_exceeded, Cause, ServingError};
use crate::frame::{framed, Encoding, Framed};
use crate::incoming::{Broken, Incoming};
use crate::memory::{Held, SMALL_BYTES};
use crate::outgoing::refuse_http;
use crate::predict::{admit, place};
use crate::race::{race, Either};
use crate::rare::{on_thread, RareAnswer};
use crate::rare_stream::answer_each;
use crate::server::{Method, Server};
use crate::stream::stream_infer;
use crate::watch::tell;

/// How far above the limit a message of a stream may be and still be answered within the stream.
const STREAM_SLACK_BYTES: usize = 64 * 1024;

/// Of a message that asks for a state: it is read on the I/O thread, and a watch keeps it for as long as it is open.
const ASKING_BYTES: usize = 64 * 1024;

/// Begin to answer a call.
pub fn accept(server: &Arc<Server>, request: Request<RecvStream>, to: SendResponse<Bytes>, context: &mut Context) {
    let (head, body) = request.into_parts();
    if let Some(status) = http_refusal(&head.method, &head.headers) {
        return refuse_http(to, status);
    }
    let call = Call::new(&head.headers, Instant::now(), server.limits.max_metadata_bytes);
    let (call, method) = match call.and_then(|call| Ok((call, server.method(head.uri.path())?))) {
        Ok(found) => found,
        Err(error) => return server.outgoing.refuse(to, &error, None),
    };
    let incoming = incoming(body, &method, server.limits.max_message_bytes);
    let server = server.clone();
    match method {
        Method::StreamInfer => drop(tokio::spawn(stream_infer(server, call, incoming, to))),
        Method::Stream(answer) => drop(tokio::spawn(answer_each(server, call, incoming, answer, to))),
        unary => answer_unary(server, unary, call, incoming, to, context),
    }
}

fn incoming(body: RecvStream, method: &Method, limit: usize) -> Incoming {
    match method {
        Method::StreamInfer => Incoming::new(body, limit, STREAM_SLACK_BYTES),
        Method::HealthCheck | Method::Watch(..) => Incoming::new(body, limit.min(ASKING_BYTES), 0),
        Method::Predict(_) | Method::Unary(_) | Method::Stream(_) => Incoming::new(body, limit, 0),
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
    match incoming.poll_only_plain(context) {
        Poll::Ready(Ok(Some(message))) => answer_message(server, method, call, message, to),
        Poll::Ready(Err(broken)) => refuse(&server, broken, to),
        Poll::Ready(Ok(None)) | Poll::Pending => {
            drop(tokio::spawn(read_and_answer(server, method, call, incoming, to)))
        }
    }
}

/// Answer a call with one message that has not come yet, or has yet to be unpacked.
async fn read_and_answer(
    server: Arc<Server>,
    method: Method,
    mut call: Call,
    mut incoming: Incoming,
    mut to: SendResponse<Bytes>,
) {
    let Method::Predict(route) = method else {
        let reading = read(&server, &call, &mut incoming, |message| message);
        return match while_awaited(&mut to, call.deadline, reading).await {
            Ok((message, held)) => {
                call.held = held;
                answer_message(server, method, call, message, to);
            }
            Err(broken) => refuse(&server, broken, to),
        };
    };
    let (reader, by, headers) = (server.clone(), route.clone(), call.headers.clone());
    let work = move |message: Bytes| (place(&reader, &by, &message, &headers), message);
    match while_awaited(&mut to, call.deadline, read(&server, &call, &mut incoming, work)).await {
        Ok(((placed, message), held)) => {
            call.held = held;
            drop(admit(&server, &route, message, &call, placed, Way::Unary(to)));
        }
        Err(broken) => refuse(&server, broken, to),
    }
}

async fn read<T: Send + 'static>(
    server: &Server,
    call: &Call,
    incoming: &mut Incoming,
    work: impl FnOnce(Bytes) -> T + Send + 'static,
) -> Result<(T, Held), Broken> {
    let (message, held) = incoming.only_message(&server.message_memory).await?;
    with_message(server, call, incoming.limit, message, held, work).await.map_err(Broken::Refused)
}

/// Do `work` with a message of at most `limit` bytes as it was before it was packed: on a thread where that takes long.
pub async fn with_message<T: Send + 'static>(
    server: &Server,
    call: &Call,
    limit: usize,
    message: Framed,
    held: Held,
    work: impl FnOnce(Bytes) -> T + Send + 'static,
) -> Result<(T, Held), ServingError> {
    let (encoding, is_large) = (call.encoding, message.bytes.len() > SMALL_BYTES);
    if !message.packed && !is_large {
        return Ok((work(message.bytes), held));
    }
    if is_large || limit <= SMALL_BYTES {
        return on_thread(&server.reading, move || unpacked(&message, encoding, limit, held, work)).await;
    }
    // Nearly all that come small stay so, and need no room.
    let first = on_thread(&server.reading, move || match message.unpack(encoding, SMALL_BYTES) {
        Err(error) if error.cause == Cause::Exhausted => Ok(Err((message, work))),
        outcome => outcome.map(|message| Ok(work(message))),
    });
    match first.await? {
        Ok(done) => Ok((done, held)),
        Err((message, work)) => {
            let held = server.message_memory.hold(limit).await?;
            on_thread(&server.reading, move || unpacked(&message, encoding, limit, held, work)).await
        }
    }
}

fn unpacked<T>(
    message: &Framed,
    encoding: Encoding,
    limit: usize,
    mut held: Held,
    work: impl FnOnce(Bytes) -> T,
) -> Result<(T, Held), ServingError> {
    let message = message.unpack(encoding, limit)?;
    held.shrink(message.len());
    Ok((work(message), held))
}

/// What comes of `work`, unless the caller goes or its deadline passes before.
async fn while_awaited<T>(
    to: &mut SendResponse<Bytes>,
    deadline: Option<Instant>,
    work: impl Future<Output = Result<T, Broken>>,
) -> Result<T, Broken> {
    let gone = poll_fn(|context| to.poll_reset(context));
    match race(work, race(gone, passed(deadline))).await {
        Either::First(done) => done,
        Either::Second(Either::First(_)) => Err(Broken::Gone),
        Either::Second(Either::Second(())) => {
            let text = "the deadline passed before the message had been read";
            Err(Broken::Refused(deadline_exceeded(text.to_owned())))
        }
    }
}

async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => pending().await,
    }
}

/// Answer a call whose message is there, and small or no prediction.
fn answer_message(server: Arc<Server>, method: Method, call: Call, message: Bytes, to: SendResponse<Bytes>) {
    match method {
        Method::Predict(route) => {
            let placed = place(&server, &route, &message, &call.headers);
            drop(admit(&server, &route, message, &call, placed, Way::Unary(to)));
        }
        Method::HealthCheck => reply(&server, server.health.check(&message), to),
        Method::Unary(answer) => drop(tokio::spawn(ask(server, answer, call.held, message, to))),
        Method::Watch(watched, changes) => {
            drop(tokio::spawn(async move { tell(server, watched, &changes, message, to).await }));
        }
        Method::StreamInfer | Method::Stream(_) => {}
    }
}

/// Answer a rare method; whoever goes before its turn is not answered.
async fn ask(server: Arc<Server>, answer: RareAnswer, held: Held, message: Bytes, mut to: SendResponse<Bytes>) {
    let asking = answer.ask(message, held);
    if let Either::First(outcome) = race(asking, poll_fn(|context| to.poll_reset(context))).await {
        reply(&server, outcome, to);
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
