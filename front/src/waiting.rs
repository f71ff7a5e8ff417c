//! What stands in a line, as far as the line need know.

use std::time::Instant;

/// The place of a request: its level, then its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    /// Of its priority.
    pub level: u32,
    /// In the order of coming, and of coming back.
    pub number: u64,
}

/// What stands in the line.
pub trait Waiting {
    /// Whether both can be rows of one batch.
    fn runs_with(&self, other: &Self) -> bool;
    /// Its rows that have not left yet.
    fn rows(&self) -> u64;
    /// Of its priority: 1 leaves first.
    fn level(&self) -> u32;
    /// When the front had read it.
    fn arrived(&self) -> Instant;
    /// When its caller stops waiting.
    fn deadline(&self) -> Option<Instant>;
    /// Take the first `rows` rows out of it, which leave alone.
    fn split(&mut self, rows: u64) -> Self;
    /// It stands somewhere else now.
    fn moved(&self, to: Ticket);
}
