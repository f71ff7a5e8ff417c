//! What all connections share, and where a call goes by its path.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{watch, Semaphore};

use crate::caller::{Answer, Caller, Way};
use crate::error::{shown, Cause, ServingError};
use crate::health::Health;
use crate::io::Io;
use crate::memory::MessageMemory;
use crate::outgoing::Outgoing;
use crate::predict::Route;
use crate::queue::ModelQueue;
use crate::rare::RareAnswer;
use crate::refusals::Refusals;
use crate::sync::lock;
use crate::table::Table;

const MODEL_INFER_PATH: &str = "/inference.GRPCInferenceService/ModelInfer";
const MODEL_STREAM_INFER_PATH: &str = "/inference.GRPCInferenceService/ModelStreamInfer";
const HEALTH_CHECK_PATH: &str = "/grpc.health.v1.Health/Check";
const HEALTH_WATCH_PATH: &str = "/grpc.health.v1.Health/Watch";

/// Messages that are read or unpacked on threads at one time.
const READ_AT_ONCE: usize = 32;

/// What one connection and one message may cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Of one message, in and out.
    pub max_message_bytes: usize,
    /// Of one call's headers.
    pub max_metadata_bytes: usize,
    /// After this a connection is asked to be made anew.
    pub max_connection_age: Duration,
    /// Between pings.
    pub keepalive_interval: Duration,
    /// How long a ping may take.
    pub keepalive_timeout: Duration,
}

/// How far the end of the front has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Not begun.
    Serving,
    /// Take nothing new, finish what was accepted.
    Draining,
    /// Drop what is left.
    Ended,
}

/// Wait until the end has come as far as `wanted`.
pub async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    // An error means that the server is no more: then everything has ended.
    let _ = phase.wait_for(|phase| *phase >= wanted).await;
}

/// What says the state that a watch tells of.
#[derive(Clone)]
pub enum Watched {
    /// grpc.health.v1.
    Health,
    /// A rare method.
    Rare(RareAnswer),
}

/// Where a call goes.
#[derive(Clone)]
pub enum Method {
    /// Into a queue.
    Predict(Arc<Route>),
    /// Into queues, message by message.
    StreamInfer,
    /// grpc.health.v1.
    HealthCheck,
    /// A rare unary method.
    Unary(RareAnswer),
    /// A rare method that answers every message of a stream, in order.
    Stream(RareAnswer),
    /// A rare method that tells a state now and after each change.
    Watch(Watched, Arc<watch::Sender<u64>>),
}

/// The front's inside, shared by all connections.
pub struct Server {
    /// ModelInfer.
    pub infer: Arc<Route>,
    /// What one connection may cost.
    pub limits: Limits,
    /// Which queue answers for a model and a version.
    pub table: Mutex<Table<ModelQueue>>,
    /// Room for large messages.
    pub message_memory: MessageMemory,
    /// Turns to read a message on a thread.
    pub reading: Arc<Semaphore>,
    /// The I/O thread's letter boxes.
    pub io: Arc<Io>,
    /// Sends answers.
    pub outgoing: Arc<Outgoing>,
    /// grpc.health.v1.
    pub health: Health,
    /// Counts the changes of health.
    pub health_changes: Arc<watch::Sender<u64>>,
    /// How far the end has come.
    pub phase: watch::Sender<Phase>,
    /// Open connections.
    pub connections: watch::Sender<usize>,
    methods: Mutex<HashMap<String, Method>>,
    open_routes: Vec<Route>,
}

impl Server {
    /// A server of these typed methods.
    pub fn new(typed: Vec<Route>, limits: Limits) -> Arc<Self> {
        let infer = Route { method: MODEL_INFER_PATH.to_owned(), rows_field: 0, rows_name: "inputs".to_owned() };
        let (open_routes, typed): (Vec<_>, Vec<_>) = typed.into_iter().partition(Route::is_open);
        let health_changes = Arc::new(watch::channel(0).0);
        let mut methods: HashMap<String, Method> =
            typed.into_iter().map(|route| (route.method.clone(), Method::Predict(Arc::new(route)))).collect();
        methods.insert(MODEL_STREAM_INFER_PATH.to_owned(), Method::StreamInfer);
        methods.insert(HEALTH_CHECK_PATH.to_owned(), Method::HealthCheck);
        methods.insert(HEALTH_WATCH_PATH.to_owned(), Method::Watch(Watched::Health, health_changes.clone()));
        let outgoing = Arc::new(Outgoing {
            limit: limits.max_message_bytes,
            refusals: Refusals::default(),
            room: MessageMemory::new(limits.max_message_bytes),
        });
        Arc::new(Server {
            infer: Arc::new(infer),
            message_memory: MessageMemory::new(limits.max_message_bytes),
            limits,
            table: Mutex::default(),
            reading: Arc::new(Semaphore::new(READ_AT_ONCE)),
            io: Arc::default(),
            outgoing,
            health: Health::default(),
            health_changes,
            phase: watch::channel(Phase::Serving).0,
            connections: watch::channel(0).0,
            methods: Mutex::new(methods),
            open_routes,
        })
    }

    /// Answer a rare method from now on.
    pub fn set_method(&self, path: &str, method: Method) {
        lock(&self.methods).insert(path.to_owned(), method);
    }

    /// Where a call goes.
    pub fn method(&self, path: &str) -> Result<Method, ServingError> {
        if path == MODEL_INFER_PATH {
            return Ok(Method::Predict(self.infer.clone()));
        }
        let named = lock(&self.methods).get(path).cloned();
        named.or_else(|| self.open_method(path)).ok_or_else(|| {
            let text = format!("no method '{}'", shown(path));
            ServingError::new(Cause::Unimplemented, "UNKNOWN_METHOD", text)
        })
    }

    fn open_method(&self, path: &str) -> Option<Method> {
        self.open_routes.iter().find_map(|route| route.of(path)).map(|route| Method::Predict(Arc::new(route)))
    }

    /// Send a caller its answer, if it still waits.
    pub fn send(&self, caller: &Caller, mut answer: Answer) {
        caller.keep(&mut answer);
        // Of a request in parts others may still run.
        let is_over = answer.outcome.is_err();
        match caller.answered() {
            Some(Way::Unary(to)) => self.outgoing.answer(to, answer),
            // Fails where the stream has ended, and with it the caller's wait.
            Some(Way::Element(to)) => drop(to.send(answer)),
            None => {}
        }
        if is_over {
            caller.waits_no_more();
        }
    }

    /// Say of a service or a model whether it serves.
    pub fn set_serving(&self, name: &str, serving: bool) {
        self.health.set_serving(name, serving);
        self.health_changes.send_modify(|changes| *changes += 1);
    }

    /// See `services.runtime.front.Front.drain`; the queues are the caller's to close.
    pub async fn drain(&self, grace: Duration, notice: Duration) {
        self.health.drain();
        self.health_changes.send_modify(|changes| *changes += 1);
        tokio::time::sleep(notice).await;
        self.phase.send_replace(Phase::Draining);
        let mut open = self.connections.subscribe();
        let _ = tokio::time::timeout(grace, open.wait_for(|open| *open == 0)).await;
        self.phase.send_replace(Phase::Ended);
        // Never an error: the sender is here.
        let _ = open.wait_for(|open| *open == 0).await;
    }
}
