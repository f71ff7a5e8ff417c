//! Rare methods, which Python answers: whole messages in, whole messages out, and a word for each change of a state.

use std::sync::Arc;

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tokio::sync::watch;

use crate::error::{internal, ServingError};
use crate::python::serving_error;
use crate::rare::RareAnswer;

/// Tells the front that a watched state has changed.
#[pyclass(frozen)]
pub struct Notify {
    changes: Arc<watch::Sender<u64>>,
}

impl Notify {
    /// Of a state that has not changed yet.
    pub fn new() -> Self {
        Notify { changes: Arc::new(watch::channel(0).0) }
    }

    /// What counts the changes.
    pub fn changes(&self) -> Arc<watch::Sender<u64>> {
        self.changes.clone()
    }
}

#[pymethods]
impl Notify {
    fn __call__(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }
}

/// A Python callable as an answer. It returns bytes or an error's parts; that it raises is not foreseen.
pub fn rare(answer: Py<PyAny>) -> RareAnswer {
    RareAnswer::new(move |message: Bytes| {
        let unforeseen = || internal("a rare method failed");
        let called = Python::try_attach(|py| -> PyResult<Result<Bytes, ServingError>> {
            let answered = answer.call1(py, (PyBytes::new(py, &message),))?;
            let answered = answered.bind(py);
            match answered.cast::<PyBytes>() {
                Ok(reply) => Ok(Ok(Bytes::copy_from_slice(reply.as_bytes()))),
                Err(_) => Ok(Err(serving_error(answered.extract()?))),
            }
        });
        called.and_then(Result::ok).unwrap_or_else(|| Err(unforeseen()))
    })
}
