//! Answers kept for requests that are the same as one before: a cache a model-version, where its operator wants one.
//!
//! The same are requests of one method whose contents are: of a typed method the whole message, of ModelInfer the
//! tensors, their form, raw or typed, and the outputs that are asked for. A request id and parameters change no answer
//! and are no part of it. Keys are kept whole and compared whole. Errors are never kept, nor are answers over the
//! message limit, and of a request that is under way nobody is told: an equal one that comes meanwhile runs too.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderValue;

use crate::cache_key::Key;
use crate::caller::Answer;
use crate::frame::{framed, put_frame_head, HEAD};
use crate::infer::InferCall;
use crate::proto::{bytes_field_length, put_bytes, Reader, Value};
use crate::request::MethodIndex;
use crate::sync::lock;
use crate::told::{BatchTold, Told};

/// What an entry takes beside its key and its answer: its places in the two maps and its allocations, rounded up.
pub(crate) const ENTRY_BYTES: usize = 512;

const HIT: HeaderValue = HeaderValue::from_static("hit");
/// What the trailer `argosy-cache` says of a request that was looked for in vain.
pub const MISS: HeaderValue = HeaderValue::from_static("miss");

/// A framed message without a request id, and where in it one belongs.
#[derive(Clone)]
struct Kept {
    frame: Bytes,
    id_place: usize,
}

impl Kept {
    /// None where a worker's answer to ModelInfer is no message.
    fn new(key: &Key, frame: &Bytes) -> Option<Self> {
        if key.is_infer() {
            return without_id(frame);
        }
        Some(Kept { frame: frame.clone(), id_place: HEAD })
    }

    fn with_id(&self, id: &[u8]) -> Bytes {
        if id.is_empty() {
            return self.frame.clone();
        }
        let length = self.frame.len() - HEAD + bytes_field_length(id.len());
        let mut out = Vec::with_capacity(HEAD + length);
        put_frame_head(&mut out, length);
        out.extend_from_slice(&self.frame[HEAD..self.id_place]);
        put_bytes(&mut out, ID, id);
        out.extend_from_slice(&self.frame[self.id_place..]);
        out.into()
    }
}

/// ModelInferResponse.id.
pub(crate) const ID: u32 = 3;

fn without_id(frame: &Bytes) -> Option<Kept> {
    let message = frame.get(HEAD..)?;
    let (mut kept, mut id_place) = (Vec::with_capacity(message.len()), None);
    let (mut reader, mut rest) = (Reader::new(message), message);
    while let Some((number, value)) = reader.field().ok()? {
        let (field, left) = rest.split_at(rest.len() - reader.left());
        rest = left;
        if number == ID && matches!(value, Value::Bytes(_)) {
            continue;
        }
        if number > ID {
            id_place.get_or_insert(HEAD + kept.len());
        }
        kept.extend_from_slice(field);
    }
    Some(Kept { id_place: id_place.unwrap_or(HEAD + kept.len()), frame: framed(&kept) })
}

/// What a cache has done and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// Requests that were answered from it.
    pub hits: u64,
    /// Requests that it had no answer for.
    pub misses: u64,
    /// From the arrivals of the hits to their answers.
    pub hit_time: Duration,
    /// Answers that it holds.
    pub entries: usize,
    /// What they take, with their keys.
    pub bytes: usize,
}

struct Entry {
    kept: Kept,
    bytes: usize,
    used: u64,
}

#[derive(Default)]
struct State {
    entries: HashMap<Arc<Key>, Entry>,
    // When each was last used, by the number of the use: the first is the one to go.
    by_use: BTreeMap<u64, Arc<Key>>,
    next_use: u64,
    counts: CacheCounts,
}

/// A bounded cache; the least recently used answer goes first.
pub struct ResponseCache {
    max_bytes: usize,
    max_answer_bytes: usize,
    told: Arc<BatchTold>,
    hashes: RandomState,
    state: Mutex<State>,
}

impl ResponseCache {
    /// An empty cache of at most `max_bytes`. `version` and `device` are for the trailers of hits.
    pub fn new(max_bytes: usize, max_answer_bytes: usize, version: HeaderValue, device: HeaderValue) -> Arc<Self> {
        let told = Arc::new(BatchTold::new(0, 0, version, device));
        let (hashes, state) = (RandomState::new(), Mutex::default());
        Arc::new(ResponseCache { max_bytes, max_answer_bytes, told, hashes, state })
    }

    /// What a request is looked for by in this cache; `call` of ModelInfer alone. The work grows with the message.
    pub fn key(&self, method: MethodIndex, message: &Bytes, call: Option<&InferCall>) -> Key {
        Key::new(method, message, call, &self.hashes, self.max_bytes)
    }

    /// The answer for `key`, with the request id `id`, to a request that came at `arrived`.
    pub fn find(&self, key: &Key, id: &[u8], arrived: Instant) -> Option<Answer> {
        let kept = lock(&self.state).use_again(key, arrived)?;
        let told = Told { queue_us: 0, batch: self.told.clone(), cache: Some(HIT) };
        Some(Answer { outcome: Ok(kept.with_id(id)), told: Some(told) })
    }

    /// Keep the answer for `key`, if it is one and has room.
    pub fn keep(&self, key: &Key, answer: &Answer) {
        let Ok(frame) = &answer.outcome else { return };
        if frame.len() > HEAD + self.max_answer_bytes {
            return;
        }
        let Some(kept) = Kept::new(key, frame) else { return };
        let bytes = ENTRY_BYTES + key.byte_count + kept.frame.len();
        if bytes <= self.max_bytes {
            let own = Arc::new(key.to_owned()); // before the lock is taken, since it may be large
            lock(&self.state).keep(own, kept, bytes, self.max_bytes);
        }
    }

    /// What it has done and holds.
    pub fn counts(&self) -> CacheCounts {
        lock(&self.state).counts
    }
}

impl State {
    fn use_again(&mut self, key: &Key, arrived: Instant) -> Option<Kept> {
        let Some(entry) = self.entries.get_mut(key) else {
            self.counts.misses += 1;
            return None;
        };
        if let Some(own) = self.by_use.remove(&entry.used) {
            self.by_use.insert(self.next_use, own);
        }
        entry.used = self.next_use;
        self.next_use += 1;
        self.counts.hits += 1;
        self.counts.hit_time += arrived.elapsed();
        Some(entry.kept.clone())
    }

    fn keep(&mut self, key: Arc<Key>, kept: Kept, bytes: usize, max_bytes: usize) {
        if self.entries.contains_key(&key) {
            return; // an equal request ran meanwhile
        }
        self.counts.bytes += bytes;
        self.counts.entries += 1;
        self.by_use.insert(self.next_use, key.clone());
        self.entries.insert(key, Entry { kept, bytes, used: self.next_use });
        self.next_use += 1;
        while self.counts.bytes > max_bytes {
            let Some((_, oldest)) = self.by_use.pop_first() else { return };
            if let Some(entry) = self.entries.remove(&oldest) {
                self.counts.bytes -= entry.bytes;
                self.counts.entries -= 1;
            }
        }
    }
}
