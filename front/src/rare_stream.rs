//! Rare methods that answer a stream message by message.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;

use crate::calls::with_message;
use crate::frame::framed;
use crate::incoming::{Broken, Call, Incoming};
use crate::memory::Held;
use crate::race::{race, Either};
use crate::rare::RareAnswer;
use crate::server::{reached, Phase, Server};

/// Answer each message of a stream before the next is read.
pub async fn answer_each(
    server: Arc<Server>,
    call: Call,
    mut incoming: Incoming,
    answer: RareAnswer,
    to: SendResponse<Bytes>,
) {
    let Some(mut out) = server.outgoing.stream(to) else { return };
    let mut phase = server.phase.subscribe();
    loop {
        let next = race(reached(&mut phase, Phase::Draining), plain(&server, &call, &mut incoming));
        let (message, held) = match next.await {
            Either::First(()) | Either::Second(Ok(None)) => return out.end(None),
            Either::Second(Ok(Some(message))) => message,
            Either::Second(Err(Broken::Gone)) => return,
            Either::Second(Err(Broken::Refused(error))) => return out.end(Some(&error)),
        };
        let outcome = race(answer.ask(message), poll_fn(|context| out.poll_gone(context))).await;
        drop(held);
        match outcome {
            Either::First(Ok(reply)) => {
                if out.send(framed(&reply)).await.is_err() {
                    return;
                }
            }
            Either::First(Err(error)) => return out.end(Some(&error)),
            Either::Second(()) => return,
        }
    }
}

/// The next message of a stream, unpacked; None after the last.
async fn plain(server: &Server, call: &Call, incoming: &mut Incoming) -> Result<Option<(Bytes, Held)>, Broken> {
    let held = server.memory.hold(incoming.next_bytes().await?).await;
    let Some(message) = incoming.message().await? else { return Ok(None) };
    let read = with_message(server, call, incoming.limit, message, held, |message| message).await;
    read.map(Some).map_err(Broken::Refused)
}
