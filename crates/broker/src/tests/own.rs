use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use model::{CredentialSpec, LiteralSecret, Secret, SecretLocation};

use super::*;

const KEY: &str =
    "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary-key-material\n-----END OPENSSH PRIVATE KEY-----\n";

fn with(spec: CredentialSpec) -> Host {
    Host { credential: Some(spec), ..web1() }
}

fn file(world: &World, name: &str, content: &[u8], mode: u32) -> PathBuf {
    let path = world.folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path
}

fn password_file(path: &Path) -> Host {
    with(CredentialSpec::Password(SecretLocation::File(path.to_owned())))
}

/// Refused, with the reason for the operator only, and nothing secret in any text.
async fn refused(world: &World, host: &Host, reason: &str) {
    let failure = world.own(host).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::CredentialRefused);
    assert!(failure.internal().is_some_and(|text| text.contains(reason)), "{failure:?} lacks `{reason}`");
    assert!(!failure.message().contains(world.folder.path().to_str().unwrap()));
    assert!(!all_text(&failure).contains("canary"), "{failure:?}");
}

#[tokio::test]
async fn a_stored_credential_is_fetched_at_every_use_and_pooled_by_its_version() {
    let world = World::new();
    let host = with(CredentialSpec::Stored(root()));
    let lease = world.own(&host).await.unwrap();
    assert!(has_password(&lease, SECRET) && lease.handle_id().is_none());
    assert_eq!(lease.credential().unwrap().username.as_deref(), Some("svc_root"));
    let again = world.own(&host).await.unwrap();
    assert_eq!(lease.credential_key(), again.credential_key());
    world.source.set(&root(), None, None, "rotated");
    let rotated = world.own(&host).await.unwrap();
    assert!(lease.credential_key().is_some() && lease.credential_key() != rotated.credential_key());
}

#[tokio::test]
async fn a_host_without_a_credential_asks_for_a_handle() {
    let failure = World::new().own(&web1()).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::CredentialNotFound);
    assert!(failure.message().contains("`web1`") && failure.hint().unwrap().contains("get_credential"));
}

#[tokio::test]
async fn a_password_lies_in_a_file_without_its_newline() {
    let world = World::new();
    for (name, content) in
        [("plain", SECRET.to_owned()), ("lf", format!("{SECRET}\n")), ("crlf", format!("{SECRET}\r\n"))]
    {
        let lease = world.own(&password_file(&file(&world, name, content.as_bytes(), 0o600))).await.unwrap();
        assert!(has_password(&lease, SECRET), "{name}");
        assert!(lease.credential_key().is_some());
    }
    let two = file(&world, "two", format!("{SECRET}\n\n").as_bytes(), 0o600);
    assert!(has_password(&world.own(&password_file(&two)).await.unwrap(), &format!("{SECRET}\n")));
}

#[tokio::test]
async fn a_changed_password_file_changes_what_connections_are_pooled_under() {
    let world = World::new();
    let path = file(&world, "pw", b"one-canary", 0o600);
    let first = world.own(&password_file(&path)).await.unwrap();
    file(&world, "pw", b"two-canary", 0o600);
    let second = world.own(&password_file(&path)).await.unwrap();
    assert_ne!(first.credential_key(), second.credential_key());
    assert!(!format!("{:?}", first.credential_key()).contains("canary"));
}

#[tokio::test]
async fn what_is_no_secret_file_is_refused() {
    let world = World::new();
    let at = |name: &str| world.folder.path().join(name);
    refused(&world, &password_file(&at("nowhere")), "no such file").await;
    refused(&world, &password_file(world.folder.path()), "not a regular file").await;
    refused(&world, &password_file(Path::new("/dev/null")), "not a regular file").await;
    refused(&world, &password_file(&file(&world, "empty", b"\n", 0o600)), "empty").await;
    refused(&world, &password_file(&file(&world, "binary", b"canary\xff\xfe", 0o600)), "not UTF-8").await;
    refused(&world, &password_file(&file(&world, "large", &[b'c'; 65 * 1024], 0o600)), "larger than 64 KiB")
        .await;
    rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    refused(&world, &password_file(&at("pipe")), "not a regular file").await;
}

