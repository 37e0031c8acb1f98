//! `stdio`: one MCP client on standard input and output, over whatever owns the state.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use config::SinkTo;
use gateway::control::{ControlClient, user_name};
use gateway::owner::{OwnError, Owner};
use mcp::{Connect, Gate, Link, StreamLimits, relay, serve_stream};
use model::Tier;
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tools::Catalogue;

use crate::cli::{As, Global};
use crate::compose::{self, Portcullis};
use crate::failure::{Exit, Stop};
use crate::output::Output;
use crate::place::{Place, Sketch, load};
use crate::service::Service;
use crate::{log, operators};

/// Where packages put the agent socket; used when the configuration is not ours to read.
const SYSTEM_SOCKET: &str = "/run/portcullis/mcp.sock";
/// How long to look for an owner, or for the chance to become one.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);
/// How long what is under way may take when the client is done.
const DRAIN: Duration = Duration::from_secs(10);

/// Relays until the client is done.
pub(crate) fn run(global: &Global, who: As, output: Output) -> Result<Exit, Stop> {
    let runtime = operators::runtime()?;
    let exit = runtime.block_on(serve(global, who, output));
    // A read of standard input cannot be taken back; nobody waits for it.
    runtime.shutdown_background();
    exit
}

async fn serve(global: &Global, who: As, output: Output) -> Result<Exit, Stop> {
    let mut ways = Ways {
        known: known(global),
        as_principal: who.principal,
        global: global.clone(),
        output,
        owned: None,
    };
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate()).map_err(Stop::failed)?,
        signal(SignalKind::interrupt()).map_err(Stop::failed)?,
    );
    let relayed = tokio::select! {
        relayed = relay(tokio::io::stdin(), tokio::io::stdout(), &mut ways, only_looks, StreamLimits::default()) => {
            relayed.map_err(Stop::failed)
        }
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    let closed = match ways.owned {
        Some(owned) => owned.end().await,
        None => Ok(()),
    };
    relayed.and(closed).map(|()| Exit::Done)
}

/// Whether the tool of this name changes nothing, so that a call that was lost can be made again.
fn only_looks(tool: &str) -> bool {
    Catalogue::new().tool(tool).is_some_and(|tool| tool.spec().tier == Tier::Read)
}

/// What can be known of the gateway: an agent's user need not be able to read the configuration.
fn known(global: &Global) -> Result<(Place, Sketch), Stop> {
    let place = Place::find(global.config.as_deref())?;
    let sketch = place.sketch()?;
    Ok((place, sketch))
}

/// The ways to whatever owns the state, in order: the agent socket, the control socket, and becoming the owner.
struct Ways {
    known: Result<(Place, Sketch), Stop>,
    as_principal: Option<String>,
    global: Global,
    output: Output,
    owned: Option<Owned>,
}

/// A gateway in this process, with its sockets.
struct Owned {
    portcullis: Portcullis,
    service: Service,
    closing: CancellationToken,
}

impl Owned {
    async fn end(self) -> Result<(), Stop> {
        self.closing.cancel();
        self.service.stop(DRAIN).await;
        self.portcullis.close().await
    }
}

