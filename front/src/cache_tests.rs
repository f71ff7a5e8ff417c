//! The response cache by itself.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderValue;

use crate::cache::{CacheCounts, ResponseCache, ENTRY_BYTES, ID};
use crate::cache_key::Key;
use crate::caller::Answer;
use crate::frame::{framed, HEAD};
use crate::infer::InferCall;
use crate::proto::put_bytes;

fn cache(max_bytes: usize) -> Arc<ResponseCache> {
    ResponseCache::new(max_bytes, 1 << 20, HeaderValue::from(1), HeaderValue::from_static("cpu"))
}

fn typed(cache: &ResponseCache, message: &'static [u8]) -> Key {
    cache.key(1, &Bytes::from_static(message), None)
}

fn infer(cache: &ResponseCache) -> Key {
    let call = InferCall {
        id: Bytes::new(),
        inputs: vec![],
        open_dimensions: vec![],
        rows: 1,
        requested: None,
        raw: true,
        priority: 0,
    };
    cache.key(0, &Bytes::new(), Some(&call))
}

fn answer(message: &[u8]) -> Answer {
    Answer { outcome: Ok(framed(message)), told: None }
}

fn found(cache: &ResponseCache, key: &Key, id: &[u8]) -> Option<Bytes> {
    cache.find(key, id, Instant::now()).map(|answer| answer.outcome.unwrap())
}

#[test]
fn the_least_recently_used_goes_first() {
    let cache = cache(2 * (ENTRY_BYTES + 20));
    cache.keep(&typed(&cache, b"a"), &answer(b"A"));
    cache.keep(&typed(&cache, b"b"), &answer(b"B"));
    assert!(found(&cache, &typed(&cache, b"a"), b"").is_some());
    cache.keep(&typed(&cache, b"c"), &answer(b"C"));
    assert_eq!(found(&cache, &typed(&cache, b"a"), b""), Some(framed(b"A")));
    assert_eq!(found(&cache, &typed(&cache, b"b"), b""), None);
    let counts = cache.counts();
    assert_eq!((counts.hits, counts.misses, counts.entries), (2, 1, 2));
}

#[test]
fn what_goes_gives_its_bytes_back() {
    let cache = cache(ENTRY_BYTES + 20);
    for _ in 0..3 {
        cache.keep(&typed(&cache, b"a"), &answer(b"A"));
        cache.keep(&typed(&cache, b"bb"), &answer(b"BB"));
    }
    assert_eq!(cache.counts().bytes, ENTRY_BYTES + 2 + HEAD + 2);
}

#[test]
fn an_answer_without_room_is_not_kept() {
    let cache = cache(ENTRY_BYTES + 3);
    cache.keep(&typed(&cache, b"a"), &answer(b"A"));
    assert_eq!(cache.counts(), CacheCounts::default());
}

#[test]
fn an_answer_gets_the_id_of_the_request_that_hits() {
    let cache = cache(1 << 20);
    let message = |id: &[u8]| {
        let mut out = Vec::new();
        put_bytes(&mut out, 1, b"m");
        if !id.is_empty() {
            put_bytes(&mut out, ID, id);
        }
        put_bytes(&mut out, 6, b"raw");
        framed(&out)
    };
    cache.keep(&infer(&cache), &Answer { outcome: Ok(message(b"first")), told: None });
    for id in [&b""[..], b"second", b"first"] {
        assert_eq!(found(&cache, &infer(&cache), id), Some(message(id)));
    }
}

#[test]
fn a_method_is_part_of_the_key() {
    let cache = cache(1 << 20);
    cache.keep(&typed(&cache, b"a"), &answer(b"A"));
    assert_eq!(found(&cache, &cache.key(2, &Bytes::from_static(b"a"), None), b""), None);
}
