//! The fleet's own headers of a request: as names that are made once, not read from text every time.

use http::HeaderName;

/// What the name of each begins with.
pub const OWN: &str = "argosy-";
/// The model, as a router read it.
pub static MODEL: HeaderName = HeaderName::from_static("argosy-model");
/// The version, as a router read or chose it.
pub static VERSION: HeaderName = HeaderName::from_static("argosy-version");
/// The level of priority that is asked for.
pub static PRIORITY: HeaderName = HeaderName::from_static("argosy-priority");
/// What a router sends a step of a sequence by.
pub static SEQUENCE: HeaderName = HeaderName::from_static("argosy-sequence");
