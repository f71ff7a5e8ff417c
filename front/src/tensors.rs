//! What a model reads and answers, as the Open Inference Protocol spells it.

/// The elements of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names are the protocol's own
pub enum Datatype {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp16,
    Fp32,
    Fp64,
    Bytes,
}

/// Name, bytes an element, number and name of the field of InferTensorContents (none: such tensors travel raw only).
type Facts = (&'static str, usize, u32, &'static str);

const FACTS: [(Datatype, Facts); 13] = [
    (Datatype::Bool, ("BOOL", 1, 1, "bool_contents")),
    (Datatype::Uint8, ("UINT8", 1, 4, "uint_contents")),
    (Datatype::Uint16, ("UINT16", 2, 4, "uint_contents")),
    (Datatype::Uint32, ("UINT32", 4, 4, "uint_contents")),
    (Datatype::Uint64, ("UINT64", 8, 5, "uint64_contents")),
    (Datatype::Int8, ("INT8", 1, 2, "int_contents")),
    (Datatype::Int16, ("INT16", 2, 2, "int_contents")),
    (Datatype::Int32, ("INT32", 4, 2, "int_contents")),
    (Datatype::Int64, ("INT64", 8, 3, "int64_contents")),
    (Datatype::Fp16, ("FP16", 2, 0, "")),
    (Datatype::Fp32, ("FP32", 4, 6, "fp32_contents")),
    (Datatype::Fp64, ("FP64", 8, 7, "fp64_contents")),
    (Datatype::Bytes, ("BYTES", 0, 8, "bytes_contents")),
];

impl Datatype {
    /// Every one.
    pub const ALL: [Datatype; 13] = {
        let mut all = [Datatype::Bool; 13];
        let mut index = 0;
        while index < all.len() {
            all[index] = FACTS[index].0;
            index += 1;
        }
        all
    };

    /// By the protocol's word.
    pub fn of_name(name: &str) -> Option<Datatype> {
        FACTS.iter().find(|(_, facts)| facts.0 == name).map(|(datatype, _)| *datatype)
    }

    /// The protocol's word.
    pub fn name(self) -> &'static str {
        self.facts().0
    }

    /// Bytes an element; 0 where elements differ.
    pub fn size(self) -> usize {
        self.facts().1
    }

    /// The number of the field of InferTensorContents that carries it.
    pub fn contents_field(self) -> Option<u32> {
        Some(self.facts().2).filter(|number| *number != 0)
    }

    /// Whether none of these little-endian elements is an infinity or no number: their exponent is not all ones.
    pub fn are_finite(self, bytes: &[u8]) -> bool {
        match self {
            Datatype::Fp16 => none(bytes, |element| u16::from_le_bytes(element) & 0x7c00 == 0x7c00),
            Datatype::Fp32 => none(bytes, |element| u32::from_le_bytes(element) & 0x7f80_0000 == 0x7f80_0000),
            Datatype::Fp64 => none(bytes, |element| u64::from_le_bytes(element) >> 52 & 0x7ff == 0x7ff),
            _ => true,
        }
    }

    fn facts(self) -> &'static Facts {
        &FACTS[self as usize].1
    }
}

/// Whether none of the elements is so. All are looked at, which a processor does several at a time.
fn none<const SIZE: usize>(bytes: &[u8], is_so: impl Fn([u8; SIZE]) -> bool) -> bool {
    let mut found = false;
    for chunk in bytes.chunks_exact(SIZE) {
        let mut element = [0; SIZE];
        element.copy_from_slice(chunk);
        found |= is_so(element);
    }
    !found
}

/// The name of a field of InferTensorContents.
pub fn contents_field_name(number: u32) -> &'static str {
    const NAMES: [&str; 8] = [
        "bool_contents",
        "int_contents",
        "int64_contents",
        "uint_contents",
        "uint64_contents",
        "fp32_contents",
        "fp64_contents",
        "bytes_contents",
    ];
    NAMES.get(number as usize - 1).copied().unwrap_or("")
}

/// One input or output: -1 in `shape` varies; the first dimension counts rows.
#[derive(Clone, Debug)]
pub struct TensorSignature {
    /// As the model names it.
    pub name: String,
    /// Of its elements.
    pub datatype: Datatype,
    /// With the rows' dimension.
    pub shape: Vec<i64>,
}

/// What ModelInfer of one model-version reads and answers.
#[derive(Clone, Debug, Default)]
pub struct Signature {
    /// In the order in which they are gathered.
    pub inputs: Vec<TensorSignature>,
    /// In the order in which they are answered.
    pub outputs: Vec<TensorSignature>,
}

/// The product of dimensions, held at the largest number where it would overflow.
pub fn element_count(shape: &[i64]) -> u128 {
    if shape.contains(&0) {
        return 0;
    }
    shape.iter().fold(1, |count: u128, dimension| count.saturating_mul(u128::from(dimension.unsigned_abs())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_datatype_is_found_by_its_name_and_stands_at_its_own_place() {
        for (datatype, facts) in FACTS {
            assert_eq!(Datatype::of_name(facts.0), Some(datatype));
            assert_eq!(datatype.name(), facts.0);
            if let Some(number) = datatype.contents_field() {
                assert_eq!(contents_field_name(number), facts.3);
            }
        }
        assert_eq!(Datatype::of_name("FP8"), None);
    }

    #[test]
    fn infinities_and_no_numbers_are_found_wherever_they_stand() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -f64::NAN] {
            let doubles = [f64::MAX, -0.0, bad].map(f64::to_le_bytes).concat();
            assert!(Datatype::Fp64.are_finite(&doubles[..16]) && !Datatype::Fp64.are_finite(&doubles));
            let floats = [bad as f32, f32::MIN, 1e-40].map(f32::to_le_bytes).concat();
            assert!(Datatype::Fp32.are_finite(&floats[4..]) && !Datatype::Fp32.are_finite(&floats));
        }
        assert!(
            Datatype::Fp16.are_finite(&0x7bff_u16.to_le_bytes())
                && !Datatype::Fp16.are_finite(&0xfc00_u16.to_le_bytes())
        );
        assert!(Datatype::Int32.are_finite(&f32::NAN.to_le_bytes()));
    }

    #[test]
    fn no_shape_overflows() {
        assert_eq!(element_count(&[1 << 32, 1 << 32]), 1 << 64);
        assert_eq!(element_count(&[i64::MAX; 8]), u128::MAX);
        assert_eq!(element_count(&[i64::MAX, i64::MAX, i64::MAX, 0]), 0);
    }
}
