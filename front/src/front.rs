//! A front from its socket to its end: the thread that does all I/O, and what other threads may ask of it.

use std::future::Future;
use std::io;
use std::sync::{mpsc, Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::runtime::{self, Handle, Runtime};
use tokio::sync::Notify;

use crate::listener::Bound;
use crate::predict::Route;
use crate::queue::ModelQueue;
use crate::queue_spec::QueueSpec;
use crate::server::{Limits, Server};
use crate::sync::lock;
use crate::tls::{Tls, TlsFiles};
use crate::turns::take_short_turns;

/// Threads for what takes long or may block, started when needed: more than there are turns for it (`rare`, `Server`),
/// so that whoever has a turn waits for nobody else.
const THREADS: usize = 512;

/// A gRPC server in this process.
pub struct Front {
    /// What its connections share.
    pub server: Arc<Server>,
    /// host:port that it listens on.
    pub address: String,
    /// Of its I/O thread.
    pub runtime: Handle,
    stop: Arc<Notify>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Front {
    /// Listen, and serve from now on.
    pub fn new(address: &str, typed: Vec<Route>, limits: Limits, tls: Option<TlsFiles>) -> io::Result<Self> {
        let tls = tls.map(Tls::new).transpose()?.map(Arc::new);
        let (bound, address) = Bound::bind(address)
            .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
        let server = Server::new(typed, limits);
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(THREADS)
            .thread_name("front-work")
            .build()?;
        let (handle, stop) = (runtime.handle().clone(), Arc::new(Notify::new()));
        let (inner, stopped) = (server.clone(), stop.clone());
        let thread =
            Builder::new().name("front".to_owned()).spawn(move || run(runtime, bound, tls, inner, &stopped))?;
        Ok(Front { server, address, runtime: handle, stop, thread: Mutex::new(Some(thread)) })
    }

    /// Admit requests for a model-version from now on, in the place of the queue that was open before.
    pub fn open_queue(&self, spec: QueueSpec) -> Arc<ModelQueue> {
        let queue = ModelQueue::new(spec, self.server.io.clone());
        let spec = &queue.spec;
        let before = lock(&self.server.table).open(&spec.model, &spec.version, queue.clone());
        if let Some(before) = before {
            before.close();
        }
        queue
    }

    /// Admit no more requests for a model-version.
    pub fn close_queue(&self, model: &str, version: &str) {
        let queue = lock(&self.server.table).close(model, version);
        if let Some(queue) = queue {
            queue.close();
        }
    }

    /// See `services.runtime.front.Front.drain`. A second call waits for the first and does nothing.
    pub fn drain(&self, grace: Duration, notice: Duration) {
        let mut thread = lock(&self.thread);
        let Some(running) = thread.take() else { return };
        let (server, (done, drained)) = (self.server.clone(), mpsc::channel());
        self.runtime.spawn(async move {
            server.drain(grace, notice).await;
            let _ = done.send(());
        });
        // An error means that the I/O thread is no more, and so nothing is left to wait for.
        let _ = drained.recv();
        let queues = lock(&self.server.table).queues();
        for queue in queues {
            self.close_queue(&queue.spec.model, &queue.spec.version);
        }
        self.stop.notify_one();
        let _ = running.join();
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
}

/// Run a task that all callers need, and begin it anew should it panic: it goes on with the next.
async fn kept_up<Task: Future<Output = ()> + Send + 'static>(task: impl Fn() -> Task) {
    while tokio::spawn(task()).await.is_err_and(|error| error.is_panic()) {}
}

fn run(runtime: Runtime, bound: Bound, tls: Option<Arc<Tls>>, server: Arc<Server>, stop: &Notify) {
    take_short_turns();
    runtime.block_on(async {
        let (io, sender) = (server.io.clone(), server.clone());
        tokio::spawn(kept_up(move || {
            let (io, sender) = (io.clone(), sender.clone());
            async move { io.deliver(|caller, answer| sender.send(caller, answer)).await }
        }));
        let io = server.io.clone();
        tokio::spawn(kept_up(move || {
            let io = io.clone();
            async move { io.end_rounds().await }
        }));
        tokio::spawn(bound.accept(server, tls));
        stop.notified().await;
    });
    // Callbacks into Python may still run; they are not waited for.
    runtime.shutdown_background();
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_task_that_panics_is_begun_anew_and_one_that_ends_is_not() {
        let begun = Arc::new(AtomicUsize::new(0));
        let counter = begun.clone();
        let task = move || {
            let counter = counter.clone();
            async move { assert!(counter.fetch_add(1, Ordering::Relaxed) == 2, "not yet") }
        };
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(kept_up(task));
        assert_eq!(begun.load(Ordering::Relaxed), 3);
    }
}
