//! A front for one upstream and nothing else, as a program was that stood before one server.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gateway::{Endpoint, Recorded, UpstreamOffers};
use model::{Answer, UpstreamName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use wire::RpcError;

use crate::reply::{Offers, ProtocolReply, Reply};
use crate::stream::{self, Served};
use crate::{Gate, Identity, StreamLimits};

/// What such a front serves, and how it differs from ours.
#[derive(Debug)]
pub struct Alone {
    upstream: UpstreamName,
    listed: BTreeSet<String>,
    admission: Admission,
    /// Whether the gateway was healthy before.
    ready: AtomicBool,
}

/// How clients over HTTP are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// They are not: whoever comes is let in, so nobody from elsewhere may come.
    Anybody,
    /// By the network they come from. What they present is not looked at; who comes from elsewhere is told 403.
    Address,
    /// By a key.
    Key,
}

impl Alone {
    /// `listed` are the tools of the upstream that may be called; of any other a client is told that it is not in the list.
    pub fn new(upstream: UpstreamName, listed: BTreeSet<String>, admission: Admission) -> Self {
        Self { upstream, listed, admission, ready: AtomicBool::new(false) }
    }

    pub(crate) fn admission(&self) -> Admission {
        self.admission
    }

    /// Whether the upstream has been there. Until then nobody is served, so that no client takes an empty list for all there is.
    pub(crate) fn is_ready(&self, gate: &dyn Gate) -> bool {
        self.ready.load(Ordering::Relaxed)
            || gate.health().ok && {
                self.ready.store(true, Ordering::Relaxed);
                true
            }
    }

    /// What a call is answered with. The refusal is decided and recorded; only its form is another.
    fn told(&self, name: &str, answer: Recorded<Answer>) -> Reply {
        let refused = answer.inner().is_error && answer.inner().reply.is_none();
        if refused && !self.listed.contains(name) {
            return Reply::Protocol(ProtocolReply::Failed(RpcError::NotAllowed(RpcError::piece(name))));
        }
        Reply::Call(answer)
    }
}

/// Serves one client of one upstream on a pair of byte streams, standard input and output, as [`crate::serve_stream`] does.
pub async fn serve_alone<R, W>(
    reader: R,
    writer: W,
    gate: Arc<dyn Gate>,
    identity: Identity,
    alone: Arc<Alone>,
    closing: CancellationToken,
) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let limits = StreamLimits::default();
    let served = Served { gate, identity, transport: "stdio", limits, alone: Some(alone) };
    stream::serve(reader, writer, served, closing).await
}

/// What is served where everything is.
pub(crate) fn endpoint(alone: Option<&Arc<Alone>>) -> Endpoint {
    alone.map_or(Endpoint::All, |alone| Endpoint::Upstream(alone.upstream))
}

/// What there is at an endpoint: alone, an upstream has its tools.
pub(crate) fn offers(alone: Option<&Arc<Alone>>, gate: &dyn Gate, endpoint: Endpoint) -> Offers {
    match alone {
        Some(_) => Offers::Theirs(UpstreamOffers::default()),
        None => Offers::at(gate, endpoint),
    }
}

/// A call's answer as it is told.
pub(crate) fn told(alone: Option<&Arc<Alone>>, name: &str, answer: Recorded<Answer>) -> Reply {
    match alone {
        Some(alone) => alone.told(name, answer),
        None => Reply::Call(answer),
    }
}
