//! The fleet's own headers of a request, found once: to look for one in a map costs a hash of its name.

use http::HeaderValue;

/// What the name of each begins with.
pub const OWN: &str = "argosy-";

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// The model, as a router read it.
    Model,
    /// The version, as a router read or chose it.
    Version,
    /// The level of priority that is asked for.
    Priority,
    /// What a router sends a step of a sequence by.
    Sequence,
}

impl Own {
    /// As it stands on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Own::Model => "argosy-model",
            Own::Version => "argosy-version",
            Own::Priority => "argosy-priority",
            Own::Sequence => "argosy-sequence",
        }
    }

    fn of(name: &str) -> Option<Self> {
        [Own::Model, Own::Version, Own::Priority, Own::Sequence].into_iter().find(|own| own.name() == name)
    }
}

/// Those that came with a call, in their order; few callers send more than one.
#[derive(Clone, Debug, Default)]
pub struct OwnHeaders(Vec<(Own, HeaderValue)>);

impl OwnHeaders {
    /// Keep a header, if it is one of them.
    pub fn add(&mut self, name: &str, value: &HeaderValue) {
        if let Some(own) = Own::of(name) {
            self.0.push((own, value.clone()));
        }
    }

    /// Its values, more than one where it came more than once.
    pub fn all(&self, wanted: Own) -> impl Iterator<Item = &HeaderValue> {
        self.0.iter().filter(move |(own, _)| *own == wanted).map(|(_, value)| value)
    }

    /// Forget it.
    pub fn remove(&mut self, unwanted: Own) {
        self.0.retain(|(own, _)| *own != unwanted);
    }
}

#[cfg(test)]
impl OwnHeaders {
    /// One header.
    pub fn one(own: Own, value: &str) -> Self {
        OwnHeaders(vec![(own, HeaderValue::from_bytes(value.as_bytes()).unwrap())])
    }
}
