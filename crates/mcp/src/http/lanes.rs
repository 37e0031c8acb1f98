//! Threads that serve connections, each with its own runtime: a connection stays on one of them, and so does what its calls
//! allocate and wait for. Workers that take tasks from each other spend a third of a short call on it
//! (docs/decisions/0012-lanes.md).

use std::future::Future;
use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

/// The lanes of one front. They end with their last owner, and what still runs there ends with them.
#[derive(Debug, Default)]
pub(super) struct Lanes(Vec<Lane>);

#[derive(Debug)]
struct Lane {
    runtime: Handle,
    /// One owner more than there are connections.
    load: Arc<()>,
    /// The thread ends when this is dropped.
    _open: oneshot::Sender<()>,
}

impl Lanes {
    /// Starts that many threads; none: connections stay on the runtime that accepts them.
    pub(super) fn start(count: usize) -> io::Result<Self> {
        (0..count).map(Lane::start).collect::<io::Result<_>>().map(Self)
    }

    /// Serves a connection on the lane that has the fewest. One that cannot be moved there is closed.
    pub(super) fn serve<F>(
        &self,
        stream: TcpStream,
        tasks: &TaskTracker,
        serve: impl FnOnce(TcpStream) -> F + Send + 'static,
    ) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Some(lane) = self.0.iter().min_by_key(|lane| Arc::strong_count(&lane.load)) else {
            tasks.spawn(serve(stream));
            return Ok(());
        };
        let (stream, load) = (stream.into_std()?, Arc::clone(&lane.load));
        let conversation = async move {
            let _load = load;
            // What waits for a socket belongs to one runtime: this one, from here on.
            match TcpStream::from_std(stream) {
                Ok(stream) => serve(stream).await,
                Err(error) => tracing::warn!(%error, "a connection could not be taken over"),
            }
        };
        tasks.spawn_on(conversation, &lane.runtime);
        Ok(())
    }
}

impl Lane {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (open, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name(format!("mcp-lane-{number}"));
        thread.spawn(move || {
            let _ = runtime.block_on(ended);
            // Nobody waits here for what still waits for a disk or a name server.
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, load: Arc::default(), _open: open })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Weak};
    use std::time::Duration;

    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::mpsc;
    use tokio_util::task::TaskTracker;

    use super::Lanes;

    async fn accepted(listener: &TcpListener) -> (TcpStream, TcpStream) {
        let (client, served) =
            tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (client.unwrap(), served.unwrap().0)
    }

    #[tokio::test]
    async fn a_connection_goes_to_the_lane_with_the_fewest_and_stays_there() {
        let (lanes, tasks) = (Lanes::start(2).unwrap(), TaskTracker::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (said, mut heard) = mpsc::unbounded_channel();
        let (mut clients, mut threads) = (Vec::new(), BTreeMap::<String, usize>::new());
        for _ in 0..6 {
            let (client, stream) = accepted(&listener).await;
            let said = said.clone();
            let serve = move |stream: TcpStream| async move {
                said.send(std::thread::current().name().unwrap_or_default().to_owned()).unwrap();
                let _ = stream.readable().await;
                said.send(std::thread::current().name().unwrap_or_default().to_owned()).unwrap();
            };
            lanes.serve(stream, &tasks, serve).unwrap();
            *threads.entry(heard.recv().await.unwrap()).or_default() += 1;
            clients.push(client);
        }
        assert_eq!(threads.values().copied().collect::<Vec<_>>(), [3, 3], "{threads:?}");
        drop(clients);
        for _ in 0..6 {
            *threads.get_mut(&heard.recv().await.unwrap()).unwrap() -= 1;
        }
        assert!(threads.values().all(|left| *left == 0), "{threads:?}");
    }

    #[tokio::test]
    async fn lanes_end_with_their_owner_and_take_along_what_runs_there() {
        let (lanes, tasks) = (Lanes::start(1).unwrap(), TaskTracker::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (_client, stream) = accepted(&listener).await;
        let held = Arc::new(());
        let watched: Weak<()> = Arc::downgrade(&held);
        let serve = move |_stream| async move {
            std::future::pending::<()>().await;
            drop(held);
        };
        lanes.serve(stream, &tasks, serve).unwrap();
        drop(lanes);
        while watched.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
