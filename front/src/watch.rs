//! A watched state: told when a caller comes and after every change, each time whole.
//!
//! What changed in between and back is not told. A drain tells the last state and ends the stream, so that an open
//! watch does not hold it up.

use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;
use tokio::sync::watch;

use crate::error::ServingError;
use crate::frame::framed;
use crate::memory::Held;
use crate::outgoing::OutgoingStream;
use crate::race::{race, Either};
use crate::server::{reached, Phase, Server, Watched};
use crate::unread::Gone;

/// Tell a caller who sent `message` of a state until it goes or the front drains.
pub async fn tell(
    server: Arc<Server>,
    watched: Watched,
    changes: &watch::Sender<u64>,
    message: Bytes,
    to: SendResponse<Bytes>,
) {
    let (mut changes, mut phase) = (changes.subscribe(), server.phase.subscribe());
    let mut last = match state(&server, &watched, &message).await {
        Ok(first) => first,
        Err(error) => return server.outgoing.refuse(to, &error, None),
    };
    let Some(mut out) = server.outgoing.stream(to) else { return };
    if out.send(framed(&last)).await.is_err() {
        return;
    }
    loop {
        let ended = match wait(&mut out, &mut changes, &mut phase).await {
            Ok(ended) => ended,
            Err(Gone) => return,
        };
        match state(&server, &watched, &message).await {
            Ok(now) if now != last => {
                if out.send(framed(&now)).await.is_err() {
                    return;
                }
                last = now;
            }
            Ok(_) => {}
            Err(error) => return out.end(Some(&error)),
        }
        if ended {
            return out.end(None);
        }
    }
}

async fn state(server: &Server, watched: &Watched, message: &Bytes) -> Result<Bytes, ServingError> {
    match watched {
        Watched::Health => server.health.watch(message),
        Watched::Rare(answer) => answer.ask(message.clone(), Held::default()).await,
    }
}

/// Wait for a change; whether the front drains.
async fn wait(
    out: &mut OutgoingStream,
    changes: &mut watch::Receiver<u64>,
    phase: &mut watch::Receiver<Phase>,
) -> Result<bool, Gone> {
    let change = race(changes.changed(), reached(phase, Phase::Draining));
    match race(change, std::future::poll_fn(|context| out.poll_gone(context))).await {
        Either::First(Either::First(_)) => Ok(false),
        Either::First(Either::Second(_)) => Ok(true),
        Either::Second(()) => Err(Gone),
    }
}
