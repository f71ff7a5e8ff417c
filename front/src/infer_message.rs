//! A ModelInferRequest as it stands on the wire: fields found, nothing believed.
//!
//! Everything here is a slice of the message. Parameters are walked so that bytes that are no message are found; of
//! a request's own those that the front acts on are kept. Typed contents stay in their tensor's body: kept one by one,
//! those of a hostile message would take many times its bytes.

use crate::proto::{text, Malformed, Reader, Value};

/// Dimensions beyond this are counted and not kept.
pub const MAX_RANK: usize = 8;

/// InferInputTensor.contents.
pub const CONTENTS: u32 = 5;

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
    /// Whether [`CONTENTS`] came.
    pub has_contents: bool,
    /// The whole of it. A field that comes twice is merged, so its contents are all those in here.
    pub body: &'a [u8],
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
    /// The parameter of that name, if it came.
    pub priority: Option<Choice<'a>>,
    /// The parameter of that name, if it came.
    pub sequence_id: Option<Choice<'a>>,
    /// The parameter `triton_enable_empty_final_response`, if it came.
    pub empty_final_response: Option<Choice<'a>>,
}

/// The value of a parameter, as far as somebody asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice<'a> {
    /// bool_param.
    Bool,
    /// int64_param of 0 or more, or uint64_param.
    Whole(u64),
    /// string_param.
    Text(&'a str),
    /// Anything else.
    Other,
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
                match key {
                    "priority" => request.priority = Some(choice),
                    "sequence_id" => request.sequence_id = Some(choice),
                    "triton_enable_empty_final_response" => request.empty_final_response = Some(choice),
                    _ => {}
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
    let mut tensor = RawTensor { body: bytes, ..RawTensor::default() };
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
            (CONTENTS, Value::Bytes(_)) => tensor.has_contents = true,
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

/// An entry of map<string, InferParameter>: its key and its value.
fn read_parameter(bytes: &[u8]) -> Result<(&str, Choice<'_>), Malformed> {
    let (mut key, mut choice) = ("", Choice::Other);
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

fn read_choice(bytes: &[u8]) -> Result<Choice<'_>, Malformed> {
    let mut choice = Choice::Other;
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.field()? {
        choice = match (number, value) {
            (1, Value::Varint(_)) => Choice::Bool,
            // int64_param, where negative numbers have the highest bit.
            (2, Value::Varint(number)) => {
                i64::try_from(number).map_or(Choice::Other, |n| Choice::Whole(n.unsigned_abs()))
            }
            (5, Value::Varint(number)) => Choice::Whole(number),
            (3, Value::Bytes(string)) => Choice::Text(text(string)?),
            (1..=5, _) => Choice::Other,
            _ => choice,
        }
    }
    Ok(choice)
}