#[tokio::test]
async fn a_password_lies_in_a_variable() {
    let world = World::new();
    let variable = |name: &str| with(CredentialSpec::Password(SecretLocation::Env(name.to_owned())));
    let lease = world.own(&variable("CARGO_PKG_NAME")).await.unwrap();
    assert!(has_password(&lease, "broker"));
    refused(&world, &variable("PORTCULLIS_NO_SUCH_VARIABLE"), "is not set").await;
}

#[tokio::test]
async fn a_password_stands_in_the_inventory_and_is_pooled_by_what_it_is() {
    let world = World::new();
    let literal = |text: &str| {
        let secret = LiteralSecret::new(Secret::new(text.to_owned()));
        with(CredentialSpec::Password(SecretLocation::Literal(secret)))
    };
    let lease = world.own(&literal(SECRET)).await.unwrap();
    assert!(has_password(&lease, SECRET) && lease.secrets().len() == 1);
    let again = world.own(&literal(SECRET)).await.unwrap();
    let changed = world.own(&literal("another-canary")).await.unwrap();
    assert!(lease.credential_key().is_some());
    assert_eq!(lease.credential_key(), again.credential_key());
    assert_ne!(lease.credential_key(), changed.credential_key());
}

#[tokio::test]
async fn a_password_may_be_stored_but_not_be_a_key() {
    let world = World::new();
    let host = with(CredentialSpec::Password(SecretLocation::Stored(root())));
    assert!(has_password(&world.own(&host).await.unwrap(), SECRET));
    world.source.set(&root(), None, None, KEY);
    assert_eq!(code(world.own(&host).await), ErrorCode::CredentialRefused);
    let stored = world.own(&with(CredentialSpec::Stored(root()))).await.unwrap();
    assert!(matches!(stored.credential().map(|c| &c.material), Some(Material::PrivateKey { .. })));
}

/// An agent without a handle named no credential: it must not learn the name of the inventory's from an error.
#[tokio::test]
async fn a_failing_source_does_not_tell_where_a_hosts_own_credential_lies() {
    let world = World::new();
    let nowhere = || CredentialRef::parse("keystore:HIDDEN/root_of_web").unwrap();
    let elsewhere = CredentialRef::parse("unconfigured:HIDDEN/root_of_web").unwrap();
    let private = CredentialRef::parse("keystore:HIDDEN/key").unwrap();
    world.source.set(&private, None, None, KEY);
    let key = file(&world, "id", KEY.as_bytes(), 0o600);
    for (spec, code) in [
        (CredentialSpec::Stored(nowhere()), ErrorCode::CredentialNotFound),
        (CredentialSpec::Stored(elsewhere), ErrorCode::CredentialNotFound),
        (CredentialSpec::Password(SecretLocation::Stored(nowhere())), ErrorCode::CredentialNotFound),
        (
            CredentialSpec::Key { path: key, passphrase: Some(SecretLocation::Stored(nowhere())) },
            ErrorCode::CredentialNotFound,
        ),
        (CredentialSpec::Password(SecretLocation::Stored(private)), ErrorCode::CredentialRefused),
    ] {
        let failure = world.own(&with(spec)).await.unwrap_err();
        assert_eq!((failure.code(), failure.fault()), (code, Fault::Us), "{failure:?}");
        let told = format!("{} {:?} {:?}", failure.message(), failure.hint(), failure.vendor());
        assert!(!told.contains("HIDDEN") && !told.contains("unconfigured"), "{told}");
        assert!(failure.internal().is_some(), "the operator reads what the source said");
    }
    world.source.set_down(true);
    let down = world.own(&with(CredentialSpec::Stored(nowhere()))).await.unwrap_err();
    assert_eq!((down.code(), down.retry()), (ErrorCode::CredentialSourceDown, true));
    assert_eq!(down.message(), "the credential of host `web1` cannot be fetched now");
}

