//! The accept loop: who may connect, how long, and how it ends.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;

use super::body::Body;
use super::peer::Peer;
use super::routes::{self, RouteOf};
use super::{Shared, tls};
use crate::HttpLimits;
use crate::measure::{self, Connected};

/// What one listener is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listener {
    pub(super) serves: RouteOf,
    pub(super) tls: bool,
    /// Whether a key is needed for everything but `/health`.
    pub(super) key: bool,
}

/// What a connection is doing, so that one that does nothing can be ended.
#[derive(Debug, Default)]
pub(super) struct Activity {
    under_way: AtomicUsize,
    begun: AtomicU64,
}

/// A request under way on a connection; over when dropped.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Activity>);

/// Connections that are refused get a word of explanation, but only this many at once.
const MOST_REFUSALS: usize = 32;
const REFUSAL: &[u8] =
    b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Accepts until the front closes.
pub(super) async fn run(shared: Arc<Shared>, socket: TcpListener, listener: Listener) {
    let places = Arc::new(Semaphore::new(shared.limits.connections));
    let refusals = Arc::new(Semaphore::new(MOST_REFUSALS));
    let sources = Arc::new(Sources::default());
    let builder = Arc::new(builder(&shared.limits));
    while let Some(accepted) = shared.closing.run_until_cancelled(socket.accept()).await {
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: without a pause this would spin.
                tracing::warn!(%error, "a listener could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let address = address.ip().to_canonical();
        let most = if is_trusted_proxy(&shared, address) {
            usize::MAX
        } else {
            shared.limits.connections_per_address
        };
        let source = sources.enter(address, most);
        let place = Arc::clone(&places).try_acquire_owned().ok();
        let (Some(source), Some(place)) = (source, place) else {
            measure::connection_refused("full");
            refuse(stream, listener, &refusals);
            continue;
        };
        let (shared, builder) = (Arc::clone(&shared), Arc::clone(&builder));
        let here = Arc::clone(&shared);
        let moved = here.lanes.serve(stream, &here.tasks, move |stream| async move {
            let _held = (source, place, Connected::new(listener.serves.as_str()));
            serve(&shared, &builder, stream, address, listener).await;
        });
        if let Err(error) = moved {
            tracing::warn!(%error, "a connection could not be handed over");
        }
    }
}

fn builder(limits: &HttpLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.head.max(8192));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(64)
        .max_pending_accept_reset_streams(32)
        .max_local_error_reset_streams(32)
        .max_header_list_size(u32::try_from(limits.head).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.idle_timeout)
        .keep_alive_timeout(limits.header_timeout);
    builder
}

async fn serve(
    shared: &Arc<Shared>,
    builder: &Builder<TokioExecutor>,
    stream: TcpStream,
    address: IpAddr,
    listener: Listener,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection broke before it was used");
        return;
    }
    let Some(config) = shared.tls.as_ref().filter(|_| listener.tls).map(arc_swap::ArcSwapAny::load_full)
    else {
        let peer = Peer { address, certificate_names: Arc::default(), listener };
        return converse(shared, builder, stream, peer).await;
    };
    let handshake = TlsAcceptor::from(config).accept(stream);
    let stream = tokio::select! {
        done = tokio::time::timeout(shared.limits.handshake_timeout, handshake) => match done {
            Ok(Ok(stream)) => stream,
            Ok(Err(_)) | Err(_) => {
                // A wrong client certificate ends here; there is nothing to answer on.
                measure::connection_refused("handshake");
                return;
            }
        },
        () = shared.closing.cancelled() => return,
    };
    let certificate_names =
        stream.get_ref().1.peer_certificates().map(tls::subject_names).unwrap_or_default().into();
    converse(shared, builder, stream, Peer { address, certificate_names, listener }).await;
}

async fn converse<S>(shared: &Arc<Shared>, builder: &Builder<TokioExecutor>, stream: S, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::default());
    let peer = Arc::new(peer);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (shared, peer, under_way) = (Arc::clone(shared), Arc::clone(&peer), activity.begin());
        async move {
            Ok::<hyper::Response<Body>, Infallible>(routes::answer(&shared, &peer, request, under_way).await)
        }
    });
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut closing = false;
    let mut seen = activity.begun.load(Ordering::Relaxed);
    loop {
        // The end comes after the closing, so only one of them is waited for at a time.
        let next = if closing { &shared.ending } else { &shared.closing };
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error, "a connection broke");
                }
                return;
            }
            () = next.cancelled() => {
                if closing {
                    return;
                }
                closing = true;
                connection.as_mut().graceful_shutdown();
            }
            () = tokio::time::sleep(shared.limits.idle_timeout) => {
                let begun = activity.begun.load(Ordering::Relaxed);
                if begun == seen && activity.under_way.load(Ordering::Relaxed) == 0 {
                    measure::connection_refused("idle");
                    return;
                }
                seen = begun;
            }
        }
    }
}

impl Activity {
    fn begin(self: &Arc<Self>) -> UnderWay {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

fn is_trusted_proxy(shared: &Shared, address: IpAddr) -> bool {
    shared
        .proxies
        .load()
        .as_ref()
        .as_ref()
        .is_some_and(|trusted| trusted.iter().any(|net| net.contains(&address)))
}

/// Says 429 where that can be said without a handshake, and closes.
fn refuse(mut stream: TcpStream, listener: Listener, refusals: &Arc<Semaphore>) {
    let Ok(place) = Arc::clone(refusals).try_acquire_owned() else { return };
    if listener.tls {
        return;
    }
    tokio::spawn(async move {
        let _ = tokio::time::timeout(Duration::from_secs(1), say_refused(&mut stream, place)).await;
    });
}

async fn say_refused(stream: &mut TcpStream, _place: OwnedSemaphorePermit) -> io::Result<()> {
    stream.write_all(REFUSAL).await?;
    stream.shutdown().await?;
    // Closing with unread bytes would reset the connection before the answer is read.
    let mut unread = [0; 1024];
    for _ in 0..64 {
        if stream.read(&mut unread).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// How many connections each source has.
#[derive(Debug, Default)]
struct Sources(Mutex<HashMap<IpAddr, usize>>);

/// One connection of a source.
#[derive(Debug)]
struct SourcePlace {
    sources: Arc<Sources>,
    source: IpAddr,
}

impl Sources {
    fn enter(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<SourcePlace> {
        let source = group(address);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(source).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(SourcePlace { sources: Arc::clone(self), source })
    }
}

impl Drop for SourcePlace {
    fn drop(&mut self) {
        let mut counts = self.sources.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.source);
            }
        }
    }
}

/// One machine can have a whole IPv6 /64 to itself.
pub(super) fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}
