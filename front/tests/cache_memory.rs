//! The bound of a response cache is what it takes, be its keys many or of many small strings.
#![cfg(target_os = "linux")] // by /proc

mod peak;

use argosy_front::cache::ResponseCache;
use argosy_front::caller::Answer;
use argosy_front::frame::framed;
use argosy_front::infer::InferCall;
use argosy_front::infer_contents::Elements;
use bytes::Bytes;
use http::HeaderValue;
use peak::peak_bytes;

const MAX_BYTES: usize = 16 << 20;

fn strings(request: u64, count: usize) -> InferCall {
    let number = Bytes::copy_from_slice(&request.to_le_bytes());
    InferCall {
        id: Bytes::new(),
        inputs: vec![Elements::Strings((0..count).map(|place| number.slice(place % 4..8)).collect())],
        open_dimensions: vec![],
        rows: count as u64,
        requested: None,
        raw: true,
        priority: 0,
    }
}

#[test]
fn a_full_cache_takes_about_its_bound() {
    for (strings_each, requests) in [(1, 100_000), (2_000, 1_000)] {
        let version = HeaderValue::from_static("1");
        let cache = ResponseCache::new(MAX_BYTES, 1 << 20, version.clone(), version);
        let before = peak_bytes().unwrap();
        for request in 0..requests {
            let key = cache.key(0, &Bytes::new(), Some(&strings(request, strings_each)));
            cache.keep(&key, &Answer { outcome: Ok(framed(b"")), told: None });
        }
        let grown = peak_bytes().unwrap() - before;
        let counts = cache.counts();
        assert!(counts.bytes > MAX_BYTES / 10 * 9, "{counts:?}: it is not full");
        assert!(grown < MAX_BYTES / 2 * 3, "{strings_each} strings a key: {counts:?} took {grown} bytes");
    }
}
