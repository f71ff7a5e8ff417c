//! A batch as Python sees it: raw messages, or tensors over memory that Rust owns.
//!
//! `unsafe` is here for Python's buffer protocol, which hands out a pointer. `Rows` is frozen, its bytes never move or
//! change, and the view holds a reference to it, so the pointer is good for as long as anybody has it.

use std::ffi::c_int;
use std::sync::Arc;

use bytes::Bytes;
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyList, PyTuple};

use crate::batch::{Batch, Remarks};
use crate::buffers::{Buffers, Lent};
use crate::counts::us;
use crate::frame::framed;
use crate::gather::{gather, Gathered, GatheredData};
use crate::infer_reply::{Output, OutputData};
use crate::python::{misuse, serving_error, ErrorParts};
use crate::python_buffers::fill_view;
use crate::request::Request;
use crate::sync::lock;
use crate::tensors::{Datatype, TensorSignature};

/// Bytes that Python reads in place.
#[pyclass(frozen)]
pub struct Rows {
    bytes: Vec<u8>,
}

#[pymethods]
impl Rows {
    #[allow(unsafe_code)]
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let bytes = &slf.get().bytes;
        // SAFETY: Python gives a view to fill. The bytes live as long as `slf`, and nobody writes to them: the view is
        // read-only.
        unsafe { fill_view(slf.as_any(), view, flags, bytes.as_ptr().cast_mut(), bytes.len(), true) }
    }
}

/// Requests of one method that run together.
#[pyclass(frozen, name = "Batch")]
pub struct NativeBatch {
    batch: Arc<Batch>,
    // Taken by the first call of `tensors`, which is the only one.
    gathered: std::sync::Mutex<Option<Vec<Gathered>>>,
    // In the place of what is gathered.
    lent: Option<Lent>,
}

/// A batch, the place of its method in the queue's list (0: ModelInfer), rows, requests, the longest wait in µs, and,
/// where its tensors are in the buffers, whether every float of the inputs is finite.
pub type Taken = (NativeBatch, usize, u64, usize, u64, Option<bool>);

/// One output: datatype, shape, and little-endian bytes or the elements of BYTES.
type OutputParts<'py> = (String, Vec<usize>, Bound<'py, PyAny>);

impl NativeBatch {
    /// Gathers the tensors of a ModelInfer batch, into the buffers where there are some; without the GIL.
    pub fn taken(batch: Arc<Batch>, buffers: Option<&Arc<Buffers>>) -> Taken {
        let calls: Vec<_> = batch.calls().collect();
        let lent = buffers.filter(|_| !calls.is_empty()).and_then(|buffers| Lent::filled(buffers, &calls));
        let gathers = lent.is_none() && !calls.is_empty();
        let gathered = gathers.then(|| gather(&calls, &batch.queue().spec.signature));
        drop(calls);
        let requests = &batch.requests;
        let method = requests.first().map_or(0, |request| request.method);
        let longest_wait = requests.iter().map(|request| batch.taken - request.arrived).max().unwrap_or_default();
        let (rows, count) = (batch.rows, requests.len());
        let are_finite = lent.as_ref().map(|lent| lent.are_finite(rows as usize));
        let native = NativeBatch { gathered: std::sync::Mutex::new(gathered), batch, lent };
        (native, method, rows, count, us(longest_wait), are_finite)
    }
}

