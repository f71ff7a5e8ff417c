//! `argosy-echo`: answer every call with its own message, on a free port of 127.0.0.1, which is logged as JSON.

use std::net::SocketAddr;
use std::process::ExitCode;

use mio::net::TcpListener;

fn main() -> ExitCode {
    let served = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).and_then(|listener| {
        eprintln!("{{\"event\": \"serving\", \"address\": \"{}\"}}", listener.local_addr()?);
        argosy_load::echo::serve(listener)
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("argosy-echo: {error}");
            ExitCode::FAILURE
        }
    }
}
