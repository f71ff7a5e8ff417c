//! Protobuf's encoding, as far as messages that nobody trusts need it.
//!
//! The reader walks the fields of one message and hands out slices of it; it copies nothing, allocates nothing and
//! does not descend, so no nesting is too deep for it. Groups are not proto3 and are refused.
//! <https://protobuf.dev/programming-guides/encoding/>

/// The bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The contents of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64([u8; 8]),
    /// Wire type 2: bytes, a string, a message or packed elements.
    Bytes(&'a [u8]),
    /// Wire type 5.
    Fixed32([u8; 4]),
}

/// Walks the fields of a message in the order in which they stand.
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the start of a message.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes }
    }

    /// The number and contents of the next field; None at the end.
    pub fn field(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let tag = u32::try_from(self.varint()?).map_err(|_| Malformed)?;
        let number = tag >> 3;
        if number == 0 {
            return Err(Malformed);
        }
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(self.fixed()?),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                Value::Bytes(self.split(length)?)
            }
            5 => Value::Fixed32(self.fixed()?),
            _ => return Err(Malformed),
        };
        Ok(Some((number, value)))
    }

    /// A varint of at most ten bytes; bits beyond the 64th are lost, as in every protobuf parser.
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        if let [byte @ ..0x80, rest @ ..] = self.bytes {
            self.bytes = rest;
            return Ok(u64::from(*byte));
        }
        let mut value = 0;
        for (index, byte) in self.bytes.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                self.bytes = &self.bytes[index + 1..];
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.bytes.len()
    }

    /// The next `N` bytes.
    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.split(N)?.try_into().map_err(|_| Malformed)
    }

    fn split(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.bytes.split_at_checked(length).ok_or(Malformed)?;
        self.bytes = rest;
        Ok(head)
    }
}

/// Proto3's strings are UTF-8.
pub fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed)
}

/// Append a varint.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How many bytes a varint takes.
pub fn varint_length(value: u64) -> usize {
    (70 - (value | 1).leading_zeros() as usize) / 7
}

/// Append the head of a length-delimited field.
pub fn put_head(out: &mut Vec<u8>, number: u32, length: usize) {
    put_varint(out, u64::from(number << 3 | 2));
    put_varint(out, length as u64);
}

/// Append a length-delimited field.
pub fn put_bytes(out: &mut Vec<u8>, number: u32, contents: &[u8]) {
    put_head(out, number, contents.len());
    out.extend_from_slice(contents);
}

/// Append a varint field.
pub fn put_number(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number << 3));
    put_varint(out, value);
}

/// How many bytes a length-delimited field takes with its head, for numbers below 16.
pub fn bytes_field_length(length: usize) -> usize {
    1 + varint_length(length as u64) + length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_come_back_and_have_the_length_foretold() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_length(value));
            assert_eq!(Reader::new(&out).varint(), Ok(value));
        }
    }

    #[test]
    fn fields_come_in_order_with_their_contents() {
        let mut out = Vec::new();
        put_bytes(&mut out, 1, b"m");
        put_number(&mut out, 3, 300);
        out.extend_from_slice(&[4 << 3 | 5, 1, 2, 3, 4]);
        let mut reader = Reader::new(&out);
        assert_eq!(reader.field(), Ok(Some((1, Value::Bytes(b"m")))));
        assert_eq!(reader.field(), Ok(Some((3, Value::Varint(300)))));
        assert_eq!(reader.field(), Ok(Some((4, Value::Fixed32([1, 2, 3, 4])))));
        assert_eq!(reader.field(), Ok(None));
    }

    #[test]
    fn what_is_cut_short_grouped_or_numbered_zero_is_malformed() {
        for bytes in [&b"\x0a"[..], b"\x0a\x02x", b"\x0b", b"\x02\x00", b"\x08\x80", b"\x09\x00", &[0xff; 11]] {
            assert_eq!(Reader::new(bytes).field(), Err(Malformed), "{bytes:?}");
        }
    }

    #[test]
    fn a_length_that_would_overflow_is_malformed() {
        let mut bytes = vec![0x0a];
        put_varint(&mut bytes, u64::MAX);
        assert_eq!(Reader::new(&bytes).field(), Err(Malformed));
    }
}
