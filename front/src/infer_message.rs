//! A ModelInferRequest as it stands on the wire: fields found, nothing believed.
//!
//! Everything here is a slice of the message. Parameters are walked so that bytes that are no message are found; of
//! them all only `priority` is kept.

use crate::proto::{text, Malformed, Reader, Value};

/// Dimensions beyond this are counted and not kept.
pub const MAX_RANK: usize = 8;

/// The dimensions of one tensor.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape {
    kept: [i64; MAX_RANK],
    /// How many came.
    pub rank: usize,
}

impl Shape {
    /// What was kept: all, unless there are more than [`MAX_RANK`].
    pub fn dimensions(&self) -> &[i64] {
        &self.kept[..self.rank.min(MAX_RANK)]
    }

    fn push(&mut self, dimension: u64) {
        if let Some(place) = self.kept.get_mut(self.rank) {
            *place = dimension as i64;
        }
        self.rank += 1;
    }
}

/// One element of `inputs`.
#[derive(Debug, Default)]
pub struct RawTensor<'a> {
    /// Its name.
    pub name: &'a str,
    /// The protocol's word for its elements.
    pub datatype: &'a str,
    /// With the rows' dimension.
    pub shape: Shape,
    /// Each InferTensorContents that came: a field that comes twice is merged.
    pub contents: Vec<&'a [u8]>,
}

/// The fields of a ModelInferRequest but model and version, which are the envelope's.
#[derive(Debug, Default)]
pub struct RawInfer<'a> {
    /// Given back in the reply.
    pub id: &'a str,
    /// In the order in which they came.
    pub inputs: Vec<RawTensor<'a>>,
    /// The names of the outputs that are asked for.
    pub outputs: Vec<&'a str>,
    /// `raw_input_contents`.
    pub raw: Vec<&'a [u8]>,
    /// The parameter of that name, if it came; None within where it is no whole number of 0 or more.
    pub priority: Option<Option<u64>>,
}

/// Find the fields of a ModelInferRequest.
pub fn read_infer(message: &[u8]) -> Result<RawInfer<'_>, Malformed> {
    let mut request = RawInfer::default();
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match (number, value) {
            (3, Value::Bytes(bytes)) => request.id = text(bytes)?,
            (4, Value::Bytes(bytes)) => {
                let (key, choice) = read_parameter(bytes)?;
                if key == "priority" {
                    request.priority = Some(choice);
                }
            }
            (5, Value::Bytes(bytes)) => request.inputs.push(read_tensor(bytes)?),
            (6, Value::Bytes(bytes)) => request.outputs.push(read_output(bytes)?),
            (7, Value::Bytes(bytes)) => request.raw.push(bytes),
            _ => {}
        }
    }
    Ok(request)
}

fn read_tensor(bytes: &[u8]) -> Result<RawTensor<'_>, Malformed> {
    let mut tensor = RawTensor::default();
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.field()? {
        match (number, value) {
            (1, Value::Bytes(bytes)) => tensor.name = text(bytes)?,
            (2, Value::Bytes(bytes)) => tensor.datatype = text(bytes)?,
            (3, Value::Bytes(packed)) => {
                let mut packed = Reader::new(packed);
                while !packed.is_empty() {
                    tensor.shape.push(packed.varint()?);
                }
            }
            (3, Value::Varint(dimension)) => tensor.shape.push(dimension),
            (4, Value::Bytes(bytes)) => drop(read_parameter(bytes)?),
            (5, Value::Bytes(bytes)) => tensor.contents.push(bytes),
            _ => {}
        }
    }
    Ok(tensor)
}

fn read_output(bytes: &[u8]) -> Result<&str, Malformed> {
    let mut name = "";
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.field()? {
        match (number, value) {
            (1, Value::Bytes(bytes)) => name = text(bytes)?,
            (2, Value::Bytes(bytes)) => drop(read_parameter(bytes)?),
            _ => {}
        }
    }
    Ok(name)
}

/// An entry of map<string, InferParameter>: its key, and its value where that is a whole number of 0 or more.
fn read_parameter(bytes: &[u8]) -> Result<(&str, Option<u64>), Malformed> {
    let (mut key, mut choice) = ("", None);
    let mut entry = Reader::new(bytes);
    while let Some((number, value)) = entry.field()? {
        match (number, value) {
            (1, Value::Bytes(bytes)) => key = text(bytes)?,
            (2, Value::Bytes(parameter)) => choice = read_choice(parameter)?,
            _ => {}
        }
    }
    Ok((key, choice))
}

fn read_choice(bytes: &[u8]) -> Result<Option<u64>, Malformed> {
    let mut choice = None;
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.field()? {
        choice = match (number, value) {
            // int64_param, where negative numbers have the highest bit, and uint64_param.
            (2, Value::Varint(number)) => i64::try_from(number).ok().map(i64::unsigned_abs),
            (5, Value::Varint(number)) => Some(number),
            (3, Value::Bytes(string)) => text(string).map(|_| None)?,
            (1..=5, _) => None,
            _ => choice,
        }
    }
    Ok(choice)
}
