//! A server that does nothing: every message comes back as its own answer. What a load reaches against it is the most
//! that the load can ask of any server.

use std::collections::HashMap;
use std::io::{ErrorKind, Result};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::frame;
use crate::headers::put_unindexed;
use crate::wire::Wire;

const LISTENER: Token = Token(usize::MAX);
/// RFC 7541, 6.1: `:status: 200` is entry 8 of the static table.
const STATUS_200: u8 = 0x88;
/// Bytes that may come before the caller is granted as many again.
const GRANT: u32 = 1 << 30;

/// Serve for ever, on one thread. A connection that fails is dropped.
pub fn serve(mut listener: TcpListener) -> Result<()> {
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1024));
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut callers: HashMap<usize, Caller> = HashMap::new();
    let mut next = 0;
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() != LISTENER {
                let place = event.token().0;
                if callers.get_mut(&place).is_some_and(|caller| caller.turn().is_err()) {
                    callers.remove(&place);
                }
                continue;
            }
            while let Some(socket) = accepted(&listener)? {
                let mut caller = Caller::new(socket)?;
                let interest = Interest::READABLE | Interest::WRITABLE;
                poll.registry().register(&mut caller.wire.socket, Token(next), interest)?;
                callers.insert(next, caller);
                next += 1;
            }
        }
    }
}

fn accepted(listener: &TcpListener) -> Result<Option<TcpStream>> {
    match listener.accept() {
        Ok((socket, _)) => Ok(Some(socket)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// One connection of a caller.
struct Caller {
    wire: Wire,
    messages: HashMap<u32, Vec<u8>>,
    ungranted: u32,
    skips_preface: usize,
    headers: Vec<u8>,
    trailers: Vec<u8>,
}

impl Caller {
    fn new(socket: TcpStream) -> Result<Caller> {
        let mut wire = Wire::new(socket)?;
        frame::put_opening(&mut wire.out);
        let (mut headers, mut trailers) = (vec![STATUS_200], Vec::new());
        put_unindexed(&mut headers, "content-type", "application/grpc");
        put_unindexed(&mut trailers, "grpc-status", "0");
        let skips_preface = frame::PREFACE.len();
        Ok(Caller { wire, messages: HashMap::new(), ungranted: 0, skips_preface, headers, trailers })
    }

    fn turn(&mut self) -> Result<()> {
        loop {
            let more = self.wire.receive()?;
            self.skips_preface -= self.wire.skip(self.skips_preface);
            if self.skips_preface == 0 {
                self.read_frames();
            }
            if !more {
                return self.wire.flush();
            }
        }
    }

    fn read_frames(&mut self) {
        while let Some((frame, out)) = self.wire.next_frame() {
            match frame.kind {
                frame::DATA => {
                    self.ungranted += frame.payload.len() as u32;
                    self.messages.entry(frame.stream).or_default().extend_from_slice(frame.data());
                }
                frame::SETTINGS | frame::PING if frame.flags & frame::ACK == 0 => {
                    let payload = if frame.kind == frame::PING { frame.payload } else { &[] };
                    frame::put(out, frame.kind, frame::ACK, 0, payload);
                }
                _ => {}
            }
            if frame.ends_stream() {
                let message = self.messages.remove(&frame.stream).unwrap_or_default();
                frame::put(out, frame::HEADERS, frame::END_HEADERS, frame.stream, &self.headers);
                for part in message.chunks(frame::LONGEST) {
                    frame::put(out, frame::DATA, 0, frame.stream, part);
                }
                let last = frame::END_HEADERS | frame::END_STREAM;
                frame::put(out, frame::HEADERS, last, frame.stream, &self.trailers);
            }
        }
        if self.ungranted > GRANT {
            frame::put_grant(&mut self.wire.out, self.ungranted);
            self.ungranted = 0;
        }
    }
}
