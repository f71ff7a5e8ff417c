//! Rare methods that answer a stream message by message.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;

use crate::call_head::Call;
use crate::calls::with_message;
use crate::frame::framed;
use crate::incoming::{Broken, Incoming};
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
        let (message, held) = match race(next, poll_fn(|context| out.poll_gone(context))).await {
            Either::First(Either::First(()) | Either::Second(Ok(None))) => return out.end(None),
            Either::First(Either::Second(Ok(Some(message)))) => message,
            Either::First(Either::Second(Err(Broken::Refused(error)))) => return out.end(Some(&error)),
            Either::First(Either::Second(Err(Broken::Gone))) | Either::Second(()) => return,
        };
        match race(answer.ask(message, held), poll_fn(|context| out.poll_gone(context))).await {
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
    let Some(head) = incoming.next_head().await? else { return Ok(None) };
    let held = server.message_memory.hold_at_last(incoming.most_bytes(head)).await;
    let Some(message) = incoming.message(head, &held).await? else { return Ok(None) };
    let read = with_message(server, call, incoming.limit, message, held, |message| message).await;
    read.map(Some).map_err(Broken::Refused)
}
