//! One HTTP/2 connection: its calls, its pings, its age, its end.

use std::collections::hash_map::RandomState;
use std::future::{poll_fn, Future};
use std::hash::{BuildHasher, Hasher};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, Connection};
use h2::{Ping, PingPong};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};

use crate::calls::accept;
use crate::counted::{Counted, Received};
use crate::frame::HEAD;
use crate::memory::SMALL_BYTES;
use crate::race::{race, Either};
use crate::server::{reached, Limits, Phase, Server};

/// How long a connection may take to become one.
const HANDSHAKE: Duration = Duration::from_secs(20);

const STREAM_WINDOW: u32 = 1 << 20;
const FRAME: u32 = 1 << 20;
const CALLS: u32 = 1024;
/// Room for every stream's window: a proxy sends many callers' calls on one connection, and the streams of some that do
/// not read their answers, and so are not read from, must not stand in the others' way.
const CONNECTION_WINDOW: u32 = CALLS * STREAM_WINDOW;
/// What small frames that are not read may cost, each the less the more it has of 256 bytes: beyond it the connection ends.
const SMALL_FRAMES: usize = 256 << 20;

/// Calls that were refused before their message had come, whose late frames are passed over: by as many as may be open, a
/// round trip's worth of each. What comes later counts against a connection, which ends at so many.
const REFUSED: usize = 4 * CALLS as usize;
const LATE_FRAMES: usize = 1 << 20;

/// An answer to a ping stands behind what the other side was sending before it read the ping.
const MOST_PATIENCES: usize = 60;

/// Above the limit on metadata: within this a call is refused with details, beyond it HTTP/2 itself refuses.
const METADATA_SLACK: usize = 64 * 1024;

/// Counts a connection for as long as it is held.
pub struct Open(Arc<Server>);

impl Open {
    /// One more.
    pub fn new(server: Arc<Server>) -> Self {
        server.connections.send_modify(|open| *open += 1);
        Open(server)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.send_modify(|open| *open -= 1);
    }
}

/// What comes of a handshake; None where it fails, takes too long or the front drains before: nobody who has not yet
/// become a caller is waited for.
pub async fn in_time<T, E>(server: &Server, handshake: impl Future<Output = Result<T, E>>) -> Option<T> {
    let mut phase = server.phase.subscribe();
    match race(timeout(HANDSHAKE, handshake), reached(&mut phase, Phase::Draining)).await {
        Either::First(Ok(Ok(taken))) => Some(taken),
        _ => None,
    }
}

/// Serve a connection until either side ends it.
pub async fn serve<Socket: AsyncRead + AsyncWrite + Unpin>(socket: Socket, server: Arc<Server>) {
    let received = Received::default();
    let handshake = builder(&server.limits).handshake::<_, Bytes>(Counted::new(socket, received.clone()));
    let Some(mut connection) = in_time(&server, handshake).await else { return };
    let pings = connection.ping_pong();
    let mut phase = server.phase.subscribe();
    let mut end = server.phase.subscribe();
    let mut leave = pin!(race(sleep(age(&server.limits)), reached(&mut phase, Phase::Draining)));
    let mut die = pin!(race(silence(pings, &received, &server.limits), reached(&mut end, Phase::Ended)));
    let mut leaving = false;
    poll_fn(|context| loop {
        if take_calls(&mut connection, &server, context).is_ready() || die.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        if leaving || leave.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        leaving = true;
        connection.graceful_shutdown();
    })
    .await;
}

/// Answer the calls that have come; ready when the connection has ended.
fn take_calls<Socket: AsyncRead + AsyncWrite + Unpin>(
    connection: &mut Connection<Socket, Bytes>,
    server: &Arc<Server>,
    context: &mut std::task::Context,
) -> Poll<()> {
    loop {
        match connection.poll_accept(context) {
            Poll::Ready(Some(Ok((request, to)))) => accept(server, request, to, context),
            Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
            Poll::Pending => return Poll::Pending,
        }
    }
}

fn builder(limits: &Limits) -> Builder {
    let mut builder = Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .data_frame_budget(SMALL_FRAMES)
        .max_frame_size(FRAME)
        .max_send_buffer_size(SMALL_BYTES + HEAD)
        .max_concurrent_streams(CALLS)
        .max_pending_accept_reset_streams(CALLS as usize)
        .max_concurrent_reset_streams(REFUSED)
        .max_local_error_reset_streams(Some(LATE_FRAMES))
        .max_header_list_size(u32::try_from(limits.max_metadata_bytes + METADATA_SLACK).unwrap_or(u32::MAX));
    builder
}

/// Ping the other side for as long as it answers, or sends anything else: behind what it is sending an answer may take
/// its time.
async fn silence(pings: Option<PingPong>, received: &Received, limits: &Limits) {
    let Some(mut pings) = pings else { return std::future::pending().await };
    loop {
        sleep(limits.keepalive_interval).await;
        if answered(&mut pings, received, limits.keepalive_timeout).await.is_none() {
            return;
        }
    }
}

/// None where for so long nothing came, or no answer in many times as long, or the connection has ended.
async fn answered(pings: &mut PingPong, received: &Received, patience: Duration) -> Option<()> {
    let mut pong = pin!(pings.ping(Ping::opaque()));
    for _ in 0..MOST_PATIENCES {
        let before = received.bytes();
        match timeout(patience, pong.as_mut()).await {
            Ok(pong) => return pong.ok().map(|_| ()),
            Err(_) if received.bytes() == before => return None,
            Err(_) => {}
        }
    }
    None
}

/// The greatest age of a connection, 10 % more or less, so that not all are made anew at once.
fn age(limits: &Limits) -> Duration {
    let random = RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64;
    limits.max_connection_age.mul_f64(0.9 + 0.2 * random)
}
