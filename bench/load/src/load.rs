//! All connections of a load behind one poll, and what has come of it. When to ask is the loops' affair.

use std::io::{Error, ErrorKind, Result};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use crate::answers::Answers;
use crate::connection::{Connection, Finished};
use crate::request::Request;

/// A server that says nothing for so long is lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// What has come of a load so far.
pub struct Tally {
    /// Nanoseconds from asking to the answer, in the order of the answers.
    pub latencies_ns: Vec<u64>,
    /// Every different answer.
    pub answers: Answers,
    /// Streams that ended without one.
    pub errors: u64,
}

impl Tally {
    /// Requests that are finished, rightly or not.
    pub fn finished(&self) -> u64 {
        self.latencies_ns.len() as u64 + self.errors
    }
}

/// The connections.
pub struct Load {
    /// What has come of it.
    pub tally: Tally,
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    touched: Vec<usize>,
    message_count: usize,
    asked: usize,
    begun: Instant,
}

impl Load {
    /// Open `connections` and wait until the server has greeted on each.
    pub fn connect(address: SocketAddr, request: Request, connections: usize) -> Result<Load> {
        let request = Rc::new(request);
        let mut load = Load {
            tally: Tally { latencies_ns: Vec::new(), answers: Answers::new(request.messages.len()), errors: 0 },
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            connections: Vec::with_capacity(connections),
            touched: Vec::new(),
            message_count: request.messages.len(),
            asked: 0,
            begun: Instant::now(),
        };
        for number in 0..connections {
            load.open(address, Rc::clone(&request), number)?;
        }
        while !load.connections.iter().all(Connection::is_greeted) {
            drop(load.turn(None)?);
            load.flush()?;
        }
        load.begun = Instant::now();
        Ok(load)
    }

    /// Nanoseconds since all connections were there.
    pub fn now_ns(&self) -> u64 {
        self.begun.elapsed().as_nanos() as u64
    }

    /// One more request, the messages in turn; it goes out with `flush`.
    pub fn ask(&mut self, connection: usize, asked_ns: u64) {
        self.connections[connection].ask(self.asked % self.message_count, asked_ns);
        self.asked += 1;
        self.touch(connection);
    }

    /// Wait for something to come, at most for `timeout` or as long as patience lasts; the connections that have
    /// finished a request, once for each.
    pub fn turn(&mut self, timeout: Option<Duration>) -> Result<Vec<usize>> {
        match self.poll.poll(&mut self.events, Some(timeout.unwrap_or(PATIENCE))) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(Vec::new()),
            polled => polled?,
        }
        if timeout.is_none() && self.events.is_empty() {
            return Err(Error::new(ErrorKind::TimedOut, format!("no answer for {} s", PATIENCE.as_secs())));
        }
        let ready: Vec<(usize, bool)> =
            self.events.iter().map(|event| (event.token().0, event.is_read_closed())).collect();
        let mut finished = Vec::new();
        for (number, is_closed) in ready {
            let of_connection = self.connections[number].receive()?;
            finished.extend(of_connection.iter().map(|_| number));
            self.count(of_connection)?;
            self.touch(number);
            if is_closed {
                return Err(Error::new(ErrorKind::UnexpectedEof, "the server closed the connection"));
            }
        }
        Ok(finished)
    }

    /// Send what may be sent on the connections where something has happened.
    pub fn flush(&mut self) -> Result<()> {
        for number in std::mem::take(&mut self.touched) {
            self.connections[number].flush()?;
        }
        Ok(())
    }

    fn open(&mut self, address: SocketAddr, request: Rc<Request>, number: usize) -> Result<()> {
        let socket = TcpStream::connect(address)?;
        socket.set_nonblocking(true)?;
        let mut connection = Connection::new(mio::net::TcpStream::from_std(socket), request)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut connection.wire.socket, Token(number), interest)?;
        self.connections.push(connection);
        self.touch(number);
        self.flush()
    }

    fn touch(&mut self, connection: usize) {
        if self.touched.last() != Some(&connection) {
            self.touched.push(connection);
        }
    }

    fn count(&mut self, finished: Vec<Finished>) -> Result<()> {
        let now_ns = self.now_ns();
        for one in finished {
            match one.answer {
                Some(answer) => {
                    self.tally.answers.add(one.message, answer)?;
                    self.tally.latencies_ns.push(now_ns.saturating_sub(one.asked_ns));
                }
                None => self.tally.errors += 1,
            }
        }
        Ok(())
    }
}
