//! What Python sees of the front: `services/runtime/native_front.py` is its one user and knows its shapes.
//!
//! Errors cross as (gRPC status code, reason, message, field, seconds until a retry or None). A batch costs Python a
//! handful of calls, whatever the number of its requests. Everything that waits or works does so without the GIL.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::buffers::Buffers;
use crate::cache::ResponseCache;
use crate::error::{Cause, ServingError};
use crate::front::Front;
use crate::infer_reply::encode_head;
use crate::predict::Route;
use crate::python_batch::{NativeBatch, Rows, Taken};
use crate::python_buffers::{Memory, NativeBuffers};
use crate::python_rare::{rare, Notify};
use crate::python_stats::{queue_stats, QueueStats};
use crate::queue::ModelQueue;
use crate::queue_spec::QueueSpec;
use crate::room::Policy;
use crate::server::{Limits, Method, Watched};
use crate::sync::lock;
use crate::tensors::{Datatype, Signature, TensorSignature};
use crate::tls::TlsFiles;

/// (gRPC status code, reason, message, field, seconds until a retry).
pub type ErrorParts = (u8, String, String, String, Option<f64>);

/// The error of its parts.
pub fn serving_error((code, reason, message, field, retry_after_s): ErrorParts) -> ServingError {
    let retry_after = retry_after_s.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    ServingError { cause: Cause::of_code(code), reason: reason.into(), message, field, retry_after }
}

type TensorParts = (String, String, Vec<i64>);

type RouteParts = (String, u32, String);

/// A gRPC server in this process.
#[pyclass(frozen, name = "Front")]
struct NativeFront {
    front: Front,
}

#[pymethods]
impl NativeFront {
    /// routes: (method, number of the rows' field, its name) each; tls: (certificate, private key, client CA).
    #[new]
    #[pyo3(signature = (address, routes, max_message_bytes, max_metadata_bytes, max_connection_age_s, keepalive_interval_s, keepalive_timeout_s, tls))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        address: &str,
        routes: Vec<RouteParts>,
        max_message_bytes: usize,
        max_metadata_bytes: usize,
        max_connection_age_s: f64,
        keepalive_interval_s: f64,
        keepalive_timeout_s: f64,
        tls: Option<(PathBuf, PathBuf, Option<PathBuf>)>,
    ) -> PyResult<Self> {
        let limits = Limits {
            max_message_bytes,
            max_metadata_bytes,
            max_connection_age: seconds(max_connection_age_s)?,
            keepalive_interval: seconds(keepalive_interval_s)?,
            keepalive_timeout: seconds(keepalive_timeout_s)?,
        };
        let tls = tls.map(|(certificate, private_key, client_ca)| TlsFiles { certificate, private_key, client_ca });
        match Front::new(address, routes.into_iter().map(route).collect(), limits, tls) {
            Ok(front) => Ok(NativeFront { front }),
            Err(error) => Err(PyOSError::new_err(error.to_string())),
        }
    }

    #[getter]
    fn address(&self) -> &str {
        &self.front.address
    }

    /// routes: as the front's, none open; policy: (max_batch_rows, capacity_rows, max_wait_us, instances, max_request_rows, levels, default_level, in_order).
    #[allow(clippy::too_many_arguments)]
    fn open_queue(
        &self,
        model: String,
        version: String,
        routes: Vec<RouteParts>,
        inputs: Vec<TensorParts>,
        outputs: Vec<TensorParts>,
        policy: (u64, u64, u64, u32, u64, u32, u32, bool),
        device: &str,
        cache_bytes: usize,
    ) -> PyResult<NativeQueue> {
        let (max_batch_rows, capacity_rows, max_wait_us, instances, max_request_rows, levels, default_level, in_order) =
            policy;
        let version_told = HeaderValue::from_str(&version).map_err(|_| PyValueError::new_err("version"))?;
        let device_told = HeaderValue::from_str(device).map_err(|_| PyValueError::new_err("device"))?;
        let max_answer_bytes = self.front.server.limits.max_message_bytes;
        let cache = || ResponseCache::new(cache_bytes, max_answer_bytes, version_told.clone(), device_told.clone());
        let spec = QueueSpec {
            reply_head: encode_head(&model, &version),
            cache: (cache_bytes > 0).then(cache),
            version_told,
            device_told,
            methods: routes.into_iter().map(route).collect(),
            max_request_rows,
            max_answer_bytes,
            signature: Signature { inputs: tensors(inputs)?, outputs: tensors(outputs)? },
            policy: Policy {
                max_batch_rows: max_batch_rows.max(1),
                capacity_rows,
                max_wait: Duration::from_micros(max_wait_us),
                instances: instances.max(1),
                levels,
                default_level,
                in_order,
            },
            model,
            version,
        };
        Ok(NativeQueue { queue: self.front.open_queue(spec) })
    }

    fn close_queue(&self, model: &str, version: &str) {
        self.front.close_queue(model, version);
    }

    fn set_default_version(&self, model: &str, version: Option<String>) {
        lock(&self.front.server.table).set_default_version(model, version);
    }

    fn set_unready(&self, model: &str, version: &str, error: Option<ErrorParts>) {
        lock(&self.front.server.table).set_unready(model, version, error.map(serving_error));
    }

    fn set_serving(&self, name: &str, serving: bool) {
        self.front.server.set_serving(name, serving);
    }

    /// answer: bytes -> bytes, or the parts of an error.
    fn answer_unary(&self, method: &str, answer: Py<PyAny>) {
        self.front.server.set_method(method, Method::Unary(rare(answer)));
    }

    /// As `answer_unary`, for every message of a stream.
    fn answer_stream(&self, method: &str, answer: Py<PyAny>) {
        self.front.server.set_method(method, Method::Stream(rare(answer)));
    }

    /// What is returned tells of a change.
    fn answer_watch(&self, method: &str, answer: Py<PyAny>) -> Notify {
        let notify = Notify::new();
        self.front.server.set_method(method, Method::Watch(Watched::Rare(rare(answer)), notify.changes()));
        notify
    }

    /// ([a queue's figures], [(reason, count)]).
    fn stats(&self) -> (Vec<QueueStats>, Vec<(String, u64)>) {
        let queues = lock(&self.front.server.table).queues();
        let refusals = self.front.server.outgoing.refusals.by_reason();
        let by_reason = refusals.into_iter().map(|(reason, count)| (reason.into_owned(), count));
        (queues.iter().map(|queue| queue_stats(queue)).collect(), by_reason.collect())
    }

    fn drain(&self, py: Python<'_>, grace_s: f64, notice_s: f64) -> PyResult<()> {
        let (grace, notice) = (seconds(grace_s)?, seconds(notice_s)?);
        py.detach(|| self.front.drain(grace, notice));
        Ok(())
    }
}

