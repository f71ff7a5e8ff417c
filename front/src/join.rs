//! ModelInferResponses to the parts of one request as the one to all of it.
//!
//! They differ in nothing but rows and what is remarked of them: every tensor keeps its name and datatype, its first
//! dimension is the sum of the parts', and its elements, raw or typed, stand one part behind the other; the whole has the
//! parameters that any part has.

use std::collections::HashSet;

use crate::proto::{put_bytes, put_varint, Malformed, Reader, Value};

/// ModelInferResponse.parameters, of which each entry is a field of its own.
const PARAMETERS: u32 = 4;

/// One response, cut into what is joined and what is not.
#[derive(Default)]
struct Response<'a> {
    head: Vec<(u32, &'a [u8])>,
    tensors: Vec<Tensor<'a>>,
    raw: Vec<&'a [u8]>,
}

#[derive(Default)]
struct Tensor<'a> {
    name: &'a [u8],
    datatype: &'a [u8],
    shape: Vec<u64>,
    contents: Option<&'a [u8]>,
}

/// The response to all rows. Malformed where the parts do not go together.
pub fn join_infer(parts: &[&[u8]]) -> Result<Vec<u8>, Malformed> {
    let parts = parts.iter().map(|part| read(part)).collect::<Result<Vec<_>, _>>()?;
    let first = parts.first().ok_or(Malformed)?;
    let mut out = Vec::new();
    head(&parts).iter().for_each(|(number, bytes)| put_bytes(&mut out, *number, bytes));
    for index in 0..first.tensors.len() {
        let tensors = parts.iter().map(|part| part.tensors.get(index).ok_or(Malformed));
        put_bytes(&mut out, 5, &joined(&tensors.collect::<Result<Vec<_>, _>>()?)?);
    }
    for index in 0..first.raw.len() {
        let raw = parts.iter().map(|part| part.raw.get(index).copied().ok_or(Malformed));
        put_bytes(&mut out, 6, &raw.collect::<Result<Vec<_>, _>>()?.concat());
    }
    Ok(out)
}

/// The first part's, and what the others' parameters have beyond it.
fn head<'a>(parts: &[Response<'a>]) -> Vec<(u32, &'a [u8])> {
    let (mut head, mut known) = (Vec::new(), HashSet::new());
    for (index, part) in parts.iter().enumerate() {
        for field in part.head.iter().filter(|field| index == 0 || field.0 == PARAMETERS) {
            if known.insert(*field) {
                head.push(*field);
            }
        }
    }
    head
}

fn joined(parts: &[&Tensor]) -> Result<Vec<u8>, Malformed> {
    let first = parts.first().ok_or(Malformed)?;
    let trailing = first.shape.get(1..).ok_or(Malformed)?;
    if parts.iter().any(|part| part.shape.get(1..) != Some(trailing)) {
        return Err(Malformed);
    }
    let rows = parts.iter().filter_map(|part| part.shape.first()).sum();
    let mut shape = Vec::new();
    put_varint(&mut shape, rows);
    trailing.iter().for_each(|dimension| put_varint(&mut shape, *dimension));
    let mut out = Vec::new();
    put_bytes(&mut out, 1, first.name);
    put_bytes(&mut out, 2, first.datatype);
    put_bytes(&mut out, 3, &shape);
    if first.contents.is_some() {
        // Elements that stand in several messages of one field are joined by whoever reads them.
        let contents: Vec<&[u8]> = parts.iter().filter_map(|part| part.contents).collect();
        put_bytes(&mut out, 5, &contents.concat());
    }
    Ok(out)
}

fn read(message: &[u8]) -> Result<Response<'_>, Malformed> {
    let mut response = Response::default();
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match (number, value) {
            (5, Value::Bytes(bytes)) => response.tensors.push(read_tensor(bytes)?),
            (6, Value::Bytes(bytes)) => response.raw.push(bytes),
            (_, Value::Bytes(bytes)) => response.head.push((number, bytes)),
            _ => return Err(Malformed),
        }
    }
    Ok(response)
}

fn read_tensor(bytes: &[u8]) -> Result<Tensor<'_>, Malformed> {
    let mut tensor = Tensor::default();
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.field()? {
        match (number, value) {
            (1, Value::Bytes(bytes)) => tensor.name = bytes,
            (2, Value::Bytes(bytes)) => tensor.datatype = bytes,
            (3, Value::Bytes(packed)) => {
                let mut packed = Reader::new(packed);
                while !packed.is_empty() {
                    tensor.shape.push(packed.varint()?);
                }
            }
            (5, Value::Bytes(bytes)) => tensor.contents = Some(bytes),
            _ => return Err(Malformed),
        }
    }
    Ok(tensor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::HEAD;
    use crate::infer::InferCall;
    use crate::infer_reply::{encode_head, encode_infer, Output, OutputData};
    use crate::tensors::Datatype;
    use bytes::Bytes;

    fn response(rows: u64, raw: bool, shape: &[i64], data: &[u8]) -> Vec<u8> {
        remarked(rows, raw, shape, data, &[])
    }

    fn remarked(rows: u64, raw: bool, shape: &[i64], data: &[u8], remarks: &[&str]) -> Vec<u8> {
        let call = InferCall {
            id: Bytes::from_static(b"id"),
            inputs: vec![],
            open_dimensions: vec![],
            rows,
            requested: None,
            raw,
            priority: 0,
        };
        let outputs = [
            Output { name: "y", datatype: Datatype::Int16, shape, data: OutputData::Numbers(data) },
            Output { name: "z", datatype: Datatype::Int16, shape, data: OutputData::Numbers(data) },
        ];
        let remarks: Vec<String> = remarks.iter().map(|remark| remark.to_string()).collect();
        encode_infer(&call, &encode_head("m", "1"), &outputs, 0, &remarks)[HEAD..].to_vec()
    }

    #[test]
    fn two_raw_parts_are_the_answer_to_all_their_rows() {
        let (first, second) = (response(2, true, &[2, 1], &[1, 0, 2, 0]), response(1, true, &[1, 1], &[3, 0]));
        let whole = response(3, true, &[3, 1], &[1, 0, 2, 0, 3, 0]);
        assert_eq!(join_infer(&[&first, &second]), Ok(whole));
    }

    #[test]
    fn the_whole_has_what_is_remarked_of_any_part_once() {
        let first = remarked(1, true, &[1, 1], &[1, 0], &["a", "b"]);
        let second = remarked(1, true, &[1, 1], &[2, 0], &["b", "c"]);
        let whole = remarked(2, true, &[2, 1], &[1, 0, 2, 0], &["a", "b", "c"]);
        assert_eq!(join_infer(&[&first, &second]), Ok(whole));
    }

    #[test]
    fn typed_contents_stand_one_part_behind_the_other() {
        let (first, second) = (response(2, false, &[2, 1], &[1, 0, 2, 0]), response(1, false, &[1, 1], &[3, 0]));
        let whole = join_infer(&[&first, &second]).unwrap();
        let tensor = &read(&whole).unwrap().tensors[1];
        // Two packed fields of the same number, which protobuf reads as one.
        assert_eq!((tensor.contents, &*tensor.shape), (Some(&[18, 2, 1, 2, 18, 1, 3][..]), &[3, 1][..]));
    }

    #[test]
    fn parts_of_different_trailing_shapes_do_not_go_together() {
        let (first, second) = (response(1, true, &[1, 1], &[1, 0]), response(1, true, &[1, 2], &[1, 0, 2, 0]));
        assert_eq!(join_infer(&[&first, &second]), Err(Malformed));
    }
}
