//! A request as bytes that are made once: the header block that all share, and the messages that take turns.

/// What is asked, over and over.
pub struct Request {
    /// HPACK literals, nothing put into the other side's table, so the same bytes serve every request.
    pub headers: Vec<u8>,
    /// gRPC frames: five bytes of head, then the message.
    pub messages: Vec<Vec<u8>>,
}

impl Request {
    /// A unary call of `path` (`/package.Service/Method`).
    pub fn new(authority: &str, path: &str, metadata: &[(String, String)], messages: &[Vec<u8>]) -> Request {
        let fixed = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", authority),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ];
        let mut headers = Vec::new();
        for (name, value) in fixed.into_iter().chain(metadata.iter().map(|(n, v)| (n.as_str(), v.as_str()))) {
            put_literal(&mut headers, name, value);
        }
        Request { headers, messages: messages.iter().map(|message| framed(message)).collect() }
    }
}

/// A message behind its length, not packed.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend_from_slice(&(message.len() as u32).to_be_bytes());
    bytes.extend_from_slice(message);
    bytes
}

/// RFC 7541, 6.2.2: a literal without indexing, name and value as they are. Names and values are at most 126 bytes long.
pub fn put_literal(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(0);
    for text in [name, value] {
        out.push(text.len().min(126) as u8);
        out.extend_from_slice(&text.as_bytes()[..text.len().min(126)]);
    }
}
