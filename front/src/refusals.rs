//! Errors that left the front, counted by their reason.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Mutex;

use crate::error::ServingError;
use crate::sync::lock;

/// Counts that only grow.
#[derive(Default)]
pub struct Refusals {
    counts: Mutex<HashMap<Cow<'static, str>, u64>>,
}

impl Refusals {
    /// An error goes to a caller.
    pub fn count(&self, error: &ServingError) {
        *lock(&self.counts).entry(error.reason.clone()).or_default() += 1;
    }

    /// How many of each reason there were.
    pub fn by_reason(&self) -> HashMap<Cow<'static, str>, u64> {
        lock(&self.counts).clone()
    }
}
