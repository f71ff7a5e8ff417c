//! Requests written field by field, as a caller who means no good would.

use bytes::Bytes;

use crate::error::ServingError;
use crate::infer::{parse_infer, InferCall};
use crate::infer_contents::Elements;
use crate::proto::{put_bytes, put_number, put_varint};
use crate::tensors::{Datatype, Signature, TensorSignature};

fn signature(datatype: Datatype, shape: &[i64]) -> Signature {
    let tensor = |name: &str| TensorSignature { name: name.into(), datatype, shape: shape.to_vec() };
    Signature { inputs: vec![tensor("x")], outputs: vec![tensor("y"), tensor("z")] }
}

fn tensor(name: &str, datatype: &str, shape: &[i64], contents: Option<&[u8]>) -> Vec<u8> {
    let mut packed = Vec::new();
    shape.iter().for_each(|dimension| put_varint(&mut packed, *dimension as u64));
    let mut out = Vec::new();
    put_bytes(&mut out, 1, name.as_bytes());
    put_bytes(&mut out, 2, datatype.as_bytes());
    put_bytes(&mut out, 3, &packed);
    if let Some(contents) = contents {
        put_bytes(&mut out, 5, contents);
    }
    out
}

fn request(tensors: &[Vec<u8>], raw: &[&[u8]]) -> Bytes {
    let mut out = Vec::new();
    put_bytes(&mut out, 1, b"m");
    put_bytes(&mut out, 3, b"id-1");
    tensors.iter().for_each(|tensor| put_bytes(&mut out, 5, tensor));
    raw.iter().for_each(|raw| put_bytes(&mut out, 7, raw));
    out.into()
}

fn parse(message: &Bytes, signature: &Signature) -> Result<InferCall, ServingError> {
    parse_infer(message, signature, 4096)
}

fn complaint(message: &Bytes, signature: &Signature) -> String {
    parse(message, signature).unwrap_err().message
}

fn numbers(call: &InferCall) -> &[u8] {
    match &call.inputs[0] {
        Elements::Numbers(bytes) => bytes,
        Elements::Strings(_) => panic!("strings"),
    }
}

#[test]
fn raw_numbers_stay_where_they_are_in_the_message() {
    let message = request(&[tensor("x", "FP32", &[2, 1], None)], &[&[1; 8]]);
    let call = parse(&message, &signature(Datatype::Fp32, &[-1, 1])).unwrap();
    assert_eq!((call.rows, call.raw, &*call.id), (2, true, &b"id-1"[..]));
    assert_eq!(numbers(&call).as_ptr(), message[message.len() - 8..].as_ptr());
}

#[test]
fn a_length_that_does_not_fit_the_shape_is_told_with_both() {
    let message = request(&[tensor("x", "FP32", &[2, 3], None)], &[&[0; 20]]);
    let text = "input 'x': shape [2, 3] FP32 needs 24 bytes, got 20";
    assert_eq!(complaint(&message, &signature(Datatype::Fp32, &[-1, 3])), text);
}

#[test]
fn no_shape_is_believed() {
    let signature = signature(Datatype::Fp32, &[-1, -1]);
    for shape in [&[1 << 32, 1 << 32][..], &[i64::MAX, i64::MAX], &[1, -1], &[-1, 1], &[1, 1, 1], &[1; 9], &[], &[0, 1]]
    {
        assert!(parse(&request(&[tensor("x", "FP32", shape, None)], &[&[0; 4]]), &signature).is_err());
    }
}

#[test]
fn names_must_be_those_of_the_signature_once_each() {
    let signature = signature(Datatype::Fp32, &[-1, 1]);
    let (x, z) = (tensor("x", "FP32", &[1, 1], None), tensor("z", "FP32", &[1, 1], None));
    assert_eq!(complaint(&request(&[], &[]), &signature), "input 'x': missing");
    assert_eq!(complaint(&request(&[z], &[&[0; 4]]), &signature), "input 'z': unknown; the model reads 'x'");
    assert_eq!(complaint(&request(&[x.clone(), x], &[&[0; 4], &[0; 4]]), &signature), "input 'x': given twice");
}

