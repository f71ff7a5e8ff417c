//! Header blocks that are made once, RFC 7541 (HPACK), as gRPC's clients send them: a connection's first request puts
//! its headers into the other side's table, every later one names their places there.

/// What the table holds where the other side does not say otherwise, each header counted with 32 bytes more.
pub const TABLE_BYTES: usize = 4096;
/// The table's first place that is not fixed by the RFC; the newest header is there.
const FIRST_PLACE: usize = 62;
/// One byte says a place up to here.
const LAST_PLACE: usize = 126;

/// RFC 7541, appendix A: entries 3 and 6.
const METHOD_POST: u8 = 0x83;
const SCHEME_HTTP: u8 = 0x86;
const WITH_INDEXING: u8 = 0x40;
const WITHOUT_INDEXING: u8 = 0;

/// The headers of a request, as a connection's first and as a later one.
pub struct HeaderBlocks {
    /// Literals that are put into the table.
    pub first: Vec<u8>,
    /// Places in it.
    pub later: Vec<u8>,
}

impl HeaderBlocks {
    /// A POST over plain HTTP with these headers, which all have to fit into the table.
    pub fn new(headers: &[(&str, &str)]) -> HeaderBlocks {
        let mut first = vec![METHOD_POST, SCHEME_HTTP];
        let mut later = first.clone();
        for (number, (name, value)) in headers.iter().enumerate() {
            put_literal(&mut first, WITH_INDEXING, name, value);
            later.push(0x80 | (FIRST_PLACE + headers.len() - 1 - number) as u8);
        }
        HeaderBlocks { first, later }
    }
}

/// Whether all of them fit into the table, and each of their places into a byte.
pub fn fit<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
    let (count, bytes) =
        headers.fold((0, 0), |(count, bytes), (name, value)| (count + 1, bytes + name.len() + value.len() + 32));
    bytes <= TABLE_BYTES && FIRST_PLACE + count <= LAST_PLACE + 1
}

/// Append a header that is not put into the table.
pub fn put_unindexed(out: &mut Vec<u8>, name: &str, value: &str) {
    put_literal(out, WITHOUT_INDEXING, name, value);
}

/// Name and value as they are, each of at most 126 bytes.
fn put_literal(out: &mut Vec<u8>, kind: u8, name: &str, value: &str) {
    out.push(kind);
    for text in [name, value] {
        out.push(text.len().min(126) as u8);
        out.extend_from_slice(&text.as_bytes()[..text.len().min(126)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_request_names_the_places_that_the_first_has_filled() {
        let blocks = HeaderBlocks::new(&[(":path", "/a"), ("te", "x")]);
        assert_eq!(blocks.first, b"\x83\x86\x40\x05:path\x02/a\x40\x02te\x01x");
        assert_eq!(blocks.later, [0x83, 0x86, 0x80 | 63, 0x80 | 62]);
    }

    #[test]
    fn headers_of_more_than_the_table_do_not_fit() {
        let long = "v".repeat(126);
        assert!(fit([("name", long.as_str()); 25].into_iter()));
        assert!(!fit([("name", long.as_str()); 26].into_iter()));
        assert!(!fit([("n", ""); 66].into_iter()));
    }
}
