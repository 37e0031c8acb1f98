//! What upstreams answer, as it goes to the client.

use std::borrow::Cow;

use model::{Answer, Reply, ReplyKind, Turn};
use wire::{Era, RequestId, RpcError};

use super::{Keeping, Outcome, Sent, failed};

/// An upstream's own answer, as the guard let it through.
pub(super) fn send_forwarded(reply: &Reply, id: RequestId<'_>, era: Era) -> Sent {
    let result = |outcome| {
        let json = match era {
            Era::Modern if !reply.says_its_type => wire::with_result_type(&reply.json),
            Era::Modern | Era::Legacy => Cow::Borrowed(&*reply.json),
        };
        Sent { message: wire::write_forwarded(id, "result", &json), status: 200, outcome }
    };
    match reply.kind {
        ReplyKind::Done => result(Outcome::Done),
        ReplyKind::ToolError => result(Outcome::ToolError),
        ReplyKind::ProtocolError(code) => {
            let message = wire::write_forwarded(id, "error", &reply.json);
            Sent { message, status: wire::status_of(code, era), outcome: Outcome::ProtocolError }
        }
    }
}

/// An upstream's own result that asks its client, with the state that is sealed in place of its own; nothing else of it
/// changes where it is to stay as it came. `None` if it asks nothing, or not by a result.
pub(super) fn send_asking(answer: &Answer, id: RequestId<'_>, era: Era) -> Option<Sent> {
    let (Turn::Client(asked), Some(reply), Era::Modern) = (&answer.turn, &answer.reply, era) else {
        return None;
    };
    let questions = (!reply.faithful).then_some(&asked.questions);
    Some(match wire::asking(&reply.json, asked.state.as_deref(), questions) {
        Ok(json) => {
            let message = wire::write_forwarded(id, "result", &json);
            Sent { message, status: 200, outcome: Outcome::Done }
        }
        Err(_) => failed(Some(id), &RpcError::Internal, era),
    })
}

/// What an upstream says beside tools. What a client could keep, it is told not to: by the next time rules may be others.
pub(super) fn send_theirs(answer: &Answer, keeping: Keeping, id: RequestId<'_>, era: Era) -> Sent {
    if let Some(sent) =
        send_asking(answer, id, era).or_else(|| super::send_turn(&answer.turn, &answer.text, id, era))
    {
        return sent;
    }
    let Some(reply) = &answer.reply else {
        return failed(Some(id), &RpcError::InvalidParams(answer.text.clone().into()), era);
    };
    if reply.kind == ReplyKind::Done && keeping == Keeping::Never && era == Era::Modern {
        let message = wire::write_forwarded(id, "result", &wire::never_kept(&reply.json));
        return Sent { message, status: 200, outcome: Outcome::Done };
    }
    send_forwarded(reply, id, era)
}
