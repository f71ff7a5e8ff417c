//! A ModelInfer request checked against its model's signature.
//!
//! Names, datatypes, shapes and lengths are compared before a single element is read, and sizes are multiplied so that
//! nothing overflows or is allocated for a shape. The order of the checks and their texts are those of
//! `services/runtime/tensors.py`, but for the number of rows, which is held against its bound before elements are kept.

use bytes::Bytes;

use crate::error::{empty_request, invalid_input, malformed, shown, ServingError};
use crate::infer_contents::{from_raw, wrong, Elements, MODEL_INFER_REQUEST};
use crate::infer_message::{read_infer, Choice, RawInfer, RawTensor, MAX_RANK};
use crate::infer_typed::from_contents;
use crate::tensors::{Signature, TensorSignature};

/// A request that is as the signature wants it.
#[derive(Debug)]
pub struct InferCall {
    /// Given back in the reply; UTF-8.
    pub id: Bytes,
    /// In the order of the signature.
    pub inputs: Vec<Elements>,
    /// The dimensions that the signature leaves open, after the rows, of all inputs in order: what two calls must share
    /// to run as one batch.
    pub open_dimensions: Vec<i64>,
    /// The first dimension of every input.
    pub rows: u64,
    /// Places in the signature's outputs, in the order asked for; None for all.
    pub requested: Option<Vec<usize>>,
    /// Whether contents came raw, and go back raw.
    pub raw: bool,
    /// What the parameter `priority` asks for, 0 for nothing.
    pub priority: u64,
}

impl InferCall {
    /// Take the first `rows` rows out of it, fewer than it has.
    pub fn split(&mut self, rows: u64) -> Self {
        let share = |length: usize| length / self.rows.max(1) as usize * rows as usize;
        let inputs = self.inputs.iter_mut().map(|elements| match elements {
            Elements::Numbers(bytes) => Elements::Numbers(bytes.split_to(share(bytes.len()))),
            Elements::Strings(strings) => Elements::Strings(strings.drain(..share(strings.len())).collect()),
        });
        let inputs = inputs.collect();
        self.rows -= rows;
        InferCall {
            id: self.id.clone(),
            inputs,
            open_dimensions: self.open_dimensions.clone(),
            rows,
            requested: self.requested.clone(),
            ..*self
        }
    }
}

/// Read and check a ModelInferRequest of at most `max_rows` rows.
pub fn parse_infer(message: &Bytes, signature: &Signature, max_rows: u64) -> Result<InferCall, ServingError> {
    let request = read_infer(message).map_err(|_| malformed(MODEL_INFER_REQUEST))?;
    let raw = !request.raw.is_empty();
    let places = places(&request, signature)?;
    if raw {
        check_raw(&request)?;
    }
    let mut inputs = Vec::with_capacity(places.len());
    let mut open_dimensions = Vec::new();
    for (expected, place) in signature.inputs.iter().zip(&places) {
        let tensor = &request.inputs[*place];
        check_shape(tensor, expected)?;
        open_dimensions.extend(open(tensor, expected));
        inputs.push(match request.raw.get(*place) {
            Some(bytes) if raw => from_raw(message, tensor, expected.datatype, bytes, max_rows)?,
            _ => from_contents(message, tensor, expected.datatype, max_rows)?,
        });
    }
    let requested = requested(&request, signature)?;
    check_empty_final_response(&request)?;
    let rows = row_count(&request, &places)?;
    let (id, priority) = (message.slice_ref(request.id.as_bytes()), priority(&request)?);
    Ok(InferCall { id, inputs, open_dimensions, rows, requested, raw, priority })
}

/// Where in the request each input of the signature stands.
fn places(request: &RawInfer, signature: &Signature) -> Result<Vec<usize>, ServingError> {
    const NONE: usize = usize::MAX;
    let mut places = vec![NONE; signature.inputs.len()];
    for (place, tensor) in request.inputs.iter().enumerate() {
        let Some(index) = signature.inputs.iter().position(|expected| expected.name == tensor.name) else {
            return Err(wrong(tensor.name, &format!("unknown; the model reads {}", listed(&signature.inputs))));
        };
        if places[index] != NONE {
            return Err(wrong(tensor.name, "given twice"));
        }
        places[index] = place;
    }
    match places.iter().position(|place| *place == NONE) {
        Some(index) => Err(wrong(&signature.inputs[index].name, "missing")),
        None => Ok(places),
    }
}

