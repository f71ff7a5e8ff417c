//! A TCP connection that never waits: what is to be sent is kept until the kernel takes it, what has come until it is
//! a whole frame.

use std::io::{Error, ErrorKind, Read, Result, Write};

use mio::net::TcpStream;

use crate::frame::{self, Frame};

const CHUNK: usize = 1 << 18;

/// The socket and both buffers.
pub struct Wire {
    /// To be registered with a poll, for reading and writing.
    pub socket: TcpStream,
    /// To be sent with `flush`.
    pub out: Vec<u8>,
    sent: usize,
    received: Vec<u8>,
    filled: usize,
    read: usize,
}

impl Wire {
    /// Over a socket that is connected.
    pub fn new(socket: TcpStream) -> Result<Wire> {
        socket.set_nodelay(true)?;
        Ok(Wire { socket, out: Vec::new(), sent: 0, received: vec![0; CHUNK], filled: 0, read: 0 })
    }

    /// Take in what has come; false once there is nothing more for now. An error where the other side has closed.
    pub fn receive(&mut self) -> Result<bool> {
        self.make_room();
        let room = self.received.len() - self.filled;
        match self.socket.read(&mut self.received[self.filled..]) {
            Ok(0) => Err(Error::new(ErrorKind::UnexpectedEof, "the other side closed the connection")),
            Ok(count) => {
                self.filled += count;
                Ok(count == room)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The next whole frame, and the buffer for what is to be said to it.
    pub fn next_frame(&mut self) -> Option<(Frame<'_>, &mut Vec<u8>)> {
        let (found, length) = frame::first(&self.received[self.read..self.filled])?;
        self.read += length;
        Some((found, &mut self.out))
    }

    /// Leave out the next bytes, as many of `count` as have come.
    pub fn skip(&mut self, count: usize) -> usize {
        let skipped = count.min(self.filled - self.read);
        self.read += skipped;
        skipped
    }

    /// Send as much of `out` as the kernel takes now.
    pub fn flush(&mut self) -> Result<()> {
        while self.sent < self.out.len() {
            match self.socket.write(&self.out[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.sent = 0;
        Ok(())
    }

    fn make_room(&mut self) {
        self.received.copy_within(self.read..self.filled, 0);
        self.filled -= self.read;
        self.read = 0;
        if self.received.len() - self.filled < CHUNK / 2 {
            self.received.resize(self.received.len() * 2, 0);
        }
    }
}
