//! gRPC's frames: five bytes of head, then a message, perhaps packed.
//!
//! A message that lies whole in one chunk is handed on without a copy. The length is believed only as far as bytes have
//! come: no more is kept ready than that. Unpacking stops at the limit, so a bomb costs the limit and no more.
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>

use std::io::Read;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use flate2::bufread::{GzDecoder, ZlibDecoder};

use crate::error::{invalid, malformed, message_too_large, Cause, ServingError};

/// Bytes before each message: a flag and a length.
pub const HEAD: usize = 5;

/// How much room is made for a message before its bytes are here.
const FIRST_ROOM: usize = 1 << 20;

/// How messages of one stream may be packed: what the header `grpc-encoding` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 1950, which HTTP calls deflate.
    Deflate,
    /// One that the front does not know.
    Unknown,
}

impl Encoding {
    /// By the header's value, None where there is no header.
    pub fn of_header(value: Option<&[u8]>) -> Encoding {
        match value {
            None | Some(b"identity") => Encoding::Identity,
            Some(b"gzip") => Encoding::Gzip,
            Some(b"deflate") => Encoding::Deflate,
            Some(_) => Encoding::Unknown,
        }
    }
}

/// What stands before a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Whether the message is packed.
    pub packed: bool,
    /// As it comes.
    pub length: usize,
}

/// A message as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Framed {
    /// Whether `bytes` are packed.
    pub packed: bool,
    /// The contents of the frame.
    pub bytes: Bytes,
}

impl Framed {
    /// The message itself, of at most `limit` bytes.
    pub fn unpack(&self, encoding: Encoding, limit: usize) -> Result<Bytes, ServingError> {
        if !self.packed {
            return Ok(self.bytes.clone());
        }
        let (message, rest) = match encoding {
            Encoding::Gzip => {
                let mut source = GzDecoder::new(&self.bytes[..]);
                (inflate(&mut source, said_length(&self.bytes), limit)?, source.into_inner())
            }
            Encoding::Deflate => {
                let mut source = ZlibDecoder::new(&self.bytes[..]);
                (inflate(&mut source, 0, limit)?, source.into_inner())
            }
            Encoding::Identity | Encoding::Unknown => return Err(unknown_encoding()),
        };
        if rest.is_empty() {
            Ok(message)
        } else {
            Err(badly_packed())
        }
    }
}

/// Cuts the bytes of one stream into messages.
pub struct Frames {
    limit: usize,
    head: [u8; HEAD],
    head_bytes: usize,
    rest: Bytes,
    partial: BytesMut,
}

impl Frames {
    /// `limit`: of one message, as it comes.
    pub fn new(limit: usize) -> Self {
        Frames { limit, head: [0; HEAD], head_bytes: 0, rest: Bytes::new(), partial: BytesMut::new() }
    }

    /// Take what has come. Only after `message` has found no more message in what came before.
    pub fn push(&mut self, chunk: Bytes) {
        debug_assert!(self.rest.is_empty());
        self.rest = chunk;
    }

    /// The head of the next message; None until it has come.
    pub fn next_head(&mut self) -> Result<Option<Head>, ServingError> {
        if !self.read_head() {
            return Ok(None);
        }
        let [flag, length @ ..] = self.head;
        let length = u32::from_be_bytes(length) as usize;
        if flag > 1 {
            return Err(malformed("gRPC frame"));
        }
        if length > self.limit {
            return Err(message_too_large(self.limit, Some(length)));
        }
        Ok(Some(Head { packed: flag == 1, length }))
    }

    /// The next message; None until more has come.
    pub fn message(&mut self) -> Result<Option<Framed>, ServingError> {
        let Some(Head { packed, length }) = self.next_head()? else { return Ok(None) };
        Ok(self.read_message(length).map(|bytes| {
            self.head_bytes = 0;
            Framed { packed, bytes }
        }))
    }

    /// Whether nothing has come since the last message.
    pub fn is_empty(&self) -> bool {
        self.head_bytes == 0 && self.rest.is_empty()
    }

    fn read_head(&mut self) -> bool {
        let wanted = (HEAD - self.head_bytes).min(self.rest.len());
        self.rest.copy_to_slice(&mut self.head[self.head_bytes..self.head_bytes + wanted]);
        self.head_bytes += wanted;
        self.head_bytes == HEAD
    }

    fn read_message(&mut self, length: usize) -> Option<Bytes> {
        if self.partial.is_empty() && self.rest.len() >= length {
            return Some(self.rest.split_to(length));
        }
        let wanted = (length - self.partial.len()).min(self.rest.len());
        if self.partial.is_empty() {
            self.partial.reserve(length.min(FIRST_ROOM));
        }
        self.partial.put(self.rest.split_to(wanted));
        (self.partial.len() == length).then(|| std::mem::take(&mut self.partial).freeze())
    }
}

/// The head of a frame that is not packed. A message of 4 GiB does not come this far.
pub fn put_frame_head(out: &mut Vec<u8>, length: usize) {
    out.push(0);
    out.extend_from_slice(&(length as u32).to_be_bytes());
}

/// A message in its frame.
pub fn framed(message: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(HEAD + message.len());
    put_frame_head(&mut out, message.len());
    out.extend_from_slice(message);
    out.into()
}

/// What gzip says at its end of the length, 0 where it says nothing: only a hint, so that the buffer need not grow.
fn said_length(packed: &[u8]) -> usize {
    packed.last_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize)
}

fn inflate(source: impl Read, said_length: usize, limit: usize) -> Result<Bytes, ServingError> {
    let mut out = Vec::with_capacity(said_length.min(limit) + 1);
    match source.take(limit as u64 + 1).read_to_end(&mut out) {
        Ok(size) if size > limit => Err(message_too_large(limit, None)),
        Ok(_) => Ok(out.into()),
        Err(_) => Err(badly_packed()),
    }
}

fn badly_packed() -> ServingError {
    let text = "a packed message is one whole gzip or deflate stream, and nothing behind it".to_owned();
    invalid("MALFORMED_MESSAGE", text, "")
}

fn unknown_encoding() -> ServingError {
    let text = "grpc-encoding: a packed message is taken as gzip or deflate".to_owned();
    ServingError::new(Cause::Unimplemented, "UNKNOWN_ENCODING", text)
}
