//! One request on its way through the front, or a part of one.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::caller::Caller;
use crate::counts::us;
use crate::infer::InferCall;
use crate::memory::Held;
use crate::parts::{Part, Whole};
use crate::waiting::{Ticket, Waiting};

/// A method by its place among those of a queue: 0 is ModelInfer, the typed ones follow.
pub type MethodIndex = usize;

/// One request on its way through the front.
pub struct Request {
    /// Who waits.
    pub caller: Arc<Caller>,
    /// Which method was called.
    pub method: MethodIndex,
    /// As it came.
    pub message: Bytes,
    /// Room for it.
    pub held: Held,
    /// ModelInfer only.
    pub call: Option<InferCall>,
    /// At least one; those that have not left in a part of their own.
    pub rows: u64,
    /// Of its priority: 1 leaves first.
    pub level: u32,
    /// Where it is not all of what its caller sent, or soon will not be.
    pub part: Option<Part>,
    /// When its head had come.
    pub arrived: Instant,
    /// When its caller stops waiting.
    pub deadline: Option<Instant>,
}

impl Request {
    /// From its arrival until then.
    pub fn waited_us(&self, until: Instant) -> u64 {
        us(until.saturating_duration_since(self.arrived))
    }
}

impl Waiting for Request {
    fn runs_with(&self, other: &Self) -> bool {
        self.method == other.method && open_dimensions(self) == open_dimensions(other)
    }
    fn rows(&self) -> u64 {
        self.rows
    }
    fn level(&self) -> u32 {
        self.level
    }
    fn arrived(&self) -> Instant {
        self.arrived
    }
    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
    fn split(&mut self, rows: u64) -> Self {
        let count = self.rows.div_ceil(rows) as usize;
        let whole = || Part { whole: Whole::new(count, self.call.is_some()), index: 0, first_row: 0 };
        let part = self.part.take().unwrap_or_else(whole);
        self.part = Some(Part { whole: part.whole.clone(), index: part.index + 1, first_row: part.first_row + rows });
        self.rows -= rows;
        Request {
            caller: self.caller.clone(),
            message: self.message.clone(),
            held: self.held.clone(),
            call: self.call.as_mut().map(|call| call.split(rows)),
            rows,
            part: Some(part),
            ..*self
        }
    }
    fn moved(&self, to: Ticket) {
        self.caller.moved(to);
    }
}

fn open_dimensions(request: &Request) -> &[i64] {
    request.call.as_ref().map_or(&[], |call| &call.open_dimensions)
}
