//! gRPC load that costs little: unary requests as frames, written by one thread over any number of connections.
//!
//! A load generator that spends more on a request than the server measures itself. So of HTTP/2 (RFC 9113) this knows
//! what a unary call needs and no more: a header block is made once (a connection's first request fills the server's
//! table, the later ones name what is there, as gRPC's clients do), of an answer only the frames' heads and the message
//! are read, and the clock is read once a turn. Flow control is kept on both sides, so messages
//! may be of any size. Every answer is compared with the answers that its message had before; those that differ are
//! handed to the caller, who decides whether they are right.
//!
//! Not here: TLS, reading HPACK (a status cannot be read: a stream that ends without a message is an error), streams.

pub mod answers;
pub mod closed_loop;
pub mod connection;
pub mod echo;
pub mod frame;
pub mod headers;
pub mod load;
pub mod open_loop;
pub mod options;
pub mod report;
pub mod request;
pub mod streams;
pub mod wire;
