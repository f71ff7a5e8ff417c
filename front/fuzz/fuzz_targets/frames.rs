//! Bytes of a stream, cut anywhere, packed or not: `cargo +nightly fuzz run frames`.
#![no_main]

use argosy_front::frame::{Encoding, Frames};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 1 << 16;

fuzz_target!(|input: (Vec<Vec<u8>>, bool)| {
    let (chunks, gzip) = input;
    let encoding = if gzip { Encoding::Gzip } else { Encoding::Deflate };
    let mut frames = Frames::new(LIMIT);
    for chunk in chunks {
        frames.push(Bytes::from(chunk));
        loop {
            match frames.message() {
                Ok(Some(message)) => {
                    if let Ok(message) = message.unpack(encoding, LIMIT) {
                        assert!(message.len() <= LIMIT);
                    }
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
});
