//! What two requests must share for the one to have the other's answer.
//!
//! A key is hashed once, where the request is read: a large one off the I/O thread. The hash only finds the place;
//! keys are compared whole.

use std::hash::{BuildHasher, Hash, Hasher};

use bytes::Bytes;

use crate::infer::InferCall;
use crate::infer_contents::Elements;

/// All of a request that its answer depends on.
#[derive(Debug)]
pub struct Key {
    hash: u64,
    /// About what it takes, when it is kept.
    pub byte_count: usize,
    identity: Identity,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Identity {
    method: usize,
    contents: Contents,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Contents {
    Message(Bytes),
    Tensors { inputs: Vec<Elements>, open_dimensions: Vec<i64>, rows: u64, requested: Option<Vec<usize>>, raw: bool },
}

impl Key {
    /// The key of a request, `call` of ModelInfer alone. One of more than `max_bytes` will never be kept, and is not
    /// worth a hash.
    pub fn new(
        method: usize,
        message: &Bytes,
        call: Option<&InferCall>,
        hashes: &impl BuildHasher,
        max_bytes: usize,
    ) -> Self {
        let contents = match call {
            None => Contents::Message(message.clone()),
            Some(call) => Contents::Tensors {
                inputs: call.inputs.clone(),
                open_dimensions: call.open_dimensions.clone(),
                rows: call.rows,
                requested: call.requested.clone(),
                raw: call.raw,
            },
        };
        let (byte_count, identity) = (contents.byte_count(), Identity { method, contents });
        let hash = if byte_count <= max_bytes { hashes.hash_one(&identity) } else { 0 };
        Key { hash, byte_count, identity }
    }

    /// Whether it is a ModelInfer's.
    pub fn is_infer(&self) -> bool {
        matches!(self.identity.contents, Contents::Tensors { .. })
    }

    /// The same key in memory of its own: what came is part of a larger buffer, which must not be held.
    pub fn to_owned(&self) -> Self {
        let contents = match &self.identity.contents {
            Contents::Message(message) => Contents::Message(Bytes::copy_from_slice(message)),
            Contents::Tensors { inputs, open_dimensions, rows, requested, raw } => Contents::Tensors {
                inputs: inputs.iter().map(owned).collect(),
                open_dimensions: open_dimensions.clone(),
                rows: *rows,
                requested: requested.clone(),
                raw: *raw,
            },
        };
        Key { identity: Identity { contents, ..self.identity }, ..*self }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.identity == other.identity
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Contents {
    fn byte_count(&self) -> usize {
        match self {
            Contents::Message(message) => message.len(),
            Contents::Tensors { inputs, open_dimensions, requested, .. } => {
                let of_tensors: usize = inputs.iter().map(element_bytes).sum();
                let places = open_dimensions.len() + requested.as_ref().map_or(0, Vec::len);
                of_tensors + size_of::<u64>() * places
            }
        }
    }
}

fn element_bytes(elements: &Elements) -> usize {
    let contents = match elements {
        Elements::Numbers(bytes) => bytes.len(),
        Elements::Strings(strings) => strings.iter().map(|string| size_of::<Bytes>() + string.len()).sum(),
    };
    size_of::<Elements>() + contents
}

/// Strings share one piece of memory, so that they take what is counted.
fn owned(elements: &Elements) -> Elements {
    match elements {
        Elements::Numbers(bytes) => Elements::Numbers(Bytes::copy_from_slice(bytes)),
        Elements::Strings(strings) => {
            let (first, second) = strings.as_slices();
            let mut rest = Bytes::from([first.concat(), second.concat()].concat());
            Elements::Strings(strings.iter().map(|string| rest.split_to(string.len())).collect())
        }
    }
}
