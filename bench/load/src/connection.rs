//! One connection as a gRPC client has it: requests out as far as the windows let them, answers back.

use std::collections::VecDeque;
use std::io::{Error, Result};
use std::rc::Rc;

use mio::net::TcpStream;

use crate::frame::{self, Frame};
use crate::headers::TABLE_BYTES;
use crate::request::Request;
use crate::streams::{Stream, Streams};
use crate::wire::Wire;

/// Bytes that may come before the other side is granted as many again.
const GRANT: u32 = 1 << 30;
const FIRST_STREAM: u32 = 1;

/// A request that is answered, or never will be.
pub struct Finished {
    /// Which of the messages it carried.
    pub message: usize,
    /// When it was asked.
    pub asked_ns: u64,
    /// The answer's message; None where the stream ended without one.
    pub answer: Option<Vec<u8>>,
}

/// The connection.
pub struct Connection {
    /// Its socket and buffers.
    pub wire: Wire,
    request: Rc<Request>,
    streams: Streams,
    held: VecDeque<(usize, u64)>,
    half_sent: VecDeque<u32>,
    finished: Vec<Finished>,
    window: i64,
    first_window: i64,
    most_streams: usize,
    ungranted: u32,
    is_greeted: bool,
}

impl Connection {
    /// Over a socket that is connected. The preface goes out with the first `flush`.
    pub fn new(socket: TcpStream, request: Rc<Request>) -> Result<Connection> {
        let mut wire = Wire::new(socket)?;
        wire.out.extend_from_slice(frame::PREFACE);
        frame::put_opening(&mut wire.out);
        Ok(Connection {
            wire,
            request,
            streams: Streams::default(),
            held: VecDeque::new(),
            half_sent: VecDeque::new(),
            finished: Vec::new(),
            window: frame::INITIAL_WINDOW,
            first_window: frame::INITIAL_WINDOW,
            most_streams: usize::MAX,
            ungranted: 0,
            is_greeted: false,
        })
    }

    /// Whether the other side has said what it can take.
    pub fn is_greeted(&self) -> bool {
        self.is_greeted
    }

    /// One more request; it goes out with `flush`, as soon as the other side lets it.
    pub fn ask(&mut self, message: usize, asked_ns: u64) {
        self.held.push_back((message, asked_ns));
    }

    /// Read what has come, and hand over what is finished by it.
    pub fn receive(&mut self) -> Result<Vec<Finished>> {
        loop {
            let more = self.wire.receive()?;
            self.read_frames()?;
            if !more {
                return Ok(std::mem::take(&mut self.finished));
            }
        }
    }

    /// Send what may be sent.
    pub fn flush(&mut self) -> Result<()> {
        for _ in 0..self.half_sent.len() {
            if let Some(number) = self.half_sent.pop_front() {
                self.send_body(number);
            }
        }
        while self.window > 0 && self.streams.open() < self.most_streams {
            let Some((message, asked_ns)) = self.held.pop_front() else { break };
            self.begin(message, asked_ns);
        }
        self.wire.flush()
    }

    fn begin(&mut self, message: usize, asked_ns: u64) {
        let stream = Stream { message, asked_ns, sent: 0, window: self.first_window, answer: Vec::new() };
        let number = self.streams.push(stream);
        let headers = &self.request.headers;
        let block = if number == FIRST_STREAM { &headers.first } else { &headers.later };
        frame::put(&mut self.wire.out, frame::HEADERS, frame::END_HEADERS, number, block);
        self.send_body(number);
    }

    /// As much of a stream's message as both windows take; the rest is sent when they grow.
    fn send_body(&mut self, number: u32) {
        let Some(stream) = self.streams.get(number) else { return };
        let message = &self.request.messages[stream.message];
        while stream.sent < message.len() {
            let room = self.window.min(stream.window).min(frame::LONGEST as i64);
            if room <= 0 {
                return self.half_sent.push_back(number);
            }
            let part = &message[stream.sent..message.len().min(stream.sent + room as usize)];
            stream.sent += part.len();
            stream.window -= part.len() as i64;
            self.window -= part.len() as i64;
            let flags = if stream.sent == message.len() { frame::END_STREAM } else { 0 };
            frame::put(&mut self.wire.out, frame::DATA, flags, number, part);
        }
    }

    fn read_frames(&mut self) -> Result<()> {
        while let Some((frame, out)) = self.wire.next_frame() {
            let ends = frame.ends_stream().then_some(frame.stream);
            match frame.kind {
                frame::DATA => {
                    self.ungranted += frame.payload.len() as u32;
                    if let Some(stream) = self.streams.get(frame.stream) {
                        stream.answer.extend_from_slice(frame.data());
                    }
                }
                frame::WINDOW_UPDATE if frame.stream == 0 => self.window += frame.increment(),
                frame::WINDOW_UPDATE => {
                    if let Some(stream) = self.streams.get(frame.stream) {
                        stream.window += frame.increment();
                    }
                }
                frame::SETTINGS if frame.flags & frame::ACK == 0 => {
                    self.is_greeted = true;
                    if frame.setting(frame::HEADER_TABLE_SIZE).is_some_and(|size| (size as usize) < TABLE_BYTES) {
                        return Err(Error::other("the server keeps fewer headers than this load names by their place"));
                    }
                    if let Some(limit) = frame.setting(frame::MAX_CONCURRENT_STREAMS) {
                        self.most_streams = limit as usize;
                    }
                    if let Some(size) = frame.setting(frame::INITIAL_WINDOW_SIZE) {
                        self.streams.widen(i64::from(size) - self.first_window);
                        self.first_window = i64::from(size);
                    }
                    frame::put(out, frame::SETTINGS, frame::ACK, 0, &[]);
                }
                frame::PING if frame.flags & frame::ACK == 0 => {
                    frame::put(out, frame::PING, frame::ACK, 0, frame.payload);
                }
                frame::GOAWAY => return Err(given_up(frame)),
                _ => {}
            }
            if let Some(number) = ends {
                self.finish(number);
            }
        }
        if self.ungranted > GRANT {
            frame::put_grant(&mut self.wire.out, self.ungranted);
            self.ungranted = 0;
        }
        Ok(())
    }

    fn finish(&mut self, number: u32) {
        if let Some(Stream { message, asked_ns, mut answer, .. }) = self.streams.take(number) {
            let answer = (answer.len() > 4).then(|| answer.split_off(5));
            self.finished.push(Finished { message, asked_ns, answer });
        }
    }
}

fn given_up(goaway: Frame<'_>) -> Error {
    let told = String::from_utf8_lossy(goaway.payload.get(8..).unwrap_or_default()).into_owned();
    Error::other(format!("the server gave the connection up (GOAWAY): {told}"))
}
