//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::failure::Error;

/// What the flags ask for; `only` is none for every step.
#[derive(Parser)]
pub struct Flags {
    #[arg(long, default_value = "127.0.0.1:8500")]
    pub address: String,
    #[arg(long, default_value = "clients/samples")]
    pub samples: PathBuf,
    /// Speak TLS, trusting the certificates in this PEM file.
    #[arg(long)]
    pub tls_ca: Option<PathBuf>,
    /// The deadline of every call, retries included.
    #[arg(long = "timeout-s", default_value = "10", value_parser = seconds)]
    pub timeout: Duration,
    #[arg(long)]
    pub only: Option<Step>,
    #[arg(long, default_value = "digits")]
    pub model: String,
    #[arg(long, default_value_t = 64 << 20)]
    pub max_message_bytes: usize,
    #[arg(long = "cancel-after-ms", value_parser = milliseconds)]
    pub cancel_after: Option<Duration>,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Step {
    Image,
    Embedding,
    Table,
    Tensor,
    Deadline,
    WrongInput,
    Refusal,
    Health,
}

impl Step {
    /// In the order in which they are run.
    pub const ALL: [Self; 8] = [
        Self::Image,
        Self::Embedding,
        Self::Table,
        Self::Tensor,
        Self::Deadline,
        Self::WrongInput,
        Self::Refusal,
        Self::Health,
    ];
}

impl Flags {
    /// The program's own. An error is clap's first line: the usage that it adds is in --help.
    pub fn read() -> Result<Self, Error> {
        Self::try_parse().map_err(|error| {
            if !error.use_stderr() {
                error.exit();
            }
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            Error::Usage(line.trim_start_matches("error: ").to_owned())
        })
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "not a number".to_owned())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if duration.is_zero() {
        Err("more than 0 is needed".to_owned())
    } else {
        Ok(duration)
    }
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_millis).map_err(|_| "not a whole number".to_owned())
}
