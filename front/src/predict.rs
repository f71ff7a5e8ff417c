//! A prediction's way into its queue: read what queueing needs, check, find the queue, admit.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::cache_key::Key;
use crate::call_head::Call;
use crate::caller::{Answer, Caller, Way};
use crate::error::{
    empty_request, invalid, message_too_large, shown, too_late, too_many_rows, unavailable, ServingError,
};
use crate::headers::{Own, OwnHeaders};
use crate::infer::{parse_infer, InferCall};
use crate::infer_contents::MODEL_INFER_REQUEST;
use crate::priority::asked_priority;
use crate::queue::ModelQueue;
use crate::request::{MethodIndex, Request};
use crate::sequence::check_sequence;
use crate::server::Server;
use crate::sync::lock;
use crate::wire::{read_envelope, Envelope};

/// ModelInfer's place among the methods of every queue.
pub const MODEL_INFER: MethodIndex = 0;

/// How often a request looks for a queue that was replaced between the look and the admission.
const LOOKS: usize = 3;

/// A method that feeds queues.
#[derive(Clone)]
pub struct Route {
    /// '/argosy.v1.TextService/Embed'; one that ends in '*' is open: it stands for every method that begins so.
    pub method: String,
    /// The number of the repeated field whose elements are rows; 0 for ModelInfer, whose tensors say it.
    pub rows_field: u32,
    /// Its name.
    pub rows_name: String,
}

impl Route {
    /// Whether it stands for many methods.
    pub fn is_open(&self) -> bool {
        self.method.ends_with('*')
    }

    /// 'TextService/Embed'.
    pub fn name(&self) -> &str {
        self.method.rsplit('.').next().unwrap_or(&self.method)
    }

    /// The route of a method that this open one stands for.
    pub fn of(&self, method: &str) -> Option<Route> {
        let begins_so = method.starts_with(self.method.trim_end_matches('*'));
        begins_so.then(|| Route { method: method.to_owned(), ..self.clone() })
    }
}

/// A request as a queue wants it, and the queue.
pub struct Placed {
    queue: Arc<ModelQueue>,
    method: MethodIndex,
    call: Option<InferCall>,
    rows: u64,
    level: u32,
    key: Option<Key>,
}

/// Read a request and find its queue: all of the work that grows with the message.
pub fn place(server: &Server, route: &Route, message: &Bytes, headers: &OwnHeaders) -> Result<Placed, ServingError> {
    let limit = server.outgoing.limit;
    if message.len() > limit {
        return Err(message_too_large(limit, Some(message.len())));
    }
    let envelope = read_envelope(message, route.rows_field, || message_name(route))?;
    let version = checked_version(&envelope, headers)?;
    let queue = lock(&server.table).find(envelope.model, &version)?;
    let mut placed = if route.rows_field == 0 {
        let call = parse_infer(message, &queue.spec.signature, queue.spec.max_request_rows)?;
        check_sequence(message, headers)?;
        let level = queue.spec.policy.level(asked_priority(call.priority, headers)?);
        Placed { queue, method: MODEL_INFER, rows: call.rows, call: Some(call), level, key: None }
    } else {
        let method = typed_method(&queue, route, envelope.row_count)?;
        let level = queue.spec.policy.level(asked_priority(0, headers)?);
        check_rows(&queue, method, envelope.row_count as u64)?;
        check_parts(&queue, &envelope, limit)?;
        Placed { queue, method, rows: envelope.row_count as u64, call: None, level, key: None }
    };
    let cache = placed.queue.spec.cache.as_ref();
    placed.key = cache.map(|cache| cache.key(placed.method, message, placed.call.as_ref()));
    Ok(placed)
}

/// The place of a typed method among those of the queue's model.
fn typed_method(queue: &ModelQueue, route: &Route, row_count: usize) -> Result<MethodIndex, ServingError> {
    let position = queue.spec.methods.iter().position(|own| own.method == route.method);
    match position.map(|position| position + 1) {
        None => Err(not_offered(queue, route)),
        Some(method) if row_count == 0 => Err(empty_request(queue.spec.rows_name(method))),
        Some(method) => Ok(method),
    }
}

fn check_rows(queue: &ModelQueue, method: MethodIndex, rows: u64) -> Result<(), ServingError> {
    let limit = queue.spec.max_request_rows;
    if rows <= limit {
        return Ok(());
    }
    Err(too_many_rows(queue.spec.rows_name(method), limit, rows))
}

