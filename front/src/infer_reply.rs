//! ModelInfer's answers: each request's rows of the outputs, encoded in its frame.
//!
//! An answer is raw where its request was, or where one of its outputs can be nothing else. Fields stand in the order
//! of their numbers, as protobuf writes them.

use bytes::Bytes;

use crate::frame::{put_frame_head, HEAD};
use crate::infer::InferCall;
use crate::proto::{bytes_field_length, put_bytes, put_head, put_varint, varint_length};
use crate::tensors::Datatype;

/// What an output's head mostly fits into: name, datatype and shape.
const TENSOR_BYTES: usize = 64;

/// One output of a batch.
pub struct Output<'a> {
    /// As the model names it.
    pub name: &'a str,
    /// Of the elements that came from the model.
    pub datatype: Datatype,
    /// With the batch's rows first.
    pub shape: &'a [i64],
    /// Little-endian elements, or those of BYTES.
    pub data: OutputData<'a>,
}

/// The elements of an output.
pub enum OutputData<'a> {
    /// Row-major, little-endian.
    Numbers(&'a [u8]),
    /// Each element of BYTES ends where `ends` says.
    Strings {
        /// All elements, one behind the other.
        bytes: &'a [u8],
        /// One offset an element.
        ends: &'a [usize],
    },
}

/// The rows `start..start + call.rows` of each output that the call asked for, as a framed ModelInferResponse. Each of
/// `remarks` is a parameter that is true.
pub fn encode_infer(call: &InferCall, head: &[u8], outputs: &[Output], start: usize, remarks: &[String]) -> Bytes {
    let rows = call.rows as usize;
    let chosen = chosen(call, outputs);
    // All or none: whoever reads raw contents by an output's place would take those of another.
    let is_raw = call.raw || chosen.iter().any(|output| output.datatype.contents_field().is_none());
    let raw = if is_raw { &chosen[..] } else { &[] };
    let mut middle = Vec::with_capacity(TENSOR_BYTES * chosen.len());
    remarks.iter().for_each(|remark| put_remark(&mut middle, remark));
    chosen.iter().for_each(|output| put_tensor(&mut middle, output, start, rows, is_raw));
    let id = if call.id.is_empty() { 0 } else { bytes_field_length(call.id.len()) };
    let raw_bytes: usize = raw.iter().map(|output| bytes_field_length(raw_length(output, start, rows))).sum();
    let length = head.len() + id + middle.len() + raw_bytes;
    let mut out = Vec::with_capacity(HEAD + length);
    put_frame_head(&mut out, length);
    out.extend_from_slice(head);
    if id > 0 {
        put_bytes(&mut out, 3, &call.id);
    }
    out.extend_from_slice(&middle);
    // Straight into the frame: elements are most of an answer, and are copied once.
    raw.iter().for_each(|output| put_raw(&mut out, output, start, rows));
    out.into()
}

/// The outputs that the call asked for, in its order.
fn chosen<'a>(call: &InferCall, outputs: &'a [Output<'a>]) -> Vec<&'a Output<'a>> {
    match &call.requested {
        Some(places) => places.iter().filter_map(|place| outputs.get(*place)).collect(),
        None => outputs.iter().collect(),
    }
}

/// The fields model_name and model_version, which all answers of a queue share.
pub fn encode_head(model: &str, version: &str) -> Vec<u8> {
    let mut head = Vec::new();
    for (number, text) in [(1, model), (2, version)] {
        if !text.is_empty() {
            put_bytes(&mut head, number, text.as_bytes());
        }
    }
    head
}

/// An entry of the map `parameters`: a name, and an InferParameter whose bool_param is true.
fn put_remark(out: &mut Vec<u8>, name: &str) {
    const TRUE: [u8; 2] = [1 << 3, 1];
    put_head(out, 4, bytes_field_length(name.len()) + bytes_field_length(TRUE.len()));
    put_bytes(out, 1, name.as_bytes());
    put_bytes(out, 2, &TRUE);
}

fn put_tensor(out: &mut Vec<u8>, output: &Output, start: usize, rows: usize, is_raw: bool) {
    let trailing = output.shape.get(1..).unwrap_or(&[]);
    let dimensions = || std::iter::once(rows as u64).chain(trailing.iter().map(|dimension| *dimension as u64));
    let shape: usize = dimensions().map(varint_length).sum();
    let contents = if is_raw { Vec::new() } else { contents(output, start, rows) };
    let contents_length = if is_raw { 0 } else { bytes_field_length(contents.len()) };
    let datatype = output.datatype.name();
    let length = bytes_field_length(output.name.len())
        + bytes_field_length(datatype.len())
        + bytes_field_length(shape)
        + contents_length;
    put_head(out, 5, length);
    put_bytes(out, 1, output.name.as_bytes());
    put_bytes(out, 2, datatype.as_bytes());
    put_head(out, 3, shape);
    dimensions().for_each(|dimension| put_varint(out, dimension));
    if !is_raw {
        put_bytes(out, 5, &contents);
    }
}

