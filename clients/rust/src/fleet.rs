//! One channel to the fleet for every call: keepalive, message size, deadlines, the model's header and retries.

use std::fs;
use std::path::Path;
use std::time::Duration;

use prost::Message;
use tokio::time::{sleep, timeout_at, Instant};
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_client::HealthClient;

use crate::failure::{Error, Failure};
use crate::flags::Flags;
use crate::stubs::argosy::tabular_service_client::TabularServiceClient;
use crate::stubs::argosy::text_service_client::TextServiceClient;
use crate::stubs::argosy::vision_service_client::VisionServiceClient;
use crate::stubs::inference::grpc_inference_service_client::GrpcInferenceServiceClient;

const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// What a call was answered, and the refusals that were retried before, first one first.
pub struct Reply<T> {
    pub response: Response<T>,
    pub refusals: Vec<Failure>,
}

impl<T> Reply<T> {
    pub fn into_message(self) -> T {
        self.response.into_inner()
    }
}

/// Made once and kept; its calls may run side by side. tonic takes no proxy of the environment.
pub struct Fleet {
    channel: Channel,
    timeout: Duration,
    max_message_bytes: usize,
}

/// A stub on the fleet's channel, with its limit of replies. A macro, as the generated clients share no trait.
macro_rules! stub {
    ($name:ident, $client:ident) => {
        pub fn $name(&self) -> $client<Channel> {
            $client::new(self.channel.clone()).max_decoding_message_size(self.max_message_bytes)
        }
    };
}

impl Fleet {
    /// Connects with the first call.
    pub fn new(flags: &Flags) -> Result<Self, Error> {
        Ok(Self {
            channel: endpoint(flags)?.connect_lazy(),
            timeout: flags.timeout,
            max_message_bytes: flags.max_message_bytes,
        })
    }

    stub!(vision, VisionServiceClient);
    stub!(text, TextServiceClient);
    stub!(tabular, TabularServiceClient);
    stub!(tensors, GrpcInferenceServiceClient);
    stub!(health, HealthClient);

    /// Asks again while the fleet says so and the deadline allows; `model` is empty where none is named.
    pub async fn call<Q: Message + Clone, R>(
        &self,
        model: &str,
        message: Q,
        send: impl AsyncFn(Request<Q>) -> Result<Response<R>, Status>,
    ) -> Result<Reply<R>, Failure> {
        let deadline = Instant::now() + self.timeout;
        let mut refusals = Vec::new();
        loop {
            let failure = match self.attempt(model, message.clone(), deadline, &send).await {
                Ok(response) => return Ok(Reply { response, refusals }),
                Err(failure) => failure,
            };
            let Some(delay) = failure.retry_delay().filter(|delay| Instant::now() + *delay < deadline) else {
                return Err(failure);
            };
            refusals.push(failure);
            sleep(delay).await;
        }
    }

    /// One attempt. The deadline is told to the server, and kept here too: it holds while connecting as well.
    pub async fn attempt<Q: Message, R>(
        &self,
        model: &str,
        message: Q,
        deadline: Instant,
        send: &impl AsyncFn(Request<Q>) -> Result<Response<R>, Status>,
    ) -> Result<Response<R>, Failure> {
        let (bytes, most) = (message.encoded_len(), self.max_message_bytes);
        // tonic's own limit of requests ends them as a broken stream, which names no size.
        if bytes > most {
            let text = format!("request of {bytes} bytes, at most {most} are sent");
            return Err(Failure::new(Code::ResourceExhausted, text));
        }
        let mut request = Request::new(message);
        request.set_timeout(deadline - Instant::now());
        if !model.is_empty() {
            let name = AsciiMetadataValue::try_from(model)
                .map_err(|_| Failure::new(Code::InvalidArgument, "--model: not a name that a header holds"))?;
            request.metadata_mut().insert("argosy-model", name);
            request.metadata_mut().insert("argosy-version", AsciiMetadataValue::from_static(""));
        }
        match timeout_at(deadline, send(request)).await {
            Ok(result) => result.map_err(Failure::from),
            Err(_) => Err(Failure::new(Code::DeadlineExceeded, "the deadline passed")),
        }
    }
}

fn endpoint(flags: &Flags) -> Result<Endpoint, Error> {
    let scheme = if flags.tls_ca.is_some() { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{}", flags.address))
        .map_err(|_| Error::Usage(format!("--address {}: HOST:PORT is needed", flags.address)))?
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    match &flags.tls_ca {
        Some(path) => endpoint.tls_config(tls(path)?).map_err(|_| no_certificates(path)),
        None => Ok(endpoint),
    }
}

fn tls(path: &Path) -> Result<ClientTlsConfig, Error> {
    let pem = fs::read_to_string(path).map_err(|_| no_certificates(path))?;
    // Looked for here: without it every call would fail, and with words that name no file.
    if !pem.contains("-----BEGIN CERTIFICATE-----") {
        return Err(no_certificates(path));
    }
    Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
}

fn no_certificates(path: &Path) -> Error {
    Error::Usage(format!("--tls-ca {}: no certificates in PEM", path.display()))
}