#[pymethods]
impl NativeBatch {
    /// Of a request in parts, the message with the part's rows alone; of ModelInfer, whose tensors count, as it came.
    fn messages<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.batch.requests.iter().map(|request| PyBytes::new(py, &self.batch.message(request))))
    }

    /// Where each message's rows begin in its request.
    fn first_rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let first_row = |request: &Request| request.part.as_ref().map_or(0, |part| part.first_row);
        PyTuple::new(py, self.batch.requests.iter().map(first_row))
    }

    fn row_counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.batch.requests.iter().map(|request| request.rows))
    }

    /// Each input, in the order of the signature: (shape, Rows, or a list of the elements of BYTES).
    fn tensors<'py>(&self, py: Python<'py>) -> PyResult<Vec<(Bound<'py, PyTuple>, Bound<'py, PyAny>)>> {
        let gathered = lock(&self.gathered).take().ok_or_else(|| misuse("a batch has its tensors once"))?;
        gathered.into_iter().map(|input| python_input(py, input)).collect()
    }

    /// Answer every request with its rows. outputs: (datatype, shape, elements) each, in the order of the signature;
    /// remarks: what the answer of the request at an index is told to have.
    #[pyo3(signature = (outputs, remarks = Remarks::new()))]
    fn reply_tensors(&self, py: Python<'_>, outputs: Vec<OutputParts<'_>>, remarks: Remarks) -> PyResult<()> {
        let names: Vec<&str> =
            self.batch.queue().spec.signature.outputs.iter().map(|output| output.name.as_str()).collect();
        let owned: Vec<OwnedOutput> = outputs.into_iter().map(OwnedOutput::new).collect::<PyResult<_>>()?;
        let outputs: Vec<Output> = names.iter().zip(&owned).map(|(name, output)| output.view(name)).collect();
        py.detach(|| self.batch.settle_with(&outputs, &remarks));
        Ok(())
    }

    /// As `reply_tensors`, with the outputs that stand in the buffers. Whether the batch is settled.
    #[pyo3(signature = (remarks = Remarks::new()))]
    fn reply_buffers(&self, py: Python<'_>, remarks: Remarks) -> PyResult<bool> {
        let lent = self.lent.as_ref().ok_or_else(|| misuse("the batch is not in buffers"))?;
        Ok(py.detach(|| {
            self.batch.settle_with(&buffered(lent, &self.batch), &remarks);
            self.batch.is_settled()
        }))
    }

    fn reply(&self, index: usize, message: &[u8]) {
        self.batch.settle(index, Ok(framed(message)));
    }

    fn fail(&self, index: usize, error: ErrorParts) {
        self.batch.settle(index, Err(serving_error(error)));
    }

    /// Fail whatever is unanswered.
    fn fail_rest(&self, error: ErrorParts) {
        self.batch.fail_rest(&serving_error(error));
    }

    #[getter]
    fn unanswered(&self) -> bool {
        self.batch.is_unanswered()
    }

    #[getter]
    fn settled(&self) -> bool {
        self.batch.is_settled()
    }

    /// Call back from a thread of its own, or now where every caller has gone already.
    fn on_abandoned(&self, py: Python<'_>, callback: Py<PyAny>) -> PyResult<()> {
        let later = callback.clone_ref(py);
        let gone = self.batch.on_abandoned(Box::new(move || {
            // Not here: this is the I/O thread, which must not wait for the GIL.
            // Where no thread can be had the run goes on to its end.
            let calling = move || Python::try_attach(|py| drop(later.call0(py)));
            drop(std::thread::Builder::new().spawn(calling));
        }));
        if gone {
            callback.call0(py).map(drop)
        } else {
            Ok(())
        }
    }
}

impl Drop for NativeBatch {
    fn drop(&mut self) {
        self.batch.abandon();
    }
}

/// The batch's rows of every output. Their shape but for the rows is the signature's, or there would be no buffers.
fn buffered<'a>(lent: &'a Lent, batch: &'a Batch) -> Vec<Output<'a>> {
    let outputs = batch.queue().spec.signature.outputs.iter().enumerate();
    let output = |(index, tensor): (usize, &'a TensorSignature)| Output {
        name: &tensor.name,
        datatype: tensor.datatype,
        shape: &tensor.shape,
        data: OutputData::Numbers(lent.output(index, batch.rows as usize)),
    };
    outputs.map(output).collect()
}

fn python_input(py: Python<'_>, input: Gathered) -> PyResult<(Bound<'_, PyTuple>, Bound<'_, PyAny>)> {
    let shape = PyTuple::new(py, input.shape)?;
    let elements = match input.data {
        GatheredData::Numbers(bytes) => Bound::new(py, Rows { bytes })?.into_any(),
        GatheredData::Strings(strings) => {
            PyList::new(py, strings.iter().map(|string: &Bytes| PyBytes::new(py, string)))?.into_any()
        }
    };
    Ok((shape, elements))
}

/// An output with what keeps its elements alive while the GIL is not held.
struct OwnedOutput {
    datatype: Datatype,
    shape: Vec<i64>,
    elements: OwnedElements,
}

enum OwnedElements {
    Numbers(PyBackedBytes),
    Strings { bytes: Vec<u8>, ends: Vec<usize> },
}

impl OwnedOutput {
    fn new((datatype, shape, elements): OutputParts<'_>) -> PyResult<Self> {
        let Some(datatype) = Datatype::of_name(&datatype) else {
            return Err(PyValueError::new_err(format!("there is no datatype {datatype:?}")));
        };
        let elements = match datatype {
            Datatype::Bytes => joined(&elements)?,
            _ => OwnedElements::Numbers(elements.extract()?),
        };
        Ok(OwnedOutput { datatype, shape: shape.into_iter().map(|dimension| dimension as i64).collect(), elements })
    }

    fn view<'a>(&'a self, name: &'a str) -> Output<'a> {
        let data = match &self.elements {
            OwnedElements::Numbers(bytes) => OutputData::Numbers(bytes),
            OwnedElements::Strings { bytes, ends } => OutputData::Strings { bytes, ends },
        };
        Output { name, datatype: self.datatype, shape: &self.shape, data }
    }
}

fn joined(elements: &Bound<'_, PyAny>) -> PyResult<OwnedElements> {
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    for element in elements.try_iter()? {
        bytes.extend_from_slice(element?.cast::<PyBytes>()?.as_bytes());
        ends.push(bytes.len());
    }
    Ok(OwnedElements::Strings { bytes, ends })
}
