//! The limit of any proxy: axum takes the request, a pooled client of `hyper-util` sends it on, the answer goes back.

use std::io::Write as _;
use std::sync::Arc;

use anyhow::Context;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::bench::echo::listen;

type Forward = (Client<HttpConnector, Body>, Uri);

/// Serves until it is killed; prints its address first.
pub(in crate::bench) async fn serve(url: &str) -> anyhow::Result<()> {
    let (listener, address) = listen().await?;
    writeln!(std::io::stdout(), "{address}")?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let forward = (Client::builder(TokioExecutor::new()).build(connector), url.parse()?);
    let router = axum::Router::new().fallback(pass).with_state(Arc::new(forward));
    axum::serve(listener, router).await.context("serve the hop")
}

async fn pass(State(forward): State<Arc<Forward>>, mut request: Request) -> Response {
    let (client, uri) = &*forward;
    *request.uri_mut() = uri.clone();
    match client.request(request).await {
        Ok(answer) => answer.into_response(),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}