#[tokio::test]
async fn a_key_file_comes_with_its_passphrase() {
    let world = World::new();
    let path = file(&world, "id", KEY.as_bytes(), 0o600);
    let passphrase = SecretLocation::Stored(root());
    let lease = world.own(&with(CredentialSpec::Key { path, passphrase: Some(passphrase) })).await.unwrap();
    assert_eq!(lease.secrets().len(), 2, "the guard looks for the key and for its passphrase");
    let Some(Material::PrivateKey { pem, passphrase, certificate: None }) =
        lease.credential().map(|c| &c.material)
    else {
        panic!("no private key")
    };
    assert!(pem.same_as(KEY.as_bytes()) && passphrase.as_ref().unwrap().same_as(SECRET.as_bytes()));
    assert!(lease.credential_key().is_some());
}

#[tokio::test]
async fn a_certificate_beside_a_key_file_or_behind_the_key_goes_with_it() {
    const CERTIFICATE: &str = "ssh-ed25519-cert-v01@openssh.com AAAA ops";
    let world = World::new();
    let certificate = |lease: &Lease| match lease.credential().map(|c| &c.material) {
        Some(Material::PrivateKey { certificate, .. }) => certificate.clone(),
        _ => panic!("no private key"),
    };
    let path = file(&world, "id", format!("{KEY}\n{CERTIFICATE}\n").as_bytes(), 0o600);
    let host = with(CredentialSpec::Key { path, passphrase: None });
    let behind = world.own(&host).await.unwrap();
    assert_eq!(certificate(&behind).as_deref(), Some(CERTIFICATE));
    file(&world, "id-cert.pub", b"ssh-ed25519-cert-v01@openssh.com BBBB\n", 0o644);
    let beside = world.own(&host).await.unwrap();
    assert_eq!(certificate(&beside).as_deref(), Some("ssh-ed25519-cert-v01@openssh.com BBBB"));
    assert_ne!(
        behind.credential_key(),
        beside.credential_key(),
        "a renewed certificate is another credential"
    );
    file(&world, "id-cert.pub", &[0xff], 0o644);
    refused(&world, &host, "not a certificate").await;
    world.source.set(&root(), None, None, &format!("{KEY}\n\n  {CERTIFICATE}"));
    let stored = world.own(&with(CredentialSpec::Stored(root()))).await.unwrap();
    assert_eq!(certificate(&stored).as_deref(), Some(CERTIFICATE));
}

#[tokio::test]
async fn a_key_file_that_others_can_read_is_refused_with_a_hint() {
    let world = World::new();
    for mode in [0o644, 0o640, 0o604, 0o620] {
        let path = file(&world, "id", KEY.as_bytes(), mode);
        let host = with(CredentialSpec::Key { path, passphrase: None });
        refused(&world, &host, "others can read it").await;
        assert!(world.own(&host).await.unwrap_err().hint().unwrap().contains("0600"));
    }
}

#[tokio::test]
async fn a_key_file_that_holds_no_key_is_refused() {
    let world = World::new();
    let path = file(&world, "id", b"canary", 0o600);
    refused(&world, &with(CredentialSpec::Key { path, passphrase: None }), "no private key").await;
}

#[tokio::test]
async fn an_agent_key_needs_the_agents_socket() {
    let world = World::new();
    let host = with(CredentialSpec::Agent { fingerprint: "SHA256:abc".to_owned() });
    refused(&world, &host, "SSH_AUTH_SOCK").await;

    let store = SqliteStore::in_memory().unwrap();
    let entropy = Arc::new(Counting(AtomicU8::new(0)));
    let socket = PathBuf::from("/run/agent.sock");
    let broker = Broker::new(Arc::new(store), Arc::clone(&world.clock) as _, entropy, Some(socket.clone()));
    let lease = broker.lease(world.intend(CredentialUse::Inventory, &host), Some(&host), &[]).await.unwrap();
    let Some(Material::Agent { fingerprint, socket: at }) = lease.credential().map(|c| &c.material) else {
        panic!("no agent key")
    };
    assert_eq!((fingerprint.as_str(), at), ("SHA256:abc", &socket));
    assert!(lease.secrets().is_empty() && lease.credential_key().is_some());
}
