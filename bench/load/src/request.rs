//! A request as bytes that are made once: the headers that all share, and the messages that take turns.

use crate::headers::HeaderBlocks;

/// What is asked, over and over.
pub struct Request {
    /// The same for every request but a connection's first.
    pub headers: HeaderBlocks,
    /// gRPC frames: five bytes of head, then the message.
    pub messages: Vec<Vec<u8>>,
}

impl Request {
    /// A unary call of `path` (`/package.Service/Method`).
    pub fn new(authority: &str, path: &str, metadata: &[(String, String)], messages: &[Vec<u8>]) -> Request {
        let own = metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let headers: Vec<_> = fixed_headers(authority, path).into_iter().chain(own).collect();
        let headers = HeaderBlocks::new(&headers);
        Request { headers, messages: messages.iter().map(|message| framed(message)).collect() }
    }
}

/// What a gRPC client sends with every unary call; method and scheme are always the same.
pub fn fixed_headers<'a>(authority: &'a str, path: &'a str) -> [(&'a str, &'a str); 6] {
    [
        (":path", path),
        (":authority", authority),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "grpc-argosy-load/1"),
        ("grpc-accept-encoding", "identity, deflate, gzip"),
    ]
}

/// A message behind its length, not packed.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend_from_slice(&(message.len() as u32).to_be_bytes());
    bytes.extend_from_slice(message);
    bytes
}
