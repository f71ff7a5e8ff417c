//! What is said of a model-version when its queue is opened.

use std::sync::Arc;

use http::HeaderValue;

use crate::cache::ResponseCache;
use crate::predict::Route;
use crate::request::MethodIndex;
use crate::room::Policy;
use crate::tensors::Signature;

/// One model-version's queue, as it was opened.
pub struct QueueSpec {
    /// Its name.
    pub model: String,
    /// Its version.
    pub version: String,
    /// The typed methods that feed it: the first has the place 1, after ModelInfer.
    pub methods: Vec<Route>,
    /// A request of more is wrong.
    pub max_request_rows: u64,
    /// Of one answer.
    pub max_answer_bytes: usize,
    /// Of ModelInfer.
    pub signature: Signature,
    /// How requests become batches.
    pub policy: Policy,
    /// Answers kept, where the operator wants it.
    pub cache: Option<Arc<ResponseCache>>,
    /// The first fields of every ModelInferResponse.
    pub reply_head: Vec<u8>,
    /// For the trailers.
    pub version_told: HeaderValue,
    /// For the trailers.
    pub device_told: HeaderValue,
}

impl QueueSpec {
    /// The typed method at that place; None for ModelInfer.
    pub fn typed(&self, method: MethodIndex) -> Option<&Route> {
        self.methods.get(method.checked_sub(1)?)
    }

    /// The names of the typed methods, for a message: each once.
    pub fn offered(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for name in self.methods.iter().map(Route::name) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() {
            "ModelInfer alone".to_owned()
        } else {
            names.join(", ")
        }
    }

    /// What a request by that method has rows of.
    pub fn rows_name(&self, method: MethodIndex) -> &str {
        self.typed(method).map_or("inputs", |route| &route.rows_name)
    }
}
