//! What the trailers of an answer tell of its request and of the batch that it ran in.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::status::STATUS;

const OK: HeaderValue = HeaderValue::from_static("0");
const QUEUE_US: HeaderName = HeaderName::from_static("argosy-queue-us");
const COMPUTE_US: HeaderName = HeaderName::from_static("argosy-compute-us");
const BATCH_ROWS: HeaderName = HeaderName::from_static("argosy-batch-rows");
const MODEL_VERSION: HeaderName = HeaderName::from_static("argosy-model-version");
const DEVICE: HeaderName = HeaderName::from_static("argosy-device");
const CACHE: HeaderName = HeaderName::from_static("argosy-cache");

/// What is told of one request.
pub struct Told {
    /// From its arrival to its leaving in a batch.
    pub queue_us: u64,
    /// The same for all of its batch.
    pub batch: Arc<BatchTold>,
    /// Of a model that has a cache: whether the answer was in it.
    pub cache: Option<HeaderValue>,
}

impl Told {
    /// The trailers of an answer, with the status of one that is no error.
    pub fn trailers(self) -> HeaderMap {
        let mut trailers = self.batch.0.clone();
        trailers.insert(QUEUE_US, unindexed(self.queue_us));
        if let Some(cache) = self.cache {
            trailers.insert(CACHE, cache);
        }
        trailers
    }
}

/// The trailers of a batch's answers, made once for all of them: to fill a map costs a hash for each name.
pub struct BatchTold(HeaderMap);

impl BatchTold {
    /// `compute_us`: from the batch's leaving to its last answer; `rows`: of all its requests.
    pub fn new(compute_us: u64, rows: u64, version: HeaderValue, device: HeaderValue) -> Self {
        // A full map grows where a header is set, even one that it has.
        let mut told = HeaderMap::with_capacity(8);
        told.extend([
            (STATUS, OK),
            (QUEUE_US, unindexed(0)),
            (COMPUTE_US, unindexed(compute_us)),
            (BATCH_ROWS, HeaderValue::from(rows)),
            (MODEL_VERSION, version),
            (DEVICE, device),
        ]);
        BatchTold(told)
    }
}

/// The trailers of an answer that is no error and of which nothing is told.
pub fn plain_trailers() -> HeaderMap {
    HeaderMap::from_iter([(STATUS, OK)])
}

/// A number that is another with each answer. HPACK's table would soon hold nothing else, and is searched from its
/// oldest entry on.
fn unindexed(number: u64) -> HeaderValue {
    let mut value = HeaderValue::from(number);
    value.set_sensitive(true);
    value
}
