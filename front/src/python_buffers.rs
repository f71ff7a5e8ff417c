//! A worker's buffers as Python sees them: memory that it reads and, for outputs, writes in place.
//!
//! `unsafe` is here for Python's buffer protocol, which hands out a pointer.

use std::ffi::c_int;
use std::sync::Arc;

use pyo3::ffi;
use pyo3::prelude::*;

use crate::buffers::{Buffer, Buffers};

/// The memory of one worker's batches.
#[pyclass(frozen, name = "Buffers")]
pub struct NativeBuffers {
    pub(crate) buffers: Arc<Buffers>,
}

#[pymethods]
impl NativeBuffers {
    /// Each input, in the order of the signature.
    fn inputs(&self) -> Vec<Memory> {
        Self::memories(&self.buffers.inputs, true)
    }

    /// Each output, in the order of the signature.
    fn outputs(&self) -> Vec<Memory> {
        Self::memories(&self.buffers.outputs, false)
    }
}

impl NativeBuffers {
    fn memories(buffers: &[Arc<Buffer>], read_only: bool) -> Vec<Memory> {
        buffers.iter().map(|buffer| Memory { buffer: buffer.clone(), read_only }).collect()
    }
}

/// One tensor of a worker's buffers.
#[pyclass(frozen)]
pub struct Memory {
    buffer: Arc<Buffer>,
    read_only: bool,
}

#[pymethods]
impl Memory {
    #[allow(unsafe_code)]
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let memory = slf.get();
        let (buffer, read_only) = (&memory.buffer, memory.read_only);
        // SAFETY: Python gives a view to fill. The bytes live as long as `slf`; who may read and write them when is said
        // in `buffers`.
        unsafe { fill_view(slf.as_any(), view, flags, buffer.pointer, buffer.length, read_only) }
    }
}

/// Give Python a view of bytes that live as long as `owner`, to which the view takes a reference.
///
/// # Safety
/// `view` is one that Python wants filled, and so many bytes are at `pointer` for as long as `owner` is.
#[allow(unsafe_code)]
pub unsafe fn fill_view(
    owner: &Bound<'_, PyAny>,
    view: *mut ffi::Py_buffer,
    flags: c_int,
    pointer: *mut u8,
    length: usize,
    read_only: bool,
) -> PyResult<()> {
    let (length, read_only) = (length as ffi::Py_ssize_t, c_int::from(read_only));
    // SAFETY: the caller's.
    let filled = unsafe { ffi::PyBuffer_FillInfo(view, owner.as_ptr(), pointer.cast(), length, read_only, flags) };
    if filled == 0 {
        Ok(())
    } else {
        Err(PyErr::fetch(owner.py()))
    }
}
