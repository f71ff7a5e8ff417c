//! grpc.health.v1 of the process, '', its services and its models. NOT_SERVING until told otherwise.
//!
//! <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>

use std::collections::HashMap;
use std::sync::Mutex;

use bytes::Bytes;

use crate::error::{malformed, shown, Cause, ServingError};
use crate::proto::{text, Malformed, Reader, Value};
use crate::sync::lock;

const SERVING: u8 = 1;
const NOT_SERVING: u8 = 2;
const SERVICE_UNKNOWN: u8 = 3;

struct State {
    serving: HashMap<String, bool>,
    draining: bool,
}

/// What every name was last said to be.
pub struct Health {
    state: Mutex<State>,
}

impl Default for Health {
    fn default() -> Self {
        let serving = HashMap::from([(String::new(), false)]);
        Health { state: Mutex::new(State { serving, draining: false }) }
    }
}

impl Health {
    /// Say of a service or a model whether it serves.
    pub fn set_serving(&self, name: &str, serving: bool) {
        lock(&self.state).serving.insert(name.to_owned(), serving);
    }

    /// NOT_SERVING from now on, whatever is set.
    pub fn drain(&self) {
        lock(&self.state).draining = true;
    }

    /// The answer to Check: NOT_FOUND for a name that was never set.
    pub fn check(&self, message: &[u8]) -> Result<Bytes, ServingError> {
        let name = service_asked(message)?;
        match self.status(name) {
            SERVICE_UNKNOWN => {
                let text = format!("no service or model '{}'", shown(name));
                Err(ServingError::new(Cause::NotFound, "UNKNOWN_SERVICE", text))
            }
            status => Ok(response(status)),
        }
    }

    /// What Watch tells now.
    pub fn watch(&self, message: &[u8]) -> Result<Bytes, ServingError> {
        Ok(response(self.status(service_asked(message)?)))
    }

    fn status(&self, name: &str) -> u8 {
        let state = lock(&self.state);
        match state.serving.get(name) {
            None => SERVICE_UNKNOWN,
            Some(true) if !state.draining => SERVING,
            Some(_) => NOT_SERVING,
        }
    }
}

/// HealthCheckResponse: `status` is field 1.
fn response(status: u8) -> Bytes {
    Bytes::copy_from_slice(&[1 << 3, status])
}

fn service_asked(message: &[u8]) -> Result<&str, ServingError> {
    fn read(message: &[u8]) -> Result<&str, Malformed> {
        let (mut reader, mut name) = (Reader::new(message), "");
        while let Some((number, value)) = reader.field()? {
            if let (1, Value::Bytes(bytes)) = (number, value) {
                name = text(bytes)?;
            }
        }
        Ok(name)
    }
    read(message).map_err(|_| malformed("grpc.health.v1.HealthCheckRequest"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_unknown_until_set_and_a_drain_ends_all() {
        let health = Health::default();
        assert_eq!(health.check(b"").unwrap()[1], NOT_SERVING);
        assert_eq!(health.check(b"\x0a\x01m").unwrap_err().cause, Cause::NotFound);
        assert_eq!(health.watch(b"\x0a\x01m").unwrap()[1], SERVICE_UNKNOWN);
        health.set_serving("m", true);
        assert_eq!(health.check(b"\x0a\x01m").unwrap()[1], SERVING);
        health.drain();
        assert_eq!(health.check(b"\x0a\x01m").unwrap()[1], NOT_SERVING);
        assert_eq!(health.check(b"\x0a\x02m").unwrap_err().reason, "MALFORMED_MESSAGE");
    }
}