/// Refuse a typed request whose parts, each with all that is not rows, would come to more than a message may.
fn check_parts(queue: &ModelQueue, envelope: &Envelope, limit: usize) -> Result<(), ServingError> {
    let rows = queue.spec.policy.max_batch_rows;
    let (parts, other) = ((envelope.row_count as u64).div_ceil(rows), envelope.other_bytes);
    if parts < 2 || (parts as usize).saturating_mul(other) <= limit {
        return Ok(());
    }
    let text =
        format!("{other} bytes that are not rows in each of {parts} parts of {rows} rows are over {limit} bytes");
    Err(invalid("TOO_LARGE_FOR_PARTS", text, ""))
}

/// Queue a request, if it was placed. Its answer, if only a refusal, goes the caller's way.
pub fn admit(
    server: &Arc<Server>,
    route: &Route,
    message: Bytes,
    call: &Call,
    placed: Result<Placed, ServingError>,
    way: Way,
) -> Arc<Caller> {
    let caller = Caller::new(way, server.io.clone());
    let outcome = placed.and_then(|placed| admit_or_refuse(server, route, message, call, placed, &caller));
    match outcome {
        Ok(()) => caller.watch(),
        Err(error) => server.send(&caller, Answer { outcome: Err(error), told: None }),
    }
    caller
}

fn admit_or_refuse(
    server: &Server,
    route: &Route,
    message: Bytes,
    call: &Call,
    mut placed: Placed,
    caller: &Arc<Caller>,
) -> Result<(), ServingError> {
    if let Some(answer) = kept(&placed, call)? {
        server.send(caller, answer);
        return Ok(());
    }
    for look in 1..=LOOKS {
        let queue = placed.queue;
        caller.missed(queue.spec.cache.clone().zip(placed.key));
        let request = Request {
            caller: caller.clone(),
            method: placed.method,
            message: message.clone(),
            held: call.held.clone(),
            call: placed.call,
            rows: placed.rows,
            level: placed.level,
            part: None,
            arrived: call.arrived,
            deadline: call.deadline,
        };
        if queue.admit(request)?.is_none() {
            return Ok(());
        }
        if look == LOOKS {
            return Err(closed(&queue));
        }
        placed = place(server, route, &message, &call.headers)?;
    }
    Ok(())
}

/// The answer that the model-version's cache has: it waits behind nobody.
fn kept(placed: &Placed, call: &Call) -> Result<Option<Answer>, ServingError> {
    let (Some(cache), Some(key)) = (&placed.queue.spec.cache, &placed.key) else { return Ok(None) };
    let id = placed.call.as_ref().map_or(&[][..], |call| &call.id);
    match cache.find(key, id, call.arrived) {
        Some(_) if call.deadline.is_some_and(|deadline| deadline <= Instant::now()) => Err(too_late()),
        answer => Ok(answer),
    }
}

/// The version asked for. A router sends and authorises by its own reading of the message, which it states in headers:
/// it must have read what we read. For a message that names no version the router may choose one.
fn checked_version<'a>(envelope: &Envelope<'a>, headers: &'a OwnHeaders) -> Result<Cow<'a, str>, ServingError> {
    for value in headers.all(Own::Model) {
        check_routed(Own::Model, value.as_bytes(), envelope.model)?;
    }
    let mut version = Cow::Borrowed(envelope.version);
    for value in headers.all(Own::Version) {
        if version.is_empty() {
            version = String::from_utf8_lossy(value.as_bytes());
        }
        check_routed(Own::Version, value.as_bytes(), &version)?;
    }
    Ok(version)
}

fn check_routed(header: Own, value: &[u8], own: &str) -> Result<(), ServingError> {
    if value.is_empty() || value == own.as_bytes() {
        return Ok(());
    }
    let (name, said) = (header.name(), shown(&String::from_utf8_lossy(value)));
    let text = format!("the header {name} says '{said}', the message says '{}'", shown(own));
    Err(invalid("MODEL_MISMATCH", text, name))
}

/// '/argosy.v1.TextService/Embed' -> 'argosy.v1.TextServiceEmbedRequest'.
fn message_name(route: &Route) -> String {
    if route.rows_field == 0 {
        return MODEL_INFER_REQUEST.to_owned();
    }
    let (service, name) = route.method.trim_start_matches('/').split_once('/').unwrap_or((&route.method, ""));
    format!("{service}{name}Request")
}

fn not_offered(queue: &ModelQueue, route: &Route) -> ServingError {
    let (model, name, offered) = (&queue.spec.model, shown(route.name()), queue.spec.offered());
    invalid("TASK_NOT_OFFERED", format!("model '{model}' does not answer {name}; it answers {offered}"), "model")
}

fn closed(queue: &ModelQueue) -> ServingError {
    let (model, version) = (&queue.spec.model, &queue.spec.version);
    unavailable("VERSION_CLOSED", format!("model '{model}' version '{version}' is unloading"))
}
