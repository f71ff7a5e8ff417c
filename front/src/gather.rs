//! The rows of all requests of a batch, in order, as one contiguous buffer an input.

use bytes::Bytes;

use crate::infer::InferCall;
use crate::infer_contents::Elements;
use crate::tensors::Signature;

/// One input of a batch.
pub struct Gathered {
    /// With the batch's rows first.
    pub shape: Vec<i64>,
    /// Its elements.
    pub data: GatheredData,
}

/// The elements of a gathered input.
pub enum GatheredData {
    /// Little-endian, row-major, contiguous.
    Numbers(Vec<u8>),
    /// Row-major.
    Strings(Vec<Bytes>),
}

/// Every input of the signature, with the rows of `calls`, which share their open dimensions.
pub fn gather(calls: &[&InferCall], signature: &Signature) -> Vec<Gathered> {
    let rows: u64 = calls.iter().map(|call| call.rows).sum();
    let mut open = calls.first().map_or(&[][..], |call| &call.open_dimensions).iter();
    let mut inputs = Vec::with_capacity(signature.inputs.len());
    for (index, expected) in signature.inputs.iter().enumerate() {
        let mut shape = vec![rows as i64];
        for dimension in expected.shape.iter().skip(1) {
            shape.push(if *dimension == -1 { open.next().copied().unwrap_or(0) } else { *dimension });
        }
        inputs.push(Gathered { shape, data: joined(calls, index) });
    }
    inputs
}

fn joined(calls: &[&InferCall], index: usize) -> GatheredData {
    let parts = || calls.iter().filter_map(|call| call.inputs.get(index));
    if let Some(Elements::Strings(_)) = parts().next() {
        let strings =
            parts().filter_map(|part| if let Elements::Strings(strings) = part { Some(strings) } else { None });
        return GatheredData::Strings(strings.flatten().cloned().collect());
    }
    let numbers = || parts().filter_map(|part| if let Elements::Numbers(bytes) = part { Some(bytes) } else { None });
    let mut out = Vec::with_capacity(numbers().map(Bytes::len).sum());
    numbers().for_each(|bytes| out.extend_from_slice(bytes));
    GatheredData::Numbers(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensors::{Datatype, TensorSignature};

    #[test]
    fn rows_stand_in_the_order_of_the_requests() {
        let call = |rows, bytes: &'static [u8]| InferCall {
            id: Bytes::new(),
            inputs: vec![Elements::Numbers(Bytes::from_static(bytes))],
            open_dimensions: vec![2],
            rows,
            requested: None,
            raw: true,
            priority: 0,
        };
        let tensor = TensorSignature { name: "x".into(), datatype: Datatype::Uint8, shape: vec![-1, -1] };
        let signature = Signature { inputs: vec![tensor], outputs: vec![] };
        let gathered = gather(&[&call(1, b"ab"), &call(2, b"cdef")], &signature);
        assert_eq!(gathered[0].shape, [3, 2]);
        assert!(matches!(&gathered[0].data, GatheredData::Numbers(bytes) if bytes == b"abcdef"));
    }
}
