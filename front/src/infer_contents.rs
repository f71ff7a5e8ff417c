//! The elements of one input, raw or typed, as little-endian bytes.
//!
//! Raw numbers, and typed ones that travel just as they lie in memory, stay slices of the message; the others are
//! written out once. A length is compared with the shape before a single element is kept.

use bytes::Bytes;

use crate::error::{invalid_input, malformed, shown, ServingError};
use crate::infer_message::RawTensor;
use crate::proto::{Malformed, Reader, Value};
use crate::tensors::{contents_field_name, element_count, Datatype};

/// The message that is read here, as errors name it.
pub const MODEL_INFER_REQUEST: &str = "inference.ModelInferRequest";

/// The elements of one input.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Elements {
    /// Numbers and booleans, little-endian, in row-major order.
    Numbers(Bytes),
    /// BYTES, in row-major order.
    Strings(Vec<Bytes>),
}

/// An error that names an input.
pub fn wrong(name: &str, what: &str) -> ServingError {
    let name = shown(name);
    invalid_input(format!("input '{name}': {what}"), format!("inputs.{name}"))
}

/// The elements of `tensor` from its element of `raw_input_contents`.
pub fn from_raw(message: &Bytes, tensor: &RawTensor, datatype: Datatype, raw: &[u8]) -> Result<Elements, ServingError> {
    if datatype == Datatype::Bytes {
        return strings_from_raw(message, tensor, raw).map(Elements::Strings);
    }
    let shape = tensor.shape.dimensions();
    let needed = element_count(shape).saturating_mul(datatype.size() as u128);
    if needed != raw.len() as u128 {
        let name = datatype.name();
        return Err(wrong(tensor.name, &format!("shape {shape:?} {name} needs {needed} bytes, got {}", raw.len())));
    }
    if datatype == Datatype::Bool && raw.iter().any(|byte| *byte > 1) {
        return Err(wrong(tensor.name, "a BOOL is the byte 0 or 1"));
    }
    Ok(Elements::Numbers(message.slice_ref(raw)))
}

fn strings_from_raw(message: &Bytes, tensor: &RawTensor, raw: &[u8]) -> Result<Vec<Bytes>, ServingError> {
    let shape = tensor.shape.dimensions();
    let needed = element_count(shape);
    let mut elements = Vec::new();
    let mut rest = raw;
    while !rest.is_empty() && elements.len() as u128 <= needed {
        let Some((element, after)) = split_string(rest) else {
            return Err(wrong(tensor.name, &format!("element {} is cut short", elements.len())));
        };
        elements.push(message.slice_ref(element));
        rest = after;
    }
    if elements.len() as u128 != needed || !rest.is_empty() {
        let got = elements.len();
        let got = if (got as u128) < needed { got.to_string() } else { "more".to_owned() };
        return Err(wrong(tensor.name, &format!("shape {shape:?} BYTES needs {needed} elements, got {got}")));
    }
    Ok(elements)
}

/// One element after its length, and what follows.
fn split_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

/// The elements of `tensor` from its own typed contents.
pub fn from_contents(message: &Bytes, tensor: &RawTensor, datatype: Datatype) -> Result<Elements, ServingError> {
    let Some(field) = datatype.contents_field() else {
        return Err(wrong(tensor.name, &format!("{} has no typed contents; send it raw", datatype.name())));
    };
    let fields = read_contents(tensor).map_err(|_| malformed(MODEL_INFER_REQUEST))?;
    check_fields(tensor, datatype, field, &fields)?;
    let count = count(&fields).map_err(|_| malformed(MODEL_INFER_REQUEST))?;
    let shape = tensor.shape.dimensions();
    let needed = element_count(shape);
    if count as u128 != needed {
        let name = datatype.name();
        return Err(wrong(tensor.name, &format!("shape {shape:?} {name} needs {needed} elements, got {count}")));
    }
    if datatype == Datatype::Bytes {
        let strings = fields.iter().filter_map(|(_, value)| if let Value::Bytes(b) = value { Some(*b) } else { None });
        return Ok(Elements::Strings(strings.map(|bytes| message.slice_ref(bytes)).collect()));
    }
    if let (Datatype::Fp32 | Datatype::Fp64, [(_, Value::Bytes(packed))]) = (datatype, fields.as_slice()) {
        return Ok(Elements::Numbers(message.slice_ref(packed)));
    }
    let mut out = Vec::with_capacity(count * datatype.size());
    for (_, value) in &fields {
        put_elements(&mut out, datatype, *value).map_err(|_| {
            let article = format!("an element is no {}", datatype.name());
            wrong(tensor.name, &article)
        })?;
    }
    Ok(Elements::Numbers(out.into()))
}

