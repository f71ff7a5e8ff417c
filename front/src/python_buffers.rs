//! A worker's buffers as Python sees them: memory that it reads and, for outputs, writes in place.
//!
//! `unsafe` is here for Python's buffer protocol, which hands out a pointer.

use std::ffi::c_int;
use std::sync::Arc;

use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::buffers::{are_finite, Buffer, Buffers};
use crate::queue::ModelQueue;

/// The memory of one worker's batches.
#[pyclass(frozen, name = "Buffers")]
pub struct NativeBuffers {
    pub(crate) buffers: Arc<Buffers>,
    pub(crate) queue: Arc<ModelQueue>,
}

#[pymethods]
impl NativeBuffers {
    /// Each input, in the order of the signature.
    fn inputs(&self) -> Vec<Memory> {
        self.memories(false, self.buffers.inputs.len())
    }

    /// Whether every float of the first rows of the inputs is finite; asked by the worker of its own batch.
    fn are_finite(&self, py: Python<'_>, rows: usize) -> bool {
        py.detach(|| are_finite(&self.buffers, &self.queue.spec.signature, rows))
    }

    /// Each output, in the order of the signature.
    fn outputs(&self) -> Vec<Memory> {
        self.memories(true, self.buffers.outputs.len())
    }
}

impl NativeBuffers {
    fn memories(&self, output: bool, count: usize) -> Vec<Memory> {
        (0..count).map(|index| Memory { buffers: self.buffers.clone(), output, index }).collect()
    }
}

/// One tensor of a worker's buffers.
#[pyclass(frozen)]
pub struct Memory {
    buffers: Arc<Buffers>,
    output: bool,
    index: usize,
}

impl Memory {
    fn buffer(&self) -> Option<&Buffer> {
        if self.output { &self.buffers.outputs } else { &self.buffers.inputs }.get(self.index)
    }
}

#[pymethods]
impl Memory {
    #[allow(unsafe_code)]
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let memory = slf.get();
        let buffer = memory.buffer().ok_or_else(|| PyBufferError::new_err("there is no such tensor"))?;
        let (pointer, length) = (buffer.pointer.cast(), buffer.length as ffi::Py_ssize_t);
        let read_only = c_int::from(!memory.output);
        // SAFETY: Python gives a view to fill. The bytes live as long as `slf`, to which the view takes a reference; who
        // may read and write them when is said in `buffers`.
        let filled = unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), pointer, length, read_only, flags) };
        if filled == 0 {
            Ok(())
        } else {
            Err(PyErr::fetch(slf.py()))
        }
    }
}
