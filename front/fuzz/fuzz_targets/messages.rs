//! A message of any method, read as an envelope and as ModelInferRequest: `cargo +nightly fuzz run messages`.
#![no_main]

use argosy_front::gather::gather;
use argosy_front::infer::parse_infer;
use argosy_front::rows::Rows;
use argosy_front::tensors::{Datatype, Signature, TensorSignature};
use argosy_front::wire::read_envelope;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

const MAX_ROWS: u64 = 4096;

fuzz_target!(|input: (Vec<u8>, u8)| {
    let (message, datatype) = (Bytes::from(input.0), Datatype::ALL[usize::from(input.1) % Datatype::ALL.len()]);
    if let Ok(whole) = read_envelope(&message, 3, || "m".to_owned()) {
        let part = Rows::find(&message, 3).ok().expect("a message that was read can be cut").only(0..1);
        let part = read_envelope(&part, 3, || "m".to_owned()).expect("a part of it can be read");
        assert_eq!(part.row_count, whole.row_count.min(1));
    }
    let tensor = |name: &str| TensorSignature { name: name.to_owned(), datatype, shape: vec![-1, -1] };
    let signature = Signature { inputs: vec![tensor("x")], outputs: vec![tensor("y")] };
    if let Ok(call) = parse_infer(&message, &signature, MAX_ROWS) {
        assert_eq!(gather(&[&call], &signature).len(), 1);
    }
});
