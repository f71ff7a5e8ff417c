//! Memory for the batches of one worker that stays where it is, so that whoever runs them can bind it once.
//!
//! `unsafe` is here because the memory is shared with Python, which fills the outputs in place. Its one worker takes a
//! batch, runs it and answers it, one after the other on one thread; `Lent` sees to it that no second batch lies in the
//! same memory before the first has been let go of.

use std::alloc::{alloc_zeroed, dealloc, Layout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use crate::infer::InferCall;
use crate::infer_contents::Elements;
use crate::tensors::{Datatype, Signature, TensorSignature};

/// Of all tensors of a batch of the greatest size. Above it they are gathered anew for each batch: what is saved is some
/// microseconds, and the memory stays with the worker.
const MAX_BYTES: usize = 4 << 20;

/// What kernels like to begin at.
const ALIGNMENT: usize = 64;

/// One tensor of so many rows, row-major.
pub struct Buffer {
    datatype: Datatype,
    /// Of one row.
    pub row_bytes: usize,
    /// All rows.
    pub length: usize,
    /// Where the bytes are, for as long as `self` is.
    pub pointer: *mut u8,
    layout: Layout,
}

// SAFETY: Rust reaches the bytes through the functions below alone, Python through the views that a worker has of its own
// buffers: all of it happens on that worker's thread, one thing after the other.
#[allow(unsafe_code)]
unsafe impl Sync for Buffer {}
// SAFETY: as above; the memory belongs to no thread.
#[allow(unsafe_code)]
unsafe impl Send for Buffer {}

impl Buffer {
    /// None where such a size cannot be, or there is no memory for it.
    #[allow(unsafe_code)]
    fn new(tensor: &TensorSignature, row_bytes: usize, rows: usize) -> Option<Self> {
        let length = row_bytes.checked_mul(rows)?;
        let layout = Layout::from_size_align(length.max(1), ALIGNMENT).ok()?;
        // SAFETY: the size is not zero.
        let pointer = unsafe { alloc_zeroed(layout) };
        (!pointer.is_null()).then_some(Buffer { datatype: tensor.datatype, row_bytes, length, pointer, layout })
    }

    /// The first rows. To be called by the worker alone, which has nothing written here before it is back.
    #[allow(unsafe_code)]
    fn first(&self, rows: usize) -> &[u8] {
        let length = (self.row_bytes * rows).min(self.length);
        // SAFETY: so many bytes are there, set from the beginning; nobody writes to them while the worker is here.
        unsafe { std::slice::from_raw_parts(self.pointer, length) }
    }
}

impl Drop for Buffer {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and freed here alone. Views hold it by an Arc; what ONNX Runtime
        // has bound is a bare address, and is never run again once its worker has gone (`host_runs.py`).
        unsafe { dealloc(self.pointer, self.layout) };
    }
}

/// The inputs and outputs of ModelInfer, each of as many rows as a batch may have.
pub struct Buffers {
    /// In the order of the signature.
    pub inputs: Vec<Arc<Buffer>>,
    /// In the order of the signature.
    pub outputs: Vec<Arc<Buffer>>,
    rows: u64,
    lent: AtomicBool,
}

impl Buffers {
    /// None where a row of some tensor has no size that is known, or all would be too large.
    pub fn new(signature: &Signature, rows: u64) -> Option<Self> {
        let count = usize::try_from(rows).ok()?;
        let (inputs, outputs) = (row_sizes(&signature.inputs)?, row_sizes(&signature.outputs)?);
        let row_bytes = inputs.iter().chain(&outputs).try_fold(0usize, |sum, size| sum.checked_add(*size))?;
        if row_bytes.checked_mul(count)? > MAX_BYTES {
            return None;
        }
        let made = |tensors: &[TensorSignature], sizes: Vec<usize>| {
            let sized = tensors.iter().zip(sizes);
            sized.map(|(tensor, size)| Buffer::new(tensor, size, count).map(Arc::new)).collect::<Option<_>>()
        };
        let (inputs, outputs) = (made(&signature.inputs, inputs)?, made(&signature.outputs, outputs)?);
        Some(Buffers { inputs, outputs, rows, lent: AtomicBool::new(false) })
    }
}

fn row_sizes(tensors: &[TensorSignature]) -> Option<Vec<usize>> {
    tensors.iter().map(row_size).collect()
}

fn row_size(tensor: &TensorSignature) -> Option<usize> {
    let size = Some(tensor.datatype.size()).filter(|size| *size > 0)?;
    tensor.shape.iter().skip(1).try_fold(size, |bytes, dimension| {
        let dimension = usize::try_from(*dimension).ok().filter(|dimension| *dimension > 0)?;
        bytes.checked_mul(dimension)
    })
}

