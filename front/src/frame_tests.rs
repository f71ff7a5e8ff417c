//! Bytes cut in every way, and packed ones that are not what they say.

use std::io::Write;

use bytes::Bytes;

use crate::error::Cause;
use crate::frame::{framed, Encoding, Framed, Frames};

fn cut(bytes: &[u8], chunk: usize) -> Vec<Framed> {
    let mut frames = Frames::new(1 << 20);
    let mut out = Vec::new();
    for chunk in bytes.chunks(chunk) {
        frames.push(Bytes::copy_from_slice(chunk));
        while let Some(message) = frames.message().unwrap() {
            out.push(message);
        }
    }
    assert!(frames.is_empty());
    out
}

#[test]
fn messages_are_the_same_however_the_bytes_are_cut() {
    let bytes = [framed(b"first"), framed(b""), framed(&[7; 300])].concat();
    let whole = cut(&bytes, bytes.len());
    assert_eq!(whole.iter().map(|m| m.bytes.len()).collect::<Vec<_>>(), [5, 0, 300]);
    for chunk in 1..bytes.len() {
        assert_eq!(cut(&bytes, chunk), whole);
    }
}

#[test]
fn a_message_over_the_limit_is_refused_by_its_head_alone() {
    let mut frames = Frames::new(10);
    frames.push(Bytes::from_static(&[0, 0, 0, 0, 11]));
    assert_eq!(frames.message().unwrap_err().reason, "MESSAGE_TOO_LARGE");
}

#[test]
fn a_flag_that_is_neither_0_nor_1_is_malformed() {
    let mut frames = Frames::new(10);
    frames.push(Bytes::from_static(&[2, 0, 0, 0, 0]));
    assert_eq!(frames.message().unwrap_err().reason, "MALFORMED_MESSAGE");
}

#[test]
fn a_gzip_bomb_stops_at_the_limit() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&vec![0; 10 << 20]).unwrap();
    let bomb = Framed { packed: true, bytes: gzip.finish().unwrap().into() };
    let error = bomb.unpack(Encoding::Gzip, 1 << 20).unwrap_err();
    assert_eq!((error.cause, &*error.reason), (Cause::Exhausted, "MESSAGE_TOO_LARGE"));
    assert_eq!(bomb.unpack(Encoding::Gzip, 10 << 20).unwrap().len(), 10 << 20);
}

#[test]
fn what_stands_behind_a_packed_message_is_no_part_of_one() {
    let packed = |parts: &[&[u8]]| {
        let mut bytes = Vec::new();
        for part in parts {
            let mut gzip = flate2::write::GzEncoder::new(bytes, flate2::Compression::fast());
            gzip.write_all(part).unwrap();
            bytes = gzip.finish().unwrap();
        }
        bytes
    };
    let unpacked = |bytes: Vec<u8>| Framed { packed: true, bytes: bytes.into() }.unpack(Encoding::Gzip, 99);
    assert_eq!(unpacked(packed(&[b"one"])).unwrap(), &b"one"[..]);
    for wrong in [packed(&[b"one", b"two"]), [packed(&[b"one"]), b"junk".to_vec()].concat()] {
        assert_eq!(unpacked(wrong).unwrap_err().reason, "MALFORMED_MESSAGE");
    }
}

#[test]
fn packed_bytes_without_a_known_encoding_are_unimplemented() {
    let packed = Framed { packed: true, bytes: Bytes::from_static(b"x") };
    assert_eq!(packed.unpack(Encoding::Identity, 9).unwrap_err().cause, Cause::Unimplemented);
    assert_eq!(packed.unpack(Encoding::Gzip, 9).unwrap_err().cause, Cause::InvalidInput);
}