fn raw_length(output: &Output, start: usize, rows: usize) -> usize {
    match output.data {
        OutputData::Numbers(_) => numbers(output, start, rows).len(),
        OutputData::Strings { .. } => strings(output, start, rows).map(|element| 4 + element.len()).sum(),
    }
}

fn put_raw(out: &mut Vec<u8>, output: &Output, start: usize, rows: usize) {
    put_head(out, 6, raw_length(output, start, rows));
    match output.data {
        OutputData::Numbers(_) => out.extend_from_slice(numbers(output, start, rows)),
        OutputData::Strings { .. } => {
            for element in strings(output, start, rows) {
                out.extend_from_slice(&(element.len() as u32).to_le_bytes());
                out.extend_from_slice(element);
            }
        }
    }
}

/// The elements of some rows as InferTensorContents.
fn contents(output: &Output, start: usize, rows: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let Some(field) = output.datatype.contents_field() else { return out };
    match output.datatype {
        Datatype::Bytes => strings(output, start, rows).for_each(|element| put_bytes(&mut out, field, element)),
        Datatype::Fp32 | Datatype::Fp64 => put_packed(&mut out, field, numbers(output, start, rows)),
        _ => {
            let mut packed = Vec::new();
            for element in numbers(output, start, rows).chunks_exact(output.datatype.size()) {
                put_varint(&mut packed, widened(output.datatype, element));
            }
            put_packed(&mut out, field, &packed);
        }
    }
    out
}

fn put_packed(out: &mut Vec<u8>, field: u32, packed: &[u8]) {
    if !packed.is_empty() {
        put_bytes(out, field, packed);
    }
}

/// An integer as a varint carries it: negative ones extended to 64 bits.
fn widened(datatype: Datatype, element: &[u8]) -> u64 {
    let signed = matches!(datatype, Datatype::Int8 | Datatype::Int16 | Datatype::Int32 | Datatype::Int64);
    let negative = signed && element.last().is_some_and(|byte| *byte >= 0x80);
    let mut bytes = [if negative { 0xff } else { 0 }; 8];
    bytes[..element.len()].copy_from_slice(element);
    u64::from_le_bytes(bytes)
}

fn elements_a_row(output: &Output) -> usize {
    output.shape.iter().skip(1).map(|dimension| *dimension as usize).product()
}

fn numbers<'a>(output: &Output<'a>, start: usize, rows: usize) -> &'a [u8] {
    let stride = elements_a_row(output) * output.datatype.size();
    match output.data {
        OutputData::Numbers(bytes) => bytes.get(start * stride..(start + rows) * stride).unwrap_or(&[]),
        OutputData::Strings { .. } => &[],
    }
}

fn strings<'a>(output: &Output<'a>, start: usize, rows: usize) -> impl Iterator<Item = &'a [u8]> + 'a {
    let stride = elements_a_row(output);
    let (bytes, ends) = match output.data {
        OutputData::Strings { bytes, ends } => (bytes, ends),
        OutputData::Numbers(_) => (&[][..], &[][..]),
    };
    (start * stride..(start + rows) * stride).map(move |index| {
        let begin = if index == 0 { 0 } else { ends.get(index - 1).copied().unwrap_or(0) };
        ends.get(index).and_then(|end| bytes.get(begin..*end)).unwrap_or(&[])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Reader, Value};

    fn call(raw: bool) -> InferCall {
        InferCall {
            id: Bytes::new(),
            inputs: vec![],
            open_dimensions: vec![],
            rows: 1,
            requested: None,
            raw,
            priority: 0,
        }
    }

    #[test]
    fn an_answer_holds_its_own_rows_alone() {
        let data = OutputData::Numbers(&[1, 0, 2, 0, 3, 0]);
        let outputs = [Output { name: "y", datatype: Datatype::Int16, shape: &[3, 1], data }];
        let frame = encode_infer(&call(true), &encode_head("m", "1"), &outputs, 1, &[]);
        assert_eq!(&frame[frame.len() - 4..], [6 << 3 | 2, 2, 2, 0]);
        assert_eq!(frame.len(), 5 + u32::from_be_bytes(frame[1..5].try_into().unwrap()) as usize);
    }

    #[test]
    fn a_negative_typed_number_takes_ten_bytes() {
        let outputs = [Output { name: "y", datatype: Datatype::Int8, shape: &[1], data: OutputData::Numbers(&[0xff]) }];
        let frame = encode_infer(&call(false), b"", &outputs, 0, &[]);
        let mut message = Reader::new(&frame[HEAD..]);
        let Ok(Some((5, Value::Bytes(tensor)))) = message.field() else { panic!("no tensor") };
        assert_eq!(&tensor[tensor.len() - 14..], [42, 12, 18, 10, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
    }

    #[test]
    fn strings_come_back_each_after_its_length() {
        let data = OutputData::Strings { bytes: b"aabbb", ends: &[2, 5] };
        let outputs = [Output { name: "y", datatype: Datatype::Bytes, shape: &[2], data }];
        let frame = encode_infer(&call(true), b"", &outputs, 1, &[]);
        assert_eq!(&frame[frame.len() - 9..], [6 << 3 | 2, 7, 3, 0, 0, 0, b'b', b'b', b'b']);
    }
}
