//! The command line: flags with one value each, files for the messages.

use std::fs;
use std::net::SocketAddr;

use crate::headers;
use crate::request::fixed_headers;

/// HPACK's shortest form of a length takes one byte up to here.
const LONGEST_TEXT: usize = 126;

/// How the load is to be sent.
#[derive(Debug)]
pub struct Options {
    /// Of the server, `127.0.0.1:8500`.
    pub address: SocketAddr,
    /// `/package.Service/Method`.
    pub path: String,
    /// Headers of every request.
    pub metadata: Vec<(String, String)>,
    /// Requests, encoded.
    pub messages: Vec<Vec<u8>>,
    /// TCP connections.
    pub connections: usize,
    /// Requests at a time; without effect where there is a rate.
    pub in_flight: usize,
    /// Requests in all.
    pub count: u64,
    /// Requests a second, whatever becomes of them.
    pub rate_per_s: Option<f64>,
}

impl Options {
    /// From the arguments after the program's name. The error is a line that says which is wrong.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            path: String::new(),
            metadata: Vec::new(),
            messages: Vec::new(),
            connections: 1,
            in_flight: 1,
            count: 1,
            rate_per_s: None,
        };
        let mut arguments = arguments.into_iter();
        while let Some(flag) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{flag} needs a value"))?;
            options.set(&flag, &value)?;
        }
        options.checked()
    }

    fn set(&mut self, flag: &str, value: &str) -> Result<(), String> {
        match flag {
            "--address" => self.address = number(flag, value)?,
            "--path" => self.path = value.to_owned(),
            "--metadata" => self.metadata.push(header(value)?),
            "--message" => self.messages.push(fs::read(value).map_err(|error| format!("{value}: {error}"))?),
            "--connections" => self.connections = number(flag, value)?,
            "--in-flight" => self.in_flight = number(flag, value)?,
            "--count" => self.count = number(flag, value)?,
            "--rate" => self.rate_per_s = Some(number(flag, value)?),
            _ => return Err(format!("{flag} is no flag of this program")),
        }
        Ok(())
    }

    fn checked(self) -> Result<Options, String> {
        let wrong = |text: &str| Err(text.to_owned());
        if self.address.port() == 0 {
            return wrong("--address must be host:port");
        }
        if !self.path.starts_with('/') || self.path.len() > LONGEST_TEXT {
            return wrong("--path must be /package.Service/Method, of at most 126 bytes");
        }
        let own = self.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        if !headers::fit(fixed_headers(&self.address.to_string(), &self.path).into_iter().chain(own)) {
            return wrong("--metadata and --path must fit into HPACK's table, 4096 bytes with 32 for each header");
        }
        if self.messages.is_empty() {
            return wrong("--message must name a file at least once");
        }
        if self.connections == 0 || self.in_flight == 0 || self.count == 0 {
            return wrong("--connections, --in-flight and --count must be at least 1");
        }
        if self.rate_per_s.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
            return wrong("--rate must be more than 0");
        }
        Ok(self)
    }
}

fn number<T: std::str::FromStr>(flag: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{flag}: {value} is not understood"))
}

fn header(value: &str) -> Result<(String, String), String> {
    match value.split_once('=') {
        Some((name, value)) if name.len().max(value.len()) <= LONGEST_TEXT => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("--metadata must be name=value, each of at most {LONGEST_TEXT} bytes; it is {value}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split(' ').map(str::to_owned))
    }

    #[test]
    fn a_flag_that_is_unknown_is_named() {
        assert_eq!(parse("--speed 3").unwrap_err(), "--speed is no flag of this program");
    }

    #[test]
    fn a_rate_of_nothing_is_refused() {
        let line = "--address 127.0.0.1:1 --path /a/b --message /dev/null --rate 0";
        assert_eq!(parse(line).unwrap_err(), "--rate must be more than 0");
    }

    #[test]
    fn an_order_is_read() {
        let options = parse("--address 127.0.0.1:1 --path /a/b --metadata k=v --message /dev/null --in-flight 32");
        let options = options.unwrap();
        assert_eq!((options.in_flight, options.metadata), (32, vec![("k".to_owned(), "v".to_owned())]));
    }
}
