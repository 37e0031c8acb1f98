//! From an inventory address to a socket, through the network fence.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use model::{ErrorCode, Failure};
use policy::NetworkFence;
use tokio::net::TcpStream;

/// Most addresses of one name that are tried.
const MOST_ADDRESSES: usize = 8;

/// Resolves an address and keeps what the fence admits. Only these literal addresses may be dialled.
pub(crate) async fn admitted(
    address: &str,
    port: u16,
    fence: &NetworkFence,
) -> Result<Vec<SocketAddr>, Failure> {
    let found = resolve(address, port).await?;
    let admitted: Vec<SocketAddr> =
        found.iter().filter(|candidate| fence.admits(candidate.ip())).take(MOST_ADDRESSES).copied().collect();
    if !admitted.is_empty() {
        return Ok(admitted);
    }
    let refused: Vec<String> =
        found.iter().take(MOST_ADDRESSES).map(|candidate| candidate.ip().to_string()).collect();
    Err(Failure::new(
        ErrorCode::DeniedNetwork,
        format!("no address of `{address}` may be dialled: {}", refused.join(", ")),
    )
    .with_hint("the operator decides on networks under `[network]` in the configuration"))
}

/// Connects to the first of these addresses that accepts.
pub(crate) async fn connect(
    name: &str,
    candidates: &[SocketAddr],
    patience: Duration,
) -> Result<(TcpStream, SocketAddr), Failure> {
    let mut told = Vec::new();
    for candidate in candidates {
        match tokio::time::timeout(patience, TcpStream::connect(candidate)).await {
            Ok(Ok(stream)) => {
                // Commands are small: waiting to fill packets would only add delay.
                stream.set_nodelay(true).map_err(|error| unreachable(name, &error.to_string()))?;
                return Ok((stream, *candidate));
            }
            Ok(Err(error)) => told.push(format!("{candidate}: {error}")),
            Err(_) => told.push(format!("{candidate}: no answer within {} s", patience.as_secs())),
        }
    }
    Err(unreachable(name, &told.join("; ")))
}

async fn resolve(address: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    if let Ok(literal) = address.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(literal, port)]);
    }
    let found = tokio::net::lookup_host((address, port)).await;
    let found: Vec<SocketAddr> = found
        .map_err(|error| unreachable(address, &format!("the name does not resolve: {error}")))?
        .collect();
    if found.is_empty() {
        return Err(unreachable(address, "the name has no address"));
    }
    Ok(found)
}

fn unreachable(name: &str, why: &str) -> Failure {
    Failure::new(ErrorCode::TargetUnreachable, format!("`{name}` cannot be reached: {why}"))
}
