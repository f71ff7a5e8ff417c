//! HTTP/2's frames, RFC 9113, §4 and §6: nine bytes of head, then the payload.

/// Bytes of a frame's head.
pub const HEAD: usize = 9;
/// The longest payload that every peer takes.
pub const LONGEST: usize = 16_384;
/// What a window holds before either side says otherwise.
pub const INITIAL_WINDOW: i64 = 65_535;
/// The most that a window may hold.
pub const LARGEST_WINDOW: u32 = (1 << 31) - 1;
/// What a client says first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Part of a message.
pub const DATA: u8 = 0;
/// Headers, or trailers.
pub const HEADERS: u8 = 1;
/// A stream is given up.
pub const RST_STREAM: u8 = 3;
/// What the sender can take.
pub const SETTINGS: u8 = 4;
/// To be sent back.
pub const PING: u8 = 6;
/// The connection is given up.
pub const GOAWAY: u8 = 7;
/// The receiver can take more.
pub const WINDOW_UPDATE: u8 = 8;

/// On DATA and HEADERS: the stream's last frame from this side.
pub const END_STREAM: u8 = 1;
/// On SETTINGS and PING: an answer to one.
pub const ACK: u8 = 1;
/// On HEADERS: the block is whole.
pub const END_HEADERS: u8 = 4;
/// On DATA: a length and that many bytes at the end say nothing.
pub const PADDED: u8 = 8;

/// Setting: bytes of headers that are kept, to be named by their place.
pub const HEADER_TABLE_SIZE: u16 = 1;
/// Setting: the most streams at a time.
pub const MAX_CONCURRENT_STREAMS: u16 = 3;
/// Setting: the window of a new stream.
pub const INITIAL_WINDOW_SIZE: u16 = 4;

/// A frame as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// DATA, HEADERS, …
    pub kind: u8,
    /// END_STREAM, …
    pub flags: u8,
    /// 0: the connection itself.
    pub stream: u32,
    /// What it carries.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// Whether the other side says no more on the stream.
    pub fn ends_stream(&self) -> bool {
        self.kind == RST_STREAM || (matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0)
    }

    /// A DATA frame's contents without the padding.
    pub fn data(&self) -> &[u8] {
        match self.payload {
            [padding, rest @ ..] if self.flags & PADDED != 0 => &rest[..rest.len().saturating_sub(*padding as usize)],
            whole => whole,
        }
    }

    /// The increment of a WINDOW_UPDATE; of another frame its first four bytes.
    pub fn increment(&self) -> i64 {
        self.payload.first_chunk().map_or(0, |bytes| i64::from(u32::from_be_bytes(*bytes) & LARGEST_WINDOW))
    }

    /// A SETTINGS frame's value of one setting, the last where it is there twice.
    pub fn setting(&self, wanted: u16) -> Option<u32> {
        let mut found = None;
        for entry in self.payload.chunks_exact(6) {
            if u16::from_be_bytes([entry[0], entry[1]]) == wanted {
                found = Some(u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]));
            }
        }
        found
    }
}

/// The first frame of `bytes` and its length, None where it is not whole yet.
pub fn first(bytes: &[u8]) -> Option<(Frame<'_>, usize)> {
    let head: &[u8; HEAD] = bytes.first_chunk()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let payload = bytes.get(HEAD..HEAD + length)?;
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & LARGEST_WINDOW;
    Some((Frame { kind: head[3], flags: head[4], stream, payload }, HEAD + length))
}

/// Append a frame. The payload must be at most 2^24 - 1 bytes long.
pub fn put(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Append what either side begins with: windows as large as can be, so that nothing that is read has to be granted.
pub fn put_opening(out: &mut Vec<u8>) {
    let mut setting = INITIAL_WINDOW_SIZE.to_be_bytes().to_vec();
    setting.extend_from_slice(&LARGEST_WINDOW.to_be_bytes());
    put(out, SETTINGS, 0, 0, &setting);
    put_grant(out, LARGEST_WINDOW - INITIAL_WINDOW as u32);
}

/// Append leave to send that many bytes more on the connection.
pub fn put_grant(out: &mut Vec<u8>, bytes: u32) {
    put(out, WINDOW_UPDATE, 0, 0, &bytes.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let mut bytes = Vec::new();
        put(&mut bytes, DATA, END_STREAM, 5, b"abc");
        let expected = Frame { kind: DATA, flags: END_STREAM, stream: 5, payload: b"abc" };
        assert_eq!(first(&bytes), Some((expected, HEAD + 3)));
    }

    #[test]
    fn half_a_frame_is_none() {
        let mut bytes = Vec::new();
        put(&mut bytes, DATA, 0, 1, b"abc");
        assert_eq!(first(&bytes[..HEAD + 2]), None);
    }

    #[test]
    fn padding_is_no_data() {
        let frame = Frame { kind: DATA, flags: PADDED, stream: 1, payload: &[2, b'a', b'b', 0, 0] };
        assert_eq!(frame.data(), b"ab");
    }

    #[test]
    fn the_last_of_a_repeated_setting_holds() {
        let payload = [0, 4, 0, 0, 0, 1, 0, 4, 0, 0, 1, 0];
        let frame = Frame { kind: SETTINGS, flags: 0, stream: 0, payload: &payload };
        assert_eq!(frame.setting(INITIAL_WINDOW_SIZE), Some(256));
    }
}
