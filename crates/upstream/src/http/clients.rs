//! Connections to one server, kept for each thread that calls it: a call that waits on the thread where its connection is
//! driven wakes nobody else (docs/decisions/0012-lanes.md).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::dial::Dialler;

/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(60);
/// The most bytes of the head of an answer.
const HEAD: usize = 64 * 1024;
/// The most header lines of one.
const HEADERS: usize = 100;
/// Threads that are remembered. Those of a front that was replaced are forgotten with the others.
const THREADS: usize = 64;

/// A client for each thread.
pub(super) struct Clients {
    dialler: Dialler,
    of: Mutex<HashMap<ThreadId, Client<Dialler, Full<Bytes>>>>,
}

impl Clients {
    pub(super) fn new(dialler: Dialler) -> Self {
        Self { dialler, of: Mutex::default() }
    }

    /// The one whose connections are driven on this thread.
    pub(super) fn here(&self) -> Client<Dialler, Full<Bytes>> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if of.len() > THREADS {
            of.clear();
        }
        of.entry(std::thread::current().id()).or_insert_with(|| self.make()).clone()
    }

    fn make(&self) -> Client<Dialler, Full<Bytes>> {
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_idle_timeout(IDLE).pool_timer(TokioTimer::new());
        client.http1_max_buf_size(HEAD).http1_max_headers(HEADERS);
        client.build(self.dialler.clone())
    }
}
