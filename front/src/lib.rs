//! Argosy's native front: gRPC in, one batch of tensors at a time out.
//!
//! The interface, and every behaviour and error text, are those of `services/runtime/front.py` and of the portable
//! front beside it; the contract suite holds both to them. A request's way leads through `connection` (HTTP/2),
//! `calls`, `call_head`, `incoming` and `frame` (gRPC), `predict` (envelope, tensors, queue), `line` and `queue`
//! (waiting), `batch` (running), and `io` and `outgoing` back. `python` is the only module that knows Python.
//!
//! What is deliberately not here: knowledge of images, texts, tables or ONNX Runtime, and a log. Of all requests
//! of the process nothing is kept but counts.

pub mod batch;
pub mod buffers;
pub mod cache;
pub mod cache_key;
pub mod call_head;
pub mod caller;
pub mod calls;
pub mod connection;
pub mod counted;
pub mod counts;
pub mod error;
pub mod frame;
pub mod front;
pub mod gather;
pub mod headers;
pub mod health;
pub mod incoming;
pub mod infer;
pub mod infer_contents;
pub mod infer_message;
pub mod infer_reply;
pub mod infer_typed;
pub mod io;
pub mod join;
pub mod line;
pub mod listener;
pub mod memory;
pub mod outgoing;
pub mod parts;
pub mod predict;
pub mod priority;
pub mod proto;
#[cfg(feature = "python")]
mod python;
#[cfg(feature = "python")]
mod python_batch;
#[cfg(feature = "python")]
mod python_buffers;
#[cfg(feature = "python")]
mod python_rare;
#[cfg(feature = "python")]
mod python_stats;
pub mod queue;
pub mod queue_spec;
pub mod race;
pub mod rare;
pub mod rare_stream;
pub mod refusals;
pub mod request;
pub mod room;
pub mod rows;
pub mod sequence;
pub mod server;
pub mod service_time;
pub mod status;
pub mod stream;
pub mod sync;
pub mod table;
pub mod tensors;
pub mod tls;
pub mod told;
pub mod turns;
pub mod unread;
pub mod waiting;
pub mod watch;
pub mod wire;

#[cfg(test)]
mod cache_tests;
#[cfg(test)]
mod frame_tests;
#[cfg(test)]
mod infer_tests;
#[cfg(test)]
mod line_tests;

/// Measured in the lab: half a microsecond to three and a half a request less than with the C library's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