#[async_trait]
impl Connect for Ways {
    async fn connect(&mut self) -> io::Result<Link> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            match self.try_all().await {
                Ok(link) => return Ok(link),
                Err(Missed::Now(error)) if tokio::time::Instant::now() >= deadline => {
                    return Err(io::Error::other(error));
                }
                Err(Missed::Always(error)) => return Err(io::Error::other(error)),
                Err(Missed::Now(_)) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

/// Why there is no link: for now, or for good.
enum Missed {
    Now(String),
    Always(String),
}

impl Ways {
    async fn try_all(&mut self) -> Result<Link, Missed> {
        let socket = self.agent_socket();
        if let Some(socket) = socket.filter(|_| self.as_principal.is_none()) {
            match UnixStream::connect(&socket).await {
                Ok(stream) => {
                    let (reader, writer) = stream.into_split();
                    return Ok((Box::new(reader), Box::new(writer)));
                }
                // It is there and not for this user; whoever is kept out of it is kept out of the state as well.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    return Err(Missed::Always(format!(
                        "the agent socket `{}` is not for this user: {error}",
                        socket.display()
                    )));
                }
                Err(_) => {}
            }
        }
        let (place, sketch) = match &self.known {
            Ok((place, sketch)) => (place.clone(), sketch.clone()),
            Err(stop) => return Err(Missed::Always(stop.message.clone())),
        };
        if let Some(link) = self.attach(&sketch.state).await? {
            return Ok(link);
        }
        match Owner::take(&sketch.state) {
            // Given up again at once: the composition takes it for itself.
            Ok(owner) => drop(owner),
            Err(error @ OwnError::Owned { .. }) => return Err(Missed::Now(error.to_string())),
            Err(error) => return Err(Missed::Always(error.to_string())),
        }
        self.become_owner(&place).await
    }

    fn agent_socket(&self) -> Option<PathBuf> {
        match &self.known {
            Ok((_, sketch)) => sketch.socket.clone(),
            Err(_) => Some(PathBuf::from(SYSTEM_SOCKET)),
        }
    }

    async fn attach(&self, state: &Path) -> Result<Option<Link>, Missed> {
        let client = match ControlClient::connect(state).await {
            Ok(Some(client)) => client,
            Ok(None) => return Ok(None),
            Err(error) => return Err(Missed::Always(error.to_string())),
        };
        match client.attach(self.as_principal.clone()).await {
            Ok(Ok(stream)) => {
                self.no_boundary();
                let (reader, writer) = tokio::io::split(stream);
                Ok(Some((Box::new(reader), Box::new(writer))))
            }
            // It is ending, or it owns the state for one command only.
            Err(error) => Err(Missed::Now(error.to_string())),
            Ok(Err(reply)) if reply.exit == 2 => Err(Missed::Now(operators::refused(&reply).message)),
            Ok(Err(reply)) => Err(Missed::Always(operators::refused(&reply).message)),
        }
    }

    async fn become_owner(&mut self, place: &Place) -> Result<Link, Missed> {
        let good = |stop: Stop| Missed::Always(stop.message);
        let loaded = load(place, self.output).map_err(good)?;
        if loaded.configuration.audit.sinks.iter().any(|sink| sink.to == SinkTo::Stdout) {
            return Err(Missed::Always(
                "`audit.sink` writes to stdout, which carries MCP under `stdio`".to_owned(),
            ));
        }
        log::start(Some(&loaded.configuration.log), &self.global);
        self.no_boundary();
        // Somebody else may have become the owner since: then it is worth another look.
        let portcullis = compose::compose(place, &self.global, self.output).await.map_err(|stop| {
            match Owner::take(&loaded.configuration.state) {
                Err(OwnError::Owned { .. }) => Missed::Now(stop.message),
                Ok(_) | Err(_) => good(stop),
            }
        })?;
        let service = Service::start(&portcullis).map_err(good)?;
        let me = user_name(rustix::process::geteuid().as_raw());
        let identity = service.operators().identity(&me, self.as_principal.as_deref()).await;
        let identity = match identity {
            Ok(identity) => identity,
            Err(failure) => {
                service.stop(DRAIN).await;
                let _ = portcullis.close().await;
                return Err(Missed::Always(failure.message().to_owned()));
            }
        };
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (reader, writer) = tokio::io::split(ours);
        let (gate, closing): (Arc<dyn Gate>, _) =
            (Arc::clone(&portcullis.gateway) as Arc<_>, CancellationToken::new());
        let limits = StreamLimits::default();
        tokio::spawn(serve_stream(reader, writer, gate, identity, "stdio", limits, closing.clone()));
        self.owned = Some(Owned { portcullis, service, closing });
        let (reader, writer) = tokio::io::split(theirs);
        Ok((Box::new(reader), Box::new(writer)))
    }

    /// Said every time: it is the one thing about `stdio` that people get wrong.
    fn no_boundary(&self) {
        self.output.warning(
            "the gateway runs as the same user as this client, so nothing keeps the client from its keys: let the gateway run \
             as its own user (`serve` with `[listen] socket`), and `stdio` only relays",
        );
    }
}
