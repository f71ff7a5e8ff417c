//! The elements of one input, and those of `raw_input_contents`.
//!
//! Numbers are little-endian; they stay slices of the message. Elements are counted first, and the count compared with
//! the shape, and the shape's rows with what the model takes, before a single one is kept: an element on the wire may
//! be far smaller than one in memory. Typed contents are `infer_typed`'s.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::error::{invalid_input, shown, too_many_rows, ServingError};
use crate::infer_message::RawTensor;
use crate::tensors::{element_count, Datatype};

/// The message that is read here, as errors name it.
pub const MODEL_INFER_REQUEST: &str = "inference.ModelInferRequest";

/// The elements of one input.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Elements {
    /// Numbers and booleans, little-endian, in row-major order.
    Numbers(Bytes),
    /// BYTES, in row-major order; a part of a request takes the first of them.
    Strings(VecDeque<Bytes>),
}

/// An error that names an input.
pub fn wrong(name: &str, what: &str) -> ServingError {
    let name = shown(name);
    invalid_input(format!("input '{name}': {what}"), format!("inputs.{name}"))
}

/// Elements of BYTES in one tensor: an empty one takes two bytes in a message, and some hundred once Python has it.
pub const MAX_STRINGS: usize = 1 << 20;

/// Numbers in typed contents of one tensor: a small one takes a byte in a message, and eight as an INT64.
pub const MAX_TYPED_NUMBERS: usize = 1 << 24;

/// The elements of `tensor` from its element of `raw_input_contents`; of more than `max_rows` rows none.
pub fn from_raw(
    message: &Bytes,
    tensor: &RawTensor,
    datatype: Datatype,
    raw: &[u8],
    max_rows: u64,
) -> Result<Elements, ServingError> {
    if datatype == Datatype::Bytes {
        return strings_from_raw(message, tensor, raw, max_rows).map(|strings| Elements::Strings(strings.into()));
    }
    let shape = tensor.shape.dimensions();
    let needed = element_count(shape).saturating_mul(datatype.size() as u128);
    if needed != raw.len() as u128 {
        let name = datatype.name();
        return Err(wrong(tensor.name, &format!("shape {shape:?} {name} needs {needed} bytes, got {}", raw.len())));
    }
    check_rows(tensor, max_rows)?;
    if datatype == Datatype::Bool && raw.iter().any(|byte| *byte > 1) {
        return Err(wrong(tensor.name, "a BOOL is the byte 0 or 1"));
    }
    Ok(Elements::Numbers(message.slice_ref(raw)))
}

fn strings_from_raw(
    message: &Bytes,
    tensor: &RawTensor,
    raw: &[u8],
    max_rows: u64,
) -> Result<Vec<Bytes>, ServingError> {
    let count = counted_strings(tensor, raw)?;
    check_rows(tensor, max_rows)?;
    check_count(tensor, count, MAX_STRINGS)?;
    let mut elements = Vec::with_capacity(count);
    let mut rest = raw;
    while let Some((element, after)) = split_string(rest) {
        elements.push(message.slice_ref(element));
        rest = after;
    }
    Ok(elements)
}

/// How many strings there are: as many as the shape says.
fn counted_strings(tensor: &RawTensor, raw: &[u8]) -> Result<usize, ServingError> {
    let shape = tensor.shape.dimensions();
    let needed = element_count(shape);
    let (mut count, mut rest) = (0, raw);
    while !rest.is_empty() && count as u128 <= needed {
        let Some((_, after)) = split_string(rest) else {
            return Err(wrong(tensor.name, &format!("element {count} is cut short")));
        };
        (count, rest) = (count + 1, after);
    }
    if count as u128 != needed {
        let got = if (count as u128) < needed { count.to_string() } else { "more".to_owned() };
        return Err(wrong(tensor.name, &format!("shape {shape:?} BYTES needs {needed} elements, got {got}")));
    }
    Ok(count)
}

/// Refuse a tensor of more rows than the model takes.
pub fn check_rows(tensor: &RawTensor, max_rows: u64) -> Result<(), ServingError> {
    match tensor.shape.dimensions().first() {
        Some(rows) if rows.unsigned_abs() > max_rows => Err(too_many_rows("inputs", max_rows, rows.unsigned_abs())),
        _ => Ok(()),
    }
}

/// Refuse elements that would take many times what they take in the message.
pub fn check_count(tensor: &RawTensor, count: usize, most: usize) -> Result<(), ServingError> {
    if count <= most {
        return Ok(());
    }
    Err(wrong(tensor.name, &format!("at most {most} elements that are not raw numbers, got {count}")))
}

/// One element after its length, and what follows.
fn split_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}
