//! The eight things. Each answers the lines that all languages print alike.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{timeout, Instant};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;

use crate::failure::{Error, Failure};
use crate::flags::{Flags, Step};
use crate::fleet::{Fleet, Reply};
use crate::samples::Samples;
use crate::stubs::argosy::{
    Category, RowPrediction, TabularServicePredictRequest, TextServiceEmbedRequest, TextServiceEmbedResponse,
    VisionServiceClassifyRequest, VisionServiceClassifyResponse,
};
use crate::stubs::inference::model_infer_request::InferInputTensor;
use crate::stubs::inference::ModelInferRequest;

const TEXT_MODEL: &str = "minilm";
const CALLS_AT_ONCE: usize = 16;
const EDGE: usize = 28;

type Lines = Result<Vec<String>, Error>;

pub struct Steps<'a> {
    flags: &'a Flags,
    fleet: Fleet,
    samples: Samples,
}

impl<'a> Steps<'a> {
    pub fn new(flags: &'a Flags) -> Result<Self, Error> {
        Ok(Self { flags, fleet: Fleet::new(flags)?, samples: Samples { folder: flags.samples.clone() } })
    }

    pub async fn lines(&self, step: Step) -> Lines {
        match step {
            Step::Image => self.image().await,
            Step::Embedding => self.embedding().await,
            Step::Table => self.table().await,
            Step::Tensor => self.tensor().await,
            Step::Deadline => self.deadline().await,
            Step::WrongInput => self.wrong_input().await,
            Step::Refusal => self.refusal().await,
            Step::Health => self.health().await,
        }
    }

    async fn image(&self) -> Lines {
        let reply = self.classify(vec![self.samples.seven()?]).await?;
        // tonic joins the trailers to the headers.
        let metadata = reply.response.metadata().clone().into_headers();
        let mut trailers: Vec<_> =
            metadata.keys().map(|name| name.as_str()).filter(|name| name.starts_with("argosy-")).collect();
        trailers.sort_unstable();
        let message = reply.into_message();
        let best = first(message.results.first().and_then(|result| result.categories.first()))?;
        Ok(vec![format!("image: {}", category_text(best)), format!("trailers: {}", trailers.join(" "))])
    }

    async fn embedding(&self) -> Lines {
        let reply = match self.flags.cancel_after {
            None => self.embed(self.samples.sentences()?).await?,
            // Dropping a call is how it is cancelled: the server is told.
            Some(delay) => timeout(delay, self.embed(self.many_sentences()?))
                .await
                .unwrap_or_else(|_| Err(Failure::new(Code::Cancelled, "--cancel-after-ms passed")))?,
        };
        let vector = |index: usize| first(reply.results.get(index).and_then(|result| result.embedding.as_ref()));
        let (left, right) = (&vector(0)?.values, &vector(1)?.values);
        let cosine = dot(left, right) / (dot(left, left) * dot(right, right)).sqrt();
        Ok(vec![format!("embedding: {} values, cosine {cosine:.3}", left.len())])
    }

    async fn table(&self) -> Lines {
        let mut lines = Vec::new();
        for model in ["diabetes", "income"] {
            let rows = self.samples.rows(model)?;
            let request = TabularServicePredictRequest { model: model.to_owned(), rows, ..Default::default() };
            let call = async |request| self.fleet.tabular().predict(request).await;
            let reply = self.fleet.call(model, request, call).await?.into_message();
            let rows = reply.results.iter().enumerate();
            lines.extend(rows.map(|(index, row)| format!("table: {model} row {}: {}", index + 1, row_text(row))));
        }
        Ok(lines)
    }

    async fn tensor(&self) -> Lines {
        let edge = EDGE as i64;
        let image = InferInputTensor {
            name: "image".to_owned(),
            datatype: "FP32".to_owned(),
            shape: vec![1, edge, edge, 1],
            ..Default::default()
        };
        let request = ModelInferRequest {
            model_name: self.flags.model.clone(),
            inputs: vec![image],
            raw_input_contents: vec![drawn_one()],
            ..Default::default()
        };
        let call = async |request| self.fleet.tensors().model_infer(request).await;
        let reply = self.fleet.call(&self.flags.model, request, call).await?.into_message();
        let output = first(reply.outputs.first())?;
        let values = floats(first(reply.raw_output_contents.first())?);
        let (index, score) =
            first(values.iter().copied().enumerate().max_by(|left, right| left.1.total_cmp(&right.1)))?;
        let (name, datatype, shape) = (&output.name, &output.datatype, &output.shape);
        Ok(vec![format!("tensor: {name} {datatype} {shape:?}, likeliest {index} {score:.3}")])
    }