#[test]
fn typed_contents_become_little_endian_elements() {
    let mut packed = Vec::new();
    [1u64, 200, u64::MAX].iter().for_each(|element| put_varint(&mut packed, *element));
    let mut contents = Vec::new();
    put_bytes(&mut contents, 2, &packed);
    put_number(&mut contents, 2, 7);
    let message = request(&[tensor("x", "INT16", &[4], Some(&contents))], &[]);
    let call = parse(&message, &signature(Datatype::Int16, &[-1])).unwrap();
    assert_eq!(numbers(&call), [1, 0, 200, 0, 255, 255, 7, 0]);
    let text = "input 'x': an element is no INT8";
    let message = request(&[tensor("x", "INT8", &[4], Some(&contents))], &[]);
    assert_eq!(complaint(&message, &signature(Datatype::Int8, &[-1])), text);
}

#[test]
fn typed_contents_of_another_field_are_refused() {
    let mut contents = Vec::new();
    put_bytes(&mut contents, 7, &[0; 8]);
    let message = request(&[tensor("x", "FP32", &[1], Some(&contents))], &[]);
    let text = "input 'x': FP32 belongs into fp32_contents, got fp64_contents";
    assert_eq!(complaint(&message, &signature(Datatype::Fp32, &[-1])), text);
}

#[test]
fn strings_are_cut_at_their_lengths() {
    let signature = signature(Datatype::Bytes, &[-1]);
    let x = || [tensor("x", "BYTES", &[2], None)];
    let call = parse(&request(&x(), &[b"\x01\0\0\0a\0\0\0\0"]), &signature).unwrap();
    assert_eq!(call.inputs[0], Elements::Strings([Bytes::from_static(b"a"), Bytes::new()].into()));
    assert_eq!(complaint(&request(&x(), &[b"\x05\0\0\0a"]), &signature), "input 'x': element 0 is cut short");
    let text = "input 'x': shape [2] BYTES needs 2 elements, got 1";
    assert_eq!(complaint(&request(&x(), &[b"\x01\0\0\0a"]), &signature), text);
}

#[test]
fn a_cut_message_is_never_taken_and_never_panics() {
    let signature = signature(Datatype::Fp32, &[-1, 1]);
    let message = request(&[tensor("x", "FP32", &[2, 1], None)], &[&[1; 8]]);
    for end in 0..message.len() {
        assert!(parse(&message.slice(..end), &signature).is_err(), "{end}");
    }
}

#[test]
fn a_call_that_is_split_has_the_first_rows_and_leaves_the_rest() {
    let message = request(&[tensor("x", "FP32", &[3, 1], None)], &[b"aaaabbbbcccc"]);
    let mut call = parse(&message, &signature(Datatype::Fp32, &[-1, 1])).unwrap();
    let first = call.split(2);
    assert_eq!((first.rows, numbers(&first), &*first.id), (2, &b"aaaabbbb"[..], &b"id-1"[..]));
    assert_eq!((call.rows, numbers(&call)), (1, &b"cccc"[..]));
}

#[test]
fn a_priority_is_a_whole_number_signed_or_not() {
    for (choice, priority) in [(&b"\x10\x02"[..], 2), (b"\x28\x03", 3)] {
        assert_eq!(with_priority(choice).map(|call| call.priority), Ok(priority));
    }
    for choice in [&b"\x08\x01"[..], b"\x1a\x011", b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b""] {
        assert_eq!(with_priority(choice).unwrap_err().field, "parameters.priority");
    }
}

fn with_priority(choice: &[u8]) -> Result<InferCall, ServingError> {
    let mut parameter = Vec::new();
    put_bytes(&mut parameter, 1, b"priority");
    put_bytes(&mut parameter, 2, choice);
    let mut message = request(&[tensor("x", "FP32", &[1, 1], None)], &[&[0; 4]]).to_vec();
    put_bytes(&mut message, 4, &parameter);
    parse(&message.into(), &signature(Datatype::Fp32, &[-1, 1]))
}