/// The buffers, in one batch's hands; they are free again when it is dropped.
pub struct Lent(Arc<Buffers>);

impl Lent {
    /// The rows of `calls` in the inputs. None where another batch has the buffers.
    pub fn filled(buffers: &Arc<Buffers>, calls: &[&InferCall]) -> Option<Self> {
        let rows: u64 = calls.iter().map(|call| call.rows).sum();
        if rows > buffers.rows || buffers.lent.swap(true, Ordering::Acquire) {
            return None;
        }
        let lent = Lent(buffers.clone());
        let all = buffers.inputs.iter().enumerate().all(|(index, buffer)| fill(buffer, calls, index));
        all.then_some(lent)
    }

    /// Whether every float of the first rows of the inputs is a finite number; to be called by the worker alone.
    pub fn are_finite(&self, rows: usize) -> bool {
        self.0.inputs.iter().all(|buffer| buffer.datatype.are_finite(buffer.first(rows)))
    }

    /// The first rows of an output, as the worker has left them; to be called by it alone.
    pub fn output(&self, index: usize, rows: usize) -> &[u8] {
        self.0.outputs.get(index).map_or(&[], |buffer| buffer.first(rows))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.0.lent.store(false, Ordering::Release);
    }
}

/// False where an input is not what the signature says, numbers and as long as its rows: what an older batch has left in
/// its place would be taken for it.
#[allow(unsafe_code)]
fn fill(buffer: &Buffer, calls: &[&InferCall], index: usize) -> bool {
    let mut start = 0;
    for call in calls {
        let Some(Elements::Numbers(bytes)) = call.inputs.get(index) else { return false };
        if bytes.len() as u64 != call.rows * buffer.row_bytes as u64 || bytes.len() > buffer.length - start {
            return false;
        }
        // SAFETY: there is room for them, as was seen; the buffers are this batch's alone, and its worker, the only one
        // who reads them, waits for it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.pointer.add(start), bytes.len()) };
        start += bytes.len();
    }
    true
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::tensors::Datatype;

    fn signature(datatype: Datatype, dimension: i64) -> Signature {
        let tensor = |name: &str| TensorSignature { name: name.into(), datatype, shape: vec![-1, dimension] };
        Signature { inputs: vec![tensor("x")], outputs: vec![tensor("y")] }
    }

    fn call(rows: u64, bytes: &'static [u8]) -> InferCall {
        InferCall {
            id: Bytes::new(),
            inputs: vec![Elements::Numbers(Bytes::from_static(bytes))],
            open_dimensions: vec![],
            rows,
            requested: None,
            raw: true,
            priority: 0,
        }
    }

    #[test]
    fn rows_of_all_requests_stand_one_behind_the_other() {
        let buffers = Arc::new(Buffers::new(&signature(Datatype::Uint8, 2), 3).unwrap());
        let lent = Lent::filled(&buffers, &[&call(1, b"ab"), &call(2, b"cdef")]).unwrap();
        assert_eq!(buffers.inputs[0].first(3), b"abcdef");
        assert_eq!(lent.output(0, 3), [0; 6]);
        assert_eq!(lent.output(1, 3), [0; 0]);
    }

    #[test]
    fn one_batch_has_them_at_a_time() {
        let buffers = Arc::new(Buffers::new(&signature(Datatype::Uint8, 2), 3).unwrap());
        let first = Lent::filled(&buffers, &[&call(1, b"ab")]).unwrap();
        assert!(Lent::filled(&buffers, &[&call(1, b"cd")]).is_none());
        assert_eq!(buffers.inputs[0].first(1), b"ab");
        drop(first);
        assert!(Lent::filled(&buffers, &[&call(1, b"cd")]).is_some());
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let buffers = Arc::new(Buffers::new(&signature(Datatype::Uint8, 2), 2).unwrap());
        assert!(Lent::filled(&buffers, &[&call(3, b"abcdef")]).is_none());
        assert!(Lent::filled(&buffers, &[&call(2, b"abcdef")]).is_none());
        assert!(Lent::filled(&buffers, &[&call(2, b"ab")]).is_none());
        assert!(Lent::filled(&buffers, &[&call(2, b"abcd")]).is_some());
    }

    #[test]
    fn tensors_of_open_size_or_too_large_have_none() {
        assert!(Buffers::new(&signature(Datatype::Fp32, -1), 8).is_none());
        assert!(Buffers::new(&signature(Datatype::Bytes, 2), 8).is_none());
        assert!(Buffers::new(&signature(Datatype::Fp64, 1 << 16), 8).is_none());
        assert!(Buffers::new(&signature(Datatype::Fp64, i64::MAX), u64::MAX).is_none());
        assert_eq!(Buffers::new(&signature(Datatype::Fp32, 30), 8).unwrap().inputs[0].length, 960);
    }
}
