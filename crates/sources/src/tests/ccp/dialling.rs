//! Which connections are tried again, and what is told about times and places.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpSocket, TcpStream};

use super::*;

/// A port in front of the web service that nobody listens on before it is told to, and that counts who comes.
struct Door {
    socket: Option<TcpSocket>,
    port: u16,
    to: SocketAddr,
    came: Arc<AtomicUsize>,
}

/// What a door does with a connection.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    /// Passes it on.
    Passes,
    /// Closes it, before a word of TLS.
    Closes,
}

impl Door {
    fn before(site: &Site) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = socket.local_addr().unwrap().port();
        let to = SocketAddr::from(([127, 0, 0, 1], site.server.port()));
        Self { socket: Some(socket), port, to, came: Arc::default() }
    }

    /// The settings of the site, through this door.
    fn settings(&self, site: &Site) -> CcpSettings {
        let url = format!("https://127.0.0.1:{}/AIMWebService/api/Accounts", self.port);
        CcpSettings { url, ..site.settings.clone() }
    }

    fn open(&mut self, then: Then) {
        let listener = self.socket.take().unwrap().listen(16).unwrap();
        let (to, came) = (self.to, Arc::clone(&self.came));
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                came.fetch_add(1, Ordering::Relaxed);
                if then == Then::Passes {
                    tokio::spawn(async move {
                        let mut server = TcpStream::connect(to).await.unwrap();
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    });
                }
            }
        });
    }

    fn came(&self) -> usize {
        self.came.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn a_connection_that_is_refused_is_tried_again() {
    let mut site = Site::new();
    let mut door = Door::before(&site);
    site.settings = door.settings(&site);
    let source = site.source();
    // The first try meets a port that nobody listens on. On this one thread the door opens before the last.
    let (fetched, ()) = tokio::join!(fetch(&source, "PROD/root"), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        door.open(Then::Passes);
    });
    assert!(is_password(&fetched.unwrap(), SECRET));
    assert_eq!((door.came(), site.server.requests().len()), (1, 1));
}

#[tokio::test]
async fn once_a_request_may_have_been_sent_nothing_is_tried_again() {
    let mut site = Site::new();
    let mut door = Door::before(&site);
    site.settings = door.settings(&site);
    door.open(Then::Passes);
    let source = site.source();
    site.server.misbehave([CcpMischief::Hangup]);
    assert!(error(&source, "PROD/root").await.message().contains("without an answer"));
    assert_eq!(
        (door.came(), site.server.requests().len()),
        (1, 1),
        "it was asked, and perhaps it was counted"
    );
    site.server.misbehave([CcpMischief::Cut]);
    assert!(error(&source, "PROD/root").await.message().contains("broke off"));
    assert_eq!((door.came(), site.server.requests().len()), (2, 2));

    // Taken and closed again: whoever is there does not want it.
    let mut shut = Door::before(&site);
    site.settings = shut.settings(&site);
    shut.open(Then::Closes);
    assert!(error(&site.source(), "PROD/root").await.message().contains("no secure connection"));
    assert_eq!(shut.came(), 1);
}

#[tokio::test]
async fn the_time_for_the_vault_is_told_as_connection_timeout() {
    let mut site = Site::new();
    for (time, told) in [(7_000, "7"), (12_900, "12"), (300, "1")] {
        site.settings.vault_timeout = Duration::from_millis(time);
        fetch(&site.source(), "PROD/root").await.map(|_| ()).unwrap();
        assert_eq!(site.asked("ConnectionTimeout").as_deref(), Some(told));
    }
}

/// Two accounts of one name: the source's folder says which, and an account's own beats it.
#[tokio::test]
async fn the_folder_of_a_source_is_asked_for_and_held_against_the_answer() {
    let mut site = Site::new();
    site.server.account(Account {
        folder: "Linux".to_owned(),
        content: "canary of Linux".to_owned(),
        ..root()
    });
    site.server.account(Account { folder: "Old".to_owned(), content: "canary of Old".to_owned(), ..root() });
    site.settings.folder = Some("Linux".to_owned());
    let old = CcpQuery::Properties {
        object: Some("root".to_owned()),
        folder: Some("Old".to_owned()),
        user_name: None,
        address: None,
        database: None,
        policy_id: None,
    };
    site.settings.accounts = vec![declared("old root", old)];
    let source = site.source();
    for (name, folder, content) in
        [("PROD/root", "Linux", "canary of Linux"), ("PROD/old root", "Old", "canary of Old")]
    {
        assert!(is_password(&fetch(&source, name).await.unwrap(), content), "{name}");
        assert_eq!(site.asked("Folder").as_deref(), Some(folder), "{name}");
    }
    let elsewhere =
        "{\"Content\":\"canary\",\"Safe\":\"PROD\",\"Name\":\"root\",\"Folder\":\"Root\"}".to_owned();
    site.server.misbehave([CcpMischief::Json { status: 200, body: elsewhere }]);
    assert_eq!(error(&source, "PROD/root").await.code(), ErrorCode::CredentialNotFound);
}
