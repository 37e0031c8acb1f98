//! One question to a server that is no upstream: on a connection of its own, dialled like all others, with nothing followed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::dial::{Dialler, Route};
use super::exchange::{Broken, unanswered, whole};
use super::trust::Files;
use crate::settings::HttpSettings;

/// How long it has.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes.
const LONGEST: usize = 64 * 1024;

/// Status and body, or why there are none.
pub(super) type Asked = Result<(StatusCode, Vec<u8>), String>;

/// Asks it. `written`: the operator wrote its host. It is believed by the upstream's `ca` and reached in its `networks`; the
/// gateway's own certificate is for the upstream alone.
pub(super) async fn ask(request: Request<Full<Bytes>>, settings: &HttpSettings, written: bool) -> Asked {
    let host = request.uri().host().unwrap_or_default().to_owned();
    let at = |why: String| format!("`{host}`: {why}");
    let asked = async {
        let files = Files { ca: settings.ca.clone(), identity: None };
        let route = Route::to(request.uri(), files, settings.networks.clone(), written).await?;
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_max_idle_per_host(0).http1_max_buf_size(LONGEST).http1_max_headers(100);
        let client = client.build(Dialler(Arc::new(route)));
        let response = client.request(request).await.map_err(|error| told(unanswered(&error)))?;
        let status = response.status();
        let body = whole(response.into_body(), LONGEST).await.map_err(told)?;
        Ok::<_, String>((status, body))
    };
    let slow = || Err(format!("it did not answer within {} s", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| slow()).map_err(at)
}

fn told(broken: Broken) -> String {
    match broken {
        Broken::Unreached(why) => format!("it cannot be reached: {why}"),
        Broken::Protocol(_) => "it answered with more than anybody reads".to_owned(),
        Broken::Unauthorised
        | Broken::SessionLost
        | Broken::Refused(_)
        | Broken::NotTaken(_)
        | Broken::NoToken(_)
        | Broken::Off => "it broke off".to_owned(),
    }
}