/// The requests of one model-version, from the worker's side.
#[pyclass(frozen, name = "Queue")]
struct NativeQueue {
    queue: Arc<ModelQueue>,
}

#[pymethods]
impl NativeQueue {
    /// For one worker's batches; None where a tensor's rows have no size that is known, or are too large.
    fn buffers(&self) -> Option<NativeBuffers> {
        let spec = &self.queue.spec;
        let buffers = Buffers::new(&spec.signature, spec.policy.max_batch_rows)?;
        Some(NativeBuffers { buffers: Arc::new(buffers) })
    }

    /// Wait for a batch; None once the queue is closed and empty. Tensors go into `buffers`, where they are free.
    fn take(&self, py: Python<'_>, buffers: Option<Bound<'_, NativeBuffers>>) -> Option<Taken> {
        let buffers = buffers.map(|buffers| buffers.get().buffers.clone());
        py.detach(|| self.queue.take().map(|batch| NativeBatch::taken(batch, buffers.as_ref())))
    }

    fn close(&self) {
        self.queue.close();
    }
}

fn seconds(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|error| PyValueError::new_err(error.to_string()))
}

fn route((method, rows_field, rows_name): RouteParts) -> Route {
    Route { method, rows_field, rows_name }
}

fn tensors(parts: Vec<TensorParts>) -> PyResult<Vec<TensorSignature>> {
    let tensor = |(name, datatype, shape): TensorParts| match Datatype::of_name(&datatype) {
        Some(datatype) => Ok(TensorSignature { name, datatype, shape }),
        None => Err(PyValueError::new_err(format!("tensor {name:?}: there is no datatype {datatype:?}"))),
    };
    parts.into_iter().map(tensor).collect()
}

/// Raised by one with every change of what this module offers or takes, as in `services/runtime/native_interface.py`.
const INTERFACE: u32 = 7;

/// The module `argosy_front`.
#[pymodule]
fn argosy_front(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<NativeFront>()?;
    module.add_class::<NativeQueue>()?;
    module.add_class::<NativeBatch>()?;
    module.add_class::<Rows>()?;
    module.add_class::<NativeBuffers>()?;
    module.add_class::<Memory>()?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("INTERFACE", INTERFACE)?;
    Ok(())
}

/// Raised where a batch is used in a way that its kind does not allow.
pub fn misuse(text: &str) -> PyErr {
    PyRuntimeError::new_err(text.to_owned())
}
