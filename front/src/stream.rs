//! ModelStreamInfer: answers in the order of the requests; a request's error is an answer and does not end the stream.
//!
//! Every request has one answer, which therefore says, as Triton's do, that it is the last.
//! At most `WINDOW` requests of a stream are under way and about one message limit of bytes: beyond that it is read no
//! further, so a caller who sends and does not read fills no memory.

use std::future::poll_fn;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use bytes::Bytes;
use h2::server::SendResponse;
use tokio::sync::{mpsc, oneshot, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use crate::call_head::Call;
use crate::caller::{Answer, Caller, Way};
use crate::calls::with_message;
use crate::error::{internal, unavailable, ServingError};
use crate::frame::{framed, put_frame_head, Framed, HEAD};
use crate::headers::Own;
use crate::incoming::{Broken, Incoming};
use crate::infer_message::read_infer;
use crate::infer_reply::encode_head;
use crate::memory::Held;
use crate::outgoing::OutgoingStream;
use crate::predict::{admit, place};
use crate::proto::{bytes_field_length, put_bytes, put_head, put_number, Malformed, Reader};
use crate::race::{race, Either};
use crate::server::{reached, Phase, Server};
use crate::status::bounded_message;
use crate::unread::Gone;
use crate::wire::read_envelope;

const WINDOW: usize = 64;

/// One request that is under way. Dropped unanswered, it is withdrawn.
struct Element {
    // What the place of its error begins with: model, version and id, where they can be read.
    head: Vec<u8>,
    caller: Arc<Caller>,
    answer: oneshot::Receiver<Answer>,
    _room: OwnedSemaphorePermit,
}

impl Drop for Element {
    fn drop(&mut self) {
        self.caller.leave();
    }
}

/// Answer ModelStreamInfer.
pub async fn stream_infer(server: Arc<Server>, call: Call, incoming: Incoming, to: SendResponse<Bytes>) {
    let Some(mut out) = server.outgoing.stream(to) else { return };
    let (window, mut elements) = mpsc::channel(WINDOW);
    let reading = Reading(tokio::spawn(read(server.clone(), call, incoming, window)));
    loop {
        let next = match race(elements.recv(), poll_fn(|context| out.poll_gone(context))).await {
            Either::First(next) => next,
            Either::Second(()) => return,
        };
        let Some(element) = next else { break };
        if answer(&server, element, &mut out).await.is_err() {
            return;
        }
    }
    out.end(reading.end().await.as_ref());
}

/// The task that reads a stream; it ends with the stream.
struct Reading(JoinHandle<Option<ServingError>>);

impl Reading {
    /// Why the stream ends, if not by its caller's wish.
    async fn end(mut self) -> Option<ServingError> {
        let panicked = || Some(internal("the front failed on a stream"));
        (&mut self.0).await.unwrap_or_else(|_| panicked())
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A message of a stream, and its room in the stream and in the process.
struct Next {
    message: Framed,
    room: OwnedSemaphorePermit,
    held: Held,
}

/// Admit a stream's requests until it ends, breaks, or the front drains.
async fn read(
    server: Arc<Server>,
    mut call: Call,
    mut incoming: Incoming,
    window: mpsc::Sender<Element>,
) -> Option<ServingError> {
    let room = Arc::new(Semaphore::new(all_room(&server)));
    let mut phase = server.phase.subscribe();
    loop {
        // The drain is looked for first: whoever sends on and on always has a message ready.
        let next = match race(reached(&mut phase, Phase::Draining), next(&server, &mut incoming, &room)).await {
            Either::First(()) => return Some(unavailable("DRAINING", "the service is shutting down".to_owned())),
            Either::Second(Ok(Some(next))) => next,
            Either::Second(Ok(None) | Err(Broken::Gone)) => return None,
            Either::Second(Err(Broken::Refused(error))) => return Some(error),
        };
        call.arrived = Instant::now();
        let element = begin(&server, &mut call, incoming.limit, next).await;
        // It says where the stream goes, by its first request; the sequences of later ones go there too.
        call.headers.remove(Own::Sequence);
        if window.send(element).await.is_err() {
            return None;
        }
    }
}

/// What of a stream may be under way, in bytes.
fn all_room(server: &Server) -> usize {
    server.limits.max_message_bytes.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize))
}

/// The next message of a stream, once there is room for it: first in the stream, whose caller may not read, so that it
/// keeps nobody else's room meanwhile. In the stream it counts as it comes.
async fn next(server: &Server, incoming: &mut Incoming, room: &Arc<Semaphore>) -> Result<Option<Next>, Broken> {
    let Some(head) = incoming.next_head().await? else { return Ok(None) };
    let wanted = head.length.clamp(1, all_room(server)) as u32;
    let Ok(room) = room.clone().acquire_many_owned(wanted).await else { return Ok(None) };
    let held = server.message_memory.hold_at_last(incoming.most_bytes(head)).await;
    Ok(incoming.message(head, &held).await?.map(|message| Next { message, room, held }))
}

/// Admit one request; what is refused is answered at once.
async fn begin(server: &Arc<Server>, call: &mut Call, limit: usize, next: Next) -> Element {
    let (to, answer) = oneshot::channel();
    let (reader, headers) = (server.clone(), call.headers.clone());
    let work = move |message: Bytes| (place(&reader, &reader.infer, &message, &headers), reply_head(&message), message);
    let (placed, head, message) = match with_message(server, call, limit, next.message, next.held, work).await {
        Ok((read, held)) => {
            call.held = held;
            read
        }
        Err(error) => (Err(error), Vec::new(), Bytes::new()),
    };
    let caller = admit(server, &server.infer, message, call, placed, Way::Element(to));
    call.held = Held::default();
    Element { head, caller, answer, _room: next.room }
}

/// Wait for the answer to a stream's oldest request and send it.
async fn answer(server: &Server, mut element: Element, out: &mut OutgoingStream) -> Result<(), Gone> {
    let outcome = match race(&mut element.answer, poll_fn(|context| out.poll_gone(context))).await {
        Either::First(Ok(answer)) => answer.outcome,
        Either::First(Err(_)) => Err(internal("a worker left the request unanswered")),
        Either::Second(()) => return Err(Gone),
    };
    let frame = match outcome.and_then(reply_element).and_then(|frame| server.outgoing.sendable(frame)) {
        Ok(frame) => frame,
        Err(error) => {
            server.outgoing.refusals.count(&error);
            framed(&error_element(&element.head, &error))
        }
    };
    out.send(frame).await
}

/// ModelStreamInferResponse with `infer_response`, framed.
fn reply_element(frame: Bytes) -> Result<Bytes, ServingError> {
    let response = frame.get(HEAD..).unwrap_or(&[]);
    check_message(response)?;
    let response_length = response.len() + FINAL_RESPONSE.len();
    let length = bytes_field_length(response_length);
    let mut out = Vec::with_capacity(HEAD + length);
    put_frame_head(&mut out, length);
    put_head(&mut out, 2, response_length);
    out.extend_from_slice(response);
    out.extend_from_slice(&FINAL_RESPONSE);
    Ok(out.into())
}

/// The parameter of a ModelInferResponse that says that no other follows.
static FINAL_RESPONSE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let (mut choice, mut entry, mut out) = (Vec::new(), Vec::new(), Vec::new());
    put_number(&mut choice, 1, 1);
    put_bytes(&mut entry, 1, b"triton_final_response");
    put_bytes(&mut entry, 2, &choice);
    put_bytes(&mut out, 4, &entry);
    out
});

/// A worker may have answered with anything; in a stream it would spoil what is around it.
fn check_message(message: &[u8]) -> Result<(), ServingError> {
    let mut reader = Reader::new(message);
    loop {
        match reader.field() {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(()),
            Err(Malformed) => return Err(internal("an answer is no ModelInferResponse")),
        }
    }
}

/// ModelStreamInferResponse with `error_message`; whose request it was, where that could be read, and that it is its last
/// answer.
fn error_element(head: &[u8], error: &ServingError) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, 1, bounded_message(&error.message).as_bytes());
    put_bytes(&mut out, 2, &[head, &FINAL_RESPONSE].concat());
    out
}

/// Model, version and id of a request, as ModelInferResponse has them; nothing where they cannot be read.
fn reply_head(message: &[u8]) -> Vec<u8> {
    let (Ok(envelope), Ok(request)) = (read_envelope(message, 0, String::new), read_infer(message)) else {
        return Vec::new();
    };
    let mut head = encode_head(envelope.model, envelope.version);
    if !request.id.is_empty() {
        put_bytes(&mut head, 3, request.id.as_bytes());
    }
    head
}