type Field<'a> = (u32, Value<'a>);

/// The fields that hold elements: packed fields without any are none.
fn read_contents<'a>(tensor: &RawTensor<'a>) -> Result<Vec<Field<'a>>, Malformed> {
    let mut fields = Vec::new();
    for contents in &tensor.contents {
        let mut reader = Reader::new(contents);
        while let Some((number, value)) = reader.field()? {
            if holds_elements(number, value) {
                fields.push((number, value));
            }
        }
    }
    Ok(fields)
}

/// Whether the field has this number and wire type in InferTensorContents: all others are unknown and passed over.
fn holds_elements(number: u32, value: Value) -> bool {
    match (number, value) {
        (8, Value::Bytes(_)) => true,
        (1..=7, Value::Bytes(packed)) => !packed.is_empty(),
        (1..=5, Value::Varint(_)) | (6, Value::Fixed32(_)) | (7, Value::Fixed64(_)) => true,
        _ => false,
    }
}

fn check_fields(tensor: &RawTensor, datatype: Datatype, field: u32, fields: &[Field]) -> Result<(), ServingError> {
    match fields.iter().map(|(number, _)| *number).filter(|number| *number != field).min() {
        None => Ok(()),
        Some(other) => {
            let (wanted, got) = (contents_field_name(field), contents_field_name(other));
            Err(wrong(tensor.name, &format!("{} belongs into {wanted}, got {got}", datatype.name())))
        }
    }
}

/// How many elements the fields have; as many as there are bytes that end one.
fn count(fields: &[Field]) -> Result<usize, Malformed> {
    let mut count = 0;
    for (number, value) in fields {
        count += match (number, value) {
            (1..=5, Value::Bytes(packed)) => {
                if packed.last().is_some_and(|byte| *byte >= 0x80) {
                    return Err(Malformed);
                }
                packed.iter().filter(|byte| **byte < 0x80).count()
            }
            (6, Value::Bytes(packed)) => whole(packed.len(), 4)?,
            (7, Value::Bytes(packed)) => whole(packed.len(), 8)?,
            _ => 1,
        };
    }
    Ok(count)
}

fn whole(length: usize, size: usize) -> Result<usize, Malformed> {
    if length % size == 0 {
        Ok(length / size)
    } else {
        Err(Malformed)
    }
}

fn put_elements(out: &mut Vec<u8>, datatype: Datatype, value: Value) -> Result<(), Malformed> {
    match value {
        Value::Varint(element) => put_element(out, datatype, element)?,
        Value::Fixed32(element) => out.extend_from_slice(&element),
        Value::Fixed64(element) => out.extend_from_slice(&element),
        Value::Bytes(packed) if matches!(datatype, Datatype::Fp32 | Datatype::Fp64) => out.extend_from_slice(packed),
        Value::Bytes(packed) => {
            let mut reader = Reader::new(packed);
            while !reader.is_empty() {
                put_element(out, datatype, reader.varint()?)?;
            }
        }
    }
    Ok(())
}

/// One varint as the datatype has it. As protobuf does it, 32-bit fields take the low half of what came.
fn put_element(out: &mut Vec<u8>, datatype: Datatype, element: u64) -> Result<(), Malformed> {
    fn put<const N: usize, E>(out: &mut Vec<u8>, bytes: Result<[u8; N], E>) -> Result<(), Malformed> {
        bytes.map(|bytes| out.extend_from_slice(&bytes)).map_err(|_| Malformed)
    }
    let (unsigned, signed) = (element as u32, element as i32);
    match datatype {
        Datatype::Bool => put(out, Ok::<_, Malformed>([u8::from(element != 0)])),
        Datatype::Uint8 => put(out, u8::try_from(unsigned).map(u8::to_le_bytes)),
        Datatype::Uint16 => put(out, u16::try_from(unsigned).map(u16::to_le_bytes)),
        Datatype::Int8 => put(out, i8::try_from(signed).map(i8::to_le_bytes)),
        Datatype::Int16 => put(out, i16::try_from(signed).map(i16::to_le_bytes)),
        Datatype::Uint32 | Datatype::Int32 => put(out, Ok::<_, Malformed>(unsigned.to_le_bytes())),
        Datatype::Uint64 | Datatype::Int64 => put(out, Ok::<_, Malformed>(element.to_le_bytes())),
        Datatype::Fp16 | Datatype::Fp32 | Datatype::Fp64 | Datatype::Bytes => Err(Malformed),
    }
}
