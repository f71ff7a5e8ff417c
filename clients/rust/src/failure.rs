//! What can go wrong: a call, with what the fleet says of it beyond the status, or the caller's own flags.

use std::error::Error as StdError;
use std::fmt;
use std::iter::successors;
use std::time::Duration;

use tonic::{Code, Status, TimeoutExpired};
use tonic_types::StatusExt;

/// What ends the program.
pub enum Error {
    Call(Failure),
    /// A flag that is wrong, or a sample that cannot be read.
    Usage(String),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Call(failure)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(failure) => failure.fmt(f),
            Self::Usage(text) => f.write_str(text),
        }
    }
}

/// A call that failed. Reason and field may be empty.
pub struct Failure {
    pub code: Code,
    reason: String,
    field: String,
    message: String,
    retry_delay: Option<Duration>,
}

impl Failure {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, reason: String::new(), field: String::new(), message: message.into(), retry_delay: None }
    }

    /// When the fleet wants to be asked again; none where it must not be.
    pub fn retry_delay(&self) -> Option<Duration> {
        self.retry_delay.filter(|_| matches!(self.code, Code::Unavailable | Code::ResourceExhausted))
    }

    /// `DEADLINE_EXCEEDED`, which Rust spells `DeadlineExceeded`.
    pub fn status(&self) -> String {
        let mut name = String::new();
        for letter in format!("{:?}", self.code).chars() {
            if letter.is_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
        }
        name
    }

    /// `STATUS REASON`, or the status alone.
    pub fn status_and_reason(&self) -> String {
        if self.reason.is_empty() {
            self.status()
        } else {
            format!("{} {}", self.status(), self.reason)
        }
    }

    /// `STATUS REASON field=FIELD`, of which the last two may be missing.
    pub fn summary(&self) -> String {
        let words = self.status_and_reason();
        if self.field.is_empty() {
            words
        } else {
            format!("{words} field={}", self.field)
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())?;
        if self.message.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.message.replace(['\r', '\n'], " "))
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        // tonic's own timer calls it CANCELLED, which says that the caller gave up.
        if sources(&status).any(|error| error.is::<TimeoutExpired>()) {
            return Self::new(Code::DeadlineExceeded, "the deadline passed");
        }
        let (reason, field) = status
            .get_details_error_info()
            .map(|mut info| (info.reason, info.metadata.remove("field").unwrap_or_default()))
            .unwrap_or_default();
        Self {
            code: status.code(),
            reason,
            field,
            message: message(&status),
            retry_delay: status.get_details_retry_info().and_then(|info| info.retry_delay),
        }
    }
}

/// tonic says "transport error" and keeps the operating system's words in the sources.
fn message(status: &Status) -> String {
    let mut text = status.message().to_owned();
    for source in sources(status) {
        let words = source.to_string();
        if !text.contains(&words) {
            text = if text.is_empty() { words } else { format!("{text}: {words}") };
        }
    }
    text
}

fn sources(status: &Status) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    successors(status.source(), |&error| error.source())
}
