//! The elements of one input from its own typed contents.
//!
//! Those that travel just as they lie in memory stay a slice of the message; the others are written out once. The
//! contents are walked twice: counted, as `infer_contents` has it, and then kept.

use bytes::Bytes;

use crate::error::{malformed, ServingError};
use crate::infer_contents::{
    check_count, check_rows, wrong, Elements, MAX_STRINGS, MAX_TYPED_NUMBERS, MODEL_INFER_REQUEST,
};
use crate::infer_message::{RawTensor, CONTENTS};
use crate::proto::{Malformed, Reader, Value};
use crate::tensors::{contents_field_name, element_count, Datatype};

/// The elements of `tensor` from its own typed contents; of more than `max_rows` rows none.
pub fn from_contents(
    message: &Bytes,
    tensor: &RawTensor,
    datatype: Datatype,
    max_rows: u64,
) -> Result<Elements, ServingError> {
    let Some(field) = datatype.contents_field() else {
        return Err(wrong(tensor.name, &format!("{} has no typed contents; send it raw", datatype.name())));
    };
    let found = survey(tensor).map_err(|_| malformed(MODEL_INFER_REQUEST))?;
    check_field(tensor, datatype, field, &found)?;
    let (shape, count) = (tensor.shape.dimensions(), found.elements);
    let needed = element_count(shape);
    if count as u128 != needed {
        let name = datatype.name();
        return Err(wrong(tensor.name, &format!("shape {shape:?} {name} needs {needed} elements, got {count}")));
    }
    check_rows(tensor, max_rows)?;
    check_count(tensor, count, if datatype == Datatype::Bytes { MAX_STRINGS } else { MAX_TYPED_NUMBERS })?;
    match (datatype, found.packed) {
        (Datatype::Bytes, _) => Ok(Elements::Strings(strings_from_contents(message, tensor, count).into())),
        (Datatype::Fp32 | Datatype::Fp64, Some(packed)) => Ok(Elements::Numbers(message.slice_ref(packed))),
        _ => numbers_from_contents(tensor, datatype, count).map(Elements::Numbers),
    }
}

fn strings_from_contents(message: &Bytes, tensor: &RawTensor, count: usize) -> Vec<Bytes> {
    let mut strings = Vec::with_capacity(count);
    // Never an error: the survey walked them.
    let _ = each_field(tensor, |_, value| {
        if let Value::Bytes(bytes) = value {
            strings.push(message.slice_ref(bytes));
        }
        Ok(())
    });
    strings
}

fn numbers_from_contents(tensor: &RawTensor, datatype: Datatype, count: usize) -> Result<Bytes, ServingError> {
    let mut out = Vec::with_capacity(count * datatype.size());
    each_field(tensor, |_, value| put_elements(&mut out, datatype, value)).map_err(|_| {
        let article = format!("an element is no {}", datatype.name());
        wrong(tensor.name, &article)
    })?;
    Ok(out.into())
}

/// What typed contents hold.
#[derive(Default)]
struct Survey<'a> {
    elements: usize,
    fields: usize,
    /// The packed field, where no other came.
    packed: Option<&'a [u8]>,
    /// A bit for the number of each field that came.
    numbers: u32,
}

/// Count the elements; as many as there are bytes that end one.
fn survey<'a>(tensor: &RawTensor<'a>) -> Result<Survey<'a>, Malformed> {
    let mut found = Survey::default();
    each_field(tensor, |number, value| {
        found.elements += elements_in(number, value)?;
        found.fields += 1;
        found.packed = match value {
            Value::Bytes(packed) if found.fields == 1 => Some(packed),
            _ => None,
        };
        found.numbers |= 1 << number;
        Ok(())
    })?;
    Ok(found)
}

/// Look at the fields that hold elements: packed fields without any are none.
fn each_field<'a>(
    tensor: &RawTensor<'a>,
    mut look: impl FnMut(u32, Value<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut of_tensor = Reader::new(tensor.body);
    while let Some(field) = of_tensor.field()? {
        let (CONTENTS, Value::Bytes(contents)) = field else { continue };
        let mut reader = Reader::new(contents);
        while let Some((number, value)) = reader.field()? {
            if holds_elements(number, value) {
                look(number, value)?;
            }
        }
    }
    Ok(())
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

fn check_field(tensor: &RawTensor, datatype: Datatype, field: u32, found: &Survey) -> Result<(), ServingError> {
    match found.numbers & !(1 << field) {
        0 => Ok(()),
        others => {
            let (wanted, got) = (contents_field_name(field), contents_field_name(others.trailing_zeros()));
            Err(wrong(tensor.name, &format!("{} belongs into {wanted}, got {got}", datatype.name())))
        }
    }
}

fn elements_in(number: u32, value: Value) -> Result<usize, Malformed> {
    match (number, value) {
        (1..=5, Value::Bytes([.., 0x80..=0xff])) => Err(Malformed),
        (1..=5, Value::Bytes(packed)) => Ok(packed.iter().filter(|byte| **byte < 0x80).count()),
        (6, Value::Bytes(packed)) => whole(packed.len(), 4),
        (7, Value::Bytes(packed)) => whole(packed.len(), 8),
        _ => Ok(1),
    }
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