    async fn deadline(&self) -> Lines {
        let request = embed_request(self.many_sentences()?);
        let deadline = Instant::now() + Duration::from_millis(5);
        let call = async |request| self.fleet.text().embed(request).await;
        let outcome = self.fleet.attempt(TEXT_MODEL, request, deadline, &call).await;
        let status = expected(outcome, Code::DeadlineExceeded)?.map_or("OK".to_owned(), |failure| failure.status());
        Ok(vec![format!("deadline: {status}")])
    }

    async fn wrong_input(&self) -> Lines {
        let outcome = self.classify(vec![b"not an image".to_vec()]).await;
        let summary = expected(outcome, Code::InvalidArgument)?.map_or("OK".to_owned(), |failure| failure.summary());
        Ok(vec![format!("wrong-input: {summary}")])
    }

    /// More than the queue takes, at once. A call counts as unanswered if it was refused to the end.
    async fn refusal(&self) -> Lines {
        let images = vec![self.samples.seven()?; 300];
        let mut answered = 0;
        let mut refusals = Vec::new();
        for outcome in join_all((0..CALLS_AT_ONCE).map(|_| self.classify(images.clone()))).await {
            match outcome {
                Ok(reply) => {
                    answered += 1;
                    refusals.extend(reply.refusals);
                }
                Err(failure) if failure.retry_delay().is_some() => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        let first = refusals.first().map_or("OK".to_owned(), Failure::status_and_reason);
        Ok(vec![format!("refusal: {first}, {answered} of {CALLS_AT_ONCE} answered after retries")])
    }

    async fn health(&self) -> Lines {
        let model = &self.flags.model;
        let (fleet, one) = (self.health_of("").await?, self.health_of(model).await?);
        Ok(vec![format!("health: fleet {fleet}, {model} {one}")])
    }

    async fn health_of(&self, service: &str) -> Result<&'static str, Failure> {
        let request = HealthCheckRequest { service: service.to_owned() };
        let call = async |request| self.fleet.health().check(request).await;
        Ok(self.fleet.call("", request, call).await?.into_message().status().as_str_name())
    }

    async fn classify(&self, images: Vec<Vec<u8>>) -> Result<Reply<VisionServiceClassifyResponse>, Failure> {
        let model = self.flags.model.clone();
        let request = VisionServiceClassifyRequest { model, images, top_k: 1, ..Default::default() };
        let call = async |request| self.fleet.vision().classify(request).await;
        self.fleet.call(&self.flags.model, request, call).await
    }

    async fn embed(&self, texts: Vec<String>) -> Result<TextServiceEmbedResponse, Failure> {
        let call = async |request| self.fleet.text().embed(request).await;
        Ok(self.fleet.call(TEXT_MODEL, embed_request(texts), call).await?.into_message())
    }

    fn many_sentences(&self) -> Result<Vec<String>, Error> {
        Ok(vec![self.samples.sentences()?; 100].concat())
    }
}

fn embed_request(texts: Vec<String>) -> TextServiceEmbedRequest {
    TextServiceEmbedRequest { model: TEXT_MODEL.to_owned(), texts, ..Default::default() }
}

/// The failure that the step is there for; none where the call succeeded, an error where it is another one.
fn expected<T>(outcome: Result<T, Failure>, code: Code) -> Result<Option<Failure>, Failure> {
    match outcome {
        Ok(_) => Ok(None),
        Err(failure) if failure.code == code => Ok(Some(failure)),
        Err(failure) => Err(failure),
    }
}

/// A reply has one result an input; one that has not is the server's fault.
fn first<T>(part: Option<T>) -> Result<T, Failure> {
    part.ok_or_else(|| Failure::new(Code::Internal, "the reply lacks a result"))
}

fn category_text(category: &Category) -> String {
    format!("{} {:.3}", category.label, category.score)
}

fn row_text(row: &RowPrediction) -> String {
    let quantities = row.quantities.iter().map(|quantity| format!("{} {:.1}", quantity.name, quantity.value));
    let mut answer: Vec<_> = quantities.chain(row.categories.first().map(category_text)).collect();
    if !row.imputed_columns.is_empty() {
        let mut names = row.imputed_columns.clone();
        names.sort_unstable();
        answer.push(format!("(imputed {})", names.join(" ")));
    }
    answer.join(" ")
}

fn drawn_one() -> Vec<u8> {
    let drawn = |row: usize, column: usize| (4..24).contains(&row) && (13..15).contains(&column);
    let pixel = |index: usize| if drawn(index / EDGE, index % EDGE) { 1.0_f32 } else { 0.0 };
    (0..EDGE * EDGE).flat_map(|index| pixel(index).to_le_bytes()).collect()
}

fn floats(raw: &[u8]) -> Vec<f32> {
    raw.chunks_exact(4).map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])).collect()
}

fn dot(left: &[f32], right: &[f32]) -> f64 {
    left.iter().zip(right).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}
