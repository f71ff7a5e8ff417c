//! Valid requests with a few bytes changed, dropped or doubled: nothing panics, and what is taken is as it should be.
//!
//! A short, seeded stand-in for the fuzz targets in `fuzz/`, which want a nightly compiler; same properties.

use argosy_front::frame::{framed, Encoding, Frames};
use argosy_front::gather::{gather, GatheredData};
use argosy_front::infer::parse_infer;
use argosy_front::proto::{put_bytes, put_varint};
use argosy_front::rows::Rows;
use argosy_front::tensors::{element_count, Datatype, Signature, TensorSignature};
use argosy_front::wire::read_envelope;
use bytes::Bytes;

const ROUNDS: u64 = 60_000;
const MAX_ROWS: u64 = 4096;
/// A repeated field of the requests that are made here.
const ROWS_FIELD: u32 = 5;

/// xorshift64*: <https://doi.org/10.1145/2845077>.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

fn request(datatype: Datatype, typed: bool) -> Vec<u8> {
    let (mut shape, mut contents, mut tensor, mut out) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    [2, 3].iter().for_each(|dimension| put_varint(&mut shape, *dimension));
    put_bytes(&mut contents, datatype.contents_field().unwrap_or(1), &[1; 6]);
    put_bytes(&mut tensor, 1, b"x");
    put_bytes(&mut tensor, 2, datatype.name().as_bytes());
    put_bytes(&mut tensor, 3, &shape);
    if typed {
        put_bytes(&mut tensor, 5, &contents);
    }
    put_bytes(&mut out, 1, b"m");
    put_bytes(&mut out, 3, b"id");
    put_bytes(&mut out, 5, &tensor);
    put_bytes(&mut out, 6, b"\x0a\x01y");
    if !typed {
        put_bytes(&mut out, 7, &vec![0; 6 * datatype.size().max(4)]);
    }
    out
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let place = random.below(bytes.len().max(1));
        match (random.below(4), bytes.is_empty()) {
            (_, true) => bytes.push(random.below(256) as u8),
            (0, _) => bytes[place] = random.below(256) as u8,
            (1, _) => bytes.truncate(place),
            (2, _) => bytes.insert(place, [0, 1, 0x7f, 0x80, 0xff][random.below(5)]),
            _ => drop(bytes.remove(place)),
        }
    }
}

/// What can be read can be cut into parts, which have all the rows between them.
fn check_parts(message: &Bytes) {
    let Ok(whole) = read_envelope(message, ROWS_FIELD, || "m".to_owned()) else { return };
    let found = Rows::find(message, ROWS_FIELD);
    let rows = whole.row_count as u64;
    for range in [0..rows / 2, rows / 2..rows] {
        let part_rows = (range.end - range.start) as usize;
        let part = found.as_ref().map(|found| found.only(range));
        assert_eq!(part.ok().and_then(|part| model_and_rows(&part)), Some((whole.model.to_owned(), part_rows)));
    }
}

fn model_and_rows(part: &[u8]) -> Option<(String, usize)> {
    let part = read_envelope(part, ROWS_FIELD, || "m".to_owned()).ok()?;
    Some((part.model.to_owned(), part.row_count))
}

#[test]
fn mutated_requests_are_refused_or_whole() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut taken = 0;
    for round in 0..ROUNDS {
        let datatype = Datatype::ALL[random.below(Datatype::ALL.len())];
        let mut message = request(datatype, round % 2 == 0);
        mutate(&mut message, &mut random);
        let message = Bytes::from(message);
        check_parts(&message);
        let tensor = |name: &str| TensorSignature { name: name.to_owned(), datatype, shape: vec![-1, -1] };
        let signature = Signature { inputs: vec![tensor("x")], outputs: vec![tensor("y")] };
        let Ok(call) = parse_infer(&message, &signature, MAX_ROWS) else { continue };
        let input = gather(&[&call], &signature).remove(0);
        let elements = match &input.data {
            GatheredData::Numbers(bytes) => bytes.len() / datatype.size(),
            GatheredData::Strings(strings) => strings.len(),
        };
        assert_eq!(element_count(&input.shape), elements as u128, "round {round}");
        taken += 1;
    }
    assert!(taken > ROUNDS / 100, "only {taken} were taken: the test reads nothing");
}

#[test]
fn mutated_frames_are_refused_or_within_the_limit() {
    const LIMIT: usize = 1000;
    let mut random = Random(42);
    for round in 0..ROUNDS {
        let mut bytes = [framed(&vec![7; random.below(300)]), framed(&vec![8; random.below(300)])].concat();
        mutate(&mut bytes, &mut random);
        let mut frames = Frames::new(LIMIT);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(1 + random.below(rest.len()));
            rest = after;
            frames.push(Bytes::copy_from_slice(chunk));
            while let Ok(Some(message)) = frames.message() {
                if let Ok(message) = message.unpack(Encoding::Gzip, LIMIT) {
                    assert!(message.len() <= LIMIT, "round {round}");
                }
            }
            if frames.message().is_err() {
                break;
            }
        }
    }
}
