//! A line to a real server that can be frozen: nothing is closed, and what is sent is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Line {
    pub(crate) port: u16,
    /// Connections with a lower number than this stand still.
    frozen_below: Arc<AtomicUsize>,
    accepted: Arc<AtomicUsize>,
    given_up: Arc<AtomicUsize>,
}

impl Line {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let (frozen_below, accepted) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (frozen, count) = (Arc::clone(&frozen_below), Arc::clone(&accepted));
        let given_up = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&given_up);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                let (upward, counted) =
                    (carry(near_in, far_out, number, Arc::clone(&frozen)), Arc::clone(&counted));
                tokio::spawn(async move {
                    upward.await;
                    counted.fetch_add(1, Ordering::SeqCst);
                });
                tokio::spawn(carry(far_in, near_out, number, Arc::clone(&frozen)));
            }
        });
        Self { port: own, frozen_below, accepted, given_up }
    }

    /// How many connections the near side has ended.
    pub(crate) fn given_up(&self) -> usize {
        self.given_up.load(Ordering::SeqCst)
    }

    /// Every connection there is stands still from now on; new ones flow.
    pub(crate) fn freeze(&self) {
        self.frozen_below.store(self.accepted.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    number: usize,
    frozen_below: Arc<AtomicUsize>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if number < frozen_below.load(Ordering::SeqCst) {
            continue;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
