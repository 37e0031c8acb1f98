//! From an inventory address to a socket, through the network fences.
//!
//! A name is resolved once for a call, and what is dialled are the literal addresses that were checked: an answer that
//! changes in between changes nothing.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use model::{ErrorCode, Failure};
use policy::Fences;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Most addresses of one name that are tried.
const MOST_ADDRESSES: usize = 8;

/// How long an address may be silent before the next is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);

/// Turns names into addresses.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// Every address of a name, in the order in which they should be tried.
    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The machine's own resolver.
pub(crate) struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((name, port)).await?.collect())
    }
}

/// Resolves an address and keeps what the fences admit. Only these literal addresses may be dialled.
pub(crate) async fn admitted(
    resolver: &dyn Resolver,
    address: &str,
    port: u16,
    fences: &Fences,
) -> Result<Vec<SocketAddr>, Failure> {
    let found = resolve(resolver, address, port).await?;
    let admitted: Vec<SocketAddr> = found
        .iter()
        .filter(|candidate| fences.admits_address(candidate.ip()))
        .take(MOST_ADDRESSES)
        .copied()
        .collect();
    if !admitted.is_empty() {
        return Ok(admitted);
    }
    let refused: Vec<String> =
        found.iter().take(MOST_ADDRESSES).map(|candidate| candidate.ip().to_string()).collect();
    Err(refusal(format!("no address of `{address}` may be dialled: {}", refused.join(", "))))
}

/// The refusal of an address that nobody here knows, where a fence says anything about addresses at all.
pub(crate) fn unresolved(address: &str, bastion: &str, fences: &Fences) -> Result<(), Failure> {
    if fences.admit_all() {
        return Ok(());
    }
    Err(refusal(format!("`{bastion}` resolves `{address}`, so that its address cannot be checked")))
}

fn refusal(text: String) -> Failure {
    Failure::new(ErrorCode::DeniedNetwork, text)
        .with_hint("the operator decides on networks, under `[network]` in the configuration and in rules")
}

/// Connects to the first of these addresses that accepts. The next one gets its chance when one has failed, or has been
/// silent for a moment.
pub(crate) async fn connect(
    name: &str,
    candidates: &[SocketAddr],
    patience: Duration,
) -> Result<(TcpStream, SocketAddr), Failure> {
    let (mut attempts, mut told) = (JoinSet::new(), Vec::new());
    let mut waiting = by_turns(candidates).into_iter();
    loop {
        let next = waiting.next();
        if let Some(candidate) = next {
            attempts.spawn(attempt(candidate, patience));
        }
        let outcome = match next {
            Some(_) => tokio::time::timeout(HEAD_START, attempts.join_next()).await,
            None => Ok(attempts.join_next().await),
        };
        match outcome {
            Ok(Some(Ok(Ok(connected)))) => return Ok(connected),
            Ok(Some(Ok(Err(why)))) => told.push(why),
            Ok(Some(Err(_))) => told.push("an attempt was ended".to_owned()),
            Ok(None) => return Err(unreachable(name, &told.join("; "))),
            Err(_silent) => {}
        }
    }
}

async fn attempt(candidate: SocketAddr, patience: Duration) -> Result<(TcpStream, SocketAddr), String> {
    let connected = tokio::time::timeout(patience, TcpStream::connect(candidate)).await;
    let connected =
        connected.map_err(|_| format!("{candidate}: no answer within {} s", patience.as_secs_f64()))?;
    // Commands are small: waiting to fill packets would only add delay.
    let stream = connected.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
    stream.map(|stream| (stream, candidate)).map_err(|error| format!("{candidate}: {error}"))
}

/// The families by turns, the first one's first, so that one that goes nowhere costs one head start.
fn by_turns(candidates: &[SocketAddr]) -> Vec<SocketAddr> {
    let first = candidates.first().is_some_and(SocketAddr::is_ipv4);
    let (one, other): (Vec<_>, Vec<_>) =
        candidates.iter().partition(|candidate| candidate.is_ipv4() == first);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut turns = Vec::with_capacity(candidates.len());
    loop {
        let pair = [one.next(), other.next()];
        if pair == [None, None] {
            return turns;
        }
        turns.extend(pair.into_iter().flatten().copied());
    }
}

async fn resolve(resolver: &dyn Resolver, address: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    if let Ok(literal) = address.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(literal, port)]);
    }
    let found = resolver.resolve(address, port).await;
    let found =
        found.map_err(|error| unreachable(address, &format!("the name does not resolve: {error}")))?;
    if found.is_empty() {
        return Err(unreachable(address, "the name has no address"));
    }
    Ok(found)
}

fn unreachable(name: &str, why: &str) -> Failure {
    Failure::new(ErrorCode::TargetUnreachable, format!("`{name}` cannot be reached: {why}"))
}

#[cfg(test)]
mod tests {
    use super::by_turns;

    #[test]
    fn families_take_turns() {
        let turns = |texts: &[&str]| {
            let candidates: Vec<_> = texts.iter().map(|text| text.parse().unwrap()).collect();
            by_turns(&candidates).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(turns(&["[::1]:1", "[::2]:1", "1.1.1.1:1"]), ["[::1]:1", "1.1.1.1:1", "[::2]:1"]);
        assert_eq!(turns(&["1.1.1.1:1", "[::1]:1"]), ["1.1.1.1:1", "[::1]:1"]);
        assert!(turns(&[]).is_empty());
    }
}
