//! `argosy-load --address HOST:PORT --path /package.Service/Method --message FILE … [--metadata NAME=VALUE …]
//! [--connections N] [--count N] (--in-flight N | --rate REQUESTS_A_SECOND)`: send load, write what came of it.

use std::io::{self, Result};
use std::process::ExitCode;

use argosy_load::load::Load;
use argosy_load::options::Options;
use argosy_load::request::Request;
use argosy_load::{closed_loop, open_loop, report};

fn main() -> ExitCode {
    let told = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => send(options).map_err(|error| error.to_string()),
        Err(wrong) => Err(wrong),
    };
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("argosy-load: {text}");
            ExitCode::FAILURE
        }
    }
}

fn send(options: Options) -> Result<()> {
    let authority = options.address.to_string();
    let request = Request::new(&authority, &options.path, &options.metadata, &options.messages);
    let mut load = Load::connect(options.address, request, options.connections)?;
    let elapsed_ns = match options.rate_per_s {
        Some(rate_per_s) => open_loop::run(&mut load, rate_per_s, options.connections, options.count)?,
        None => closed_loop::run(&mut load, options.in_flight, options.connections, options.count)?,
    };
    report::write(io::stdout().lock(), elapsed_ns, &load.tally)
}