fn check_raw(request: &RawInfer) -> Result<(), ServingError> {
    let (needed, got) = (request.inputs.len(), request.raw.len());
    if got != needed {
        let text = format!("raw_input_contents: one an input is needed, {needed}, got {got}");
        return Err(invalid_input(text, "raw_input_contents"));
    }
    match request.inputs.iter().find(|tensor| tensor.has_contents) {
        Some(tensor) => Err(wrong(tensor.name, "has both raw and typed contents; send one of them")),
        None => Ok(()),
    }
}

fn check_shape(tensor: &RawTensor, expected: &TensorSignature) -> Result<(), ServingError> {
    if tensor.datatype != expected.datatype.name() {
        let got = if tensor.datatype.is_empty() { "none".to_owned() } else { shown(tensor.datatype) };
        return Err(wrong(tensor.name, &format!("datatype {} is needed, got {got}", expected.datatype.name())));
    }
    if tensor.shape.rank > MAX_RANK {
        return Err(wrong(tensor.name, &format!("at most {MAX_RANK} dimensions, got {}", tensor.shape.rank)));
    }
    let shape = tensor.shape.dimensions();
    let mut pairs = shape.iter().zip(&expected.shape).skip(1);
    let fits = shape.len() == expected.shape.len() && pairs.all(|(got, want)| *got > 0 && (*want == -1 || want == got));
    match shape.first() {
        Some(rows) if fits && *rows > 0 => Ok(()),
        Some(0) if fits => {
            let name = shown(tensor.name);
            Err(empty_request(&format!("input '{name}'")).at(format!("inputs.{name}")))
        }
        _ => {
            let text = format!("shape {:?} is needed (-1 is any but 0), got {shape:?}", expected.shape);
            Err(wrong(tensor.name, &text))
        }
    }
}

fn open<'a>(tensor: &'a RawTensor, expected: &'a TensorSignature) -> impl Iterator<Item = i64> + 'a {
    let pairs = tensor.shape.dimensions().iter().zip(&expected.shape).skip(1);
    pairs.filter(|(_, want)| **want == -1).map(|(got, _)| *got)
}

fn requested(request: &RawInfer, signature: &Signature) -> Result<Option<Vec<usize>>, ServingError> {
    let mut places: Vec<usize> = Vec::with_capacity(request.outputs.len().min(signature.outputs.len()));
    for name in &request.outputs {
        let Some(place) = signature.outputs.iter().position(|output| output.name == *name) else {
            let what = format!("unknown; the model answers {}", listed(&signature.outputs));
            return Err(wrong_output(name, &what));
        };
        if places.contains(&place) {
            return Err(wrong_output(name, "asked for twice"));
        }
        places.push(place);
    }
    Ok(Some(places).filter(|places| !places.is_empty()))
}

fn wrong_output(name: &str, what: &str) -> ServingError {
    let name = shown(name);
    invalid_input(format!("output '{name}': {what}"), format!("outputs.{name}"))
}

fn row_count(request: &RawInfer, places: &[usize]) -> Result<u64, ServingError> {
    let counts = || places.iter().map(|place| &request.inputs[*place]).map(|t| (t.name, t.shape.dimensions()[0]));
    let mut all = counts().map(|(_, rows)| rows);
    let first = all.next().unwrap_or(0);
    if all.any(|rows| rows != first) {
        let rows: Vec<String> = counts().map(|(name, rows)| format!("'{name}' {rows}")).collect();
        let text = "inputs: the first dimension counts rows and must be the same in all, got";
        return Err(invalid_input(format!("{text} {}", rows.join(", ")), "inputs"));
    }
    Ok(first.unsigned_abs())
}

fn priority(request: &RawInfer) -> Result<u64, ServingError> {
    match request.priority {
        None => Ok(0),
        Some(Choice::Whole(level)) => Ok(level),
        Some(_) => {
            let text = "parameters.priority: a whole number is needed, 1 for the first level or 0 for the model's own";
            Err(invalid_input(text.to_owned(), "parameters.priority"))
        }
    }
}

/// Every request has one answer here, which is its last: what is asked for is so already, and only has to be a bool.
fn check_empty_final_response(request: &RawInfer) -> Result<(), ServingError> {
    match request.empty_final_response {
        None | Some(Choice::Bool) => Ok(()),
        Some(_) => {
            let field = "parameters.triton_enable_empty_final_response";
            Err(invalid_input(format!("{field}: true or false is needed"), field))
        }
    }
}

fn listed(tensors: &[TensorSignature]) -> String {
    let names: Vec<String> = tensors.iter().take(8).map(|tensor| format!("'{}'", tensor.name)).collect();
    names.join(", ") + if tensors.len() > 8 { " …" } else { "" }
}
