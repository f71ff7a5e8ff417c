//! The eight things of clients/README.md in Rust.
//!
//! Flags in, the steps' lines out; exit code 1 for a call that failed, 2 for a flag or a sample.

mod failure;
mod flags;
mod fleet;
mod samples;
mod steps;

/// The stubs that build.rs generated. Their packages are siblings of `google`, which prost has in prost-types.
mod stubs {
    pub mod argosy {
        tonic::include_proto!("argosy.v1");
    }
    pub mod inference {
        tonic::include_proto!("inference");
    }
}

use std::process::ExitCode;

use failure::Error;
use flags::{Flags, Step};
use steps::Steps;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Err(error) = run().await else { return ExitCode::SUCCESS };
    eprintln!("error: {error}");
    match error {
        Error::Call(_) => ExitCode::from(1),
        Error::Usage(_) => ExitCode::from(2),
    }
}

async fn run() -> Result<(), Error> {
    let flags = Flags::read()?;
    let steps = Steps::new(&flags)?;
    for step in flags.only.map_or(Step::ALL.to_vec(), |step| vec![step]) {
        for line in steps.lines(step).await? {
            println!("{line}");
        }
    }
    Ok(())
}
