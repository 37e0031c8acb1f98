//! Passes requests on to a listener, with an API key that the client could not send. Bodies are streamed.

use std::net::SocketAddr;

use http::HeaderValue;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// Opens a door on loopback, and says where.
pub(crate) async fn open(to: SocketAddr, key: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
    let address = listener.local_addr().expect("a bound listener has an address");
    let key = HeaderValue::try_from(key).expect("a key is visible ASCII");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let _ = client.set_nodelay(true);
            let key = key.clone();
            let pass = service_fn(move |request| pass(to, key.clone(), request));
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(client), pass),
            );
        }
    });
    address
}

async fn pass(
    to: SocketAddr,
    key: HeaderValue,
    mut request: Request<Incoming>,
) -> Result<Response<Incoming>, Box<dyn std::error::Error + Send + Sync>> {
    request.headers_mut().insert("x-api-key", key);
    let server = TcpStream::connect(to).await?;
    server.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(server)).await?;
    // It ends when the client drops the answer: that is how going away is passed on.
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}
