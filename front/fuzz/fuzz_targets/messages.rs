//! A message of any method, read as an envelope and as ModelInferRequest: `cargo +nightly fuzz run messages`.
#![no_main]

use argosy_front::gather::gather;
use argosy_front::infer::parse_infer;
use argosy_front::tensors::{Datatype, Signature, TensorSignature};
use argosy_front::wire::read_envelope;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, u8)| {
    let (message, datatype) = (Bytes::from(input.0), Datatype::ALL[usize::from(input.1) % Datatype::ALL.len()]);
    let _ = read_envelope(&message, 3, || "m".to_owned());
    let tensor = |name: &str| TensorSignature { name: name.to_owned(), datatype, shape: vec![-1, -1] };
    let signature = Signature { inputs: vec![tensor("x")], outputs: vec![tensor("y")] };
    if let Ok(call) = parse_infer(&message, &signature) {
        assert_eq!(gather(&[&call], &signature).len(), 1);
    }
});
