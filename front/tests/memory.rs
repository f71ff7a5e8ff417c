//! What a message of very many very small elements may cost: about its own bytes, however many there are.
#![cfg(target_os = "linux")] // by /proc

mod peak;

use argosy_front::infer::parse_infer;
use argosy_front::proto::put_bytes;
use argosy_front::tensors::{Datatype, Signature, TensorSignature};
use bytes::Bytes;
use peak::peak_bytes;

const MESSAGE_BYTES: usize = 4 << 20;

/// A request whose `x` of that shape has `body` in its tensor, and `raw`.
fn request(datatype: Datatype, shape: &[u8], body: &[u8], raw: Option<&[u8]>) -> Bytes {
    let (mut tensor, mut out) = (body.to_vec(), Vec::new());
    put_bytes(&mut tensor, 1, b"x");
    put_bytes(&mut tensor, 2, datatype.name().as_bytes());
    put_bytes(&mut tensor, 3, shape);
    put_bytes(&mut out, 5, &tensor);
    if let Some(raw) = raw {
        put_bytes(&mut out, 7, raw);
    }
    out.into()
}

fn contents(elements: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, 5, elements);
    out
}

fn tiny(element: &[u8]) -> Vec<u8> {
    element.repeat(MESSAGE_BYTES / element.len())
}

#[test]
fn tiny_elements_beyond_the_shape_or_the_rows_are_refused_before_they_are_kept() {
    const ALL_OF_TWO: &[u8] = b"\x80\x80\x80\x01"; // 2 Mi, as many as there are
    const ALL_OF_FOUR: &[u8] = b"\x80\x80\x40";
    let messages = [
        (Datatype::Int32, request(Datatype::Int32, b"\x01", &contents(&tiny(b"\x10\x01")), None)),
        (Datatype::Int64, request(Datatype::Int64, ALL_OF_TWO, &contents(&tiny(b"\x18\x01")), None)),
        (Datatype::Bytes, request(Datatype::Bytes, ALL_OF_TWO, &contents(&tiny(b"\x42\x00")), None)),
        (Datatype::Int32, request(Datatype::Int32, b"\x01", &tiny(b"\x2a\x00"), None)),
        (Datatype::Bytes, request(Datatype::Bytes, b"\x01", b"", Some(&tiny(&[0; 4])))),
        (Datatype::Bytes, request(Datatype::Bytes, ALL_OF_FOUR, b"", Some(&tiny(&[0; 4])))),
    ];
    for (case, (datatype, message)) in messages.iter().enumerate() {
        let input = TensorSignature { name: "x".to_owned(), datatype: *datatype, shape: vec![-1] };
        let signature = Signature { inputs: vec![input], outputs: vec![] };
        let before = peak_bytes().unwrap();
        let error = parse_infer(message, &signature, 4096).unwrap_err();
        let grown = peak_bytes().unwrap() - before;
        assert!(grown < MESSAGE_BYTES / 2, "case {case}: {grown} bytes for '{}'", error.message);
    }
}
