use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;
use crate::FolderSource;

fn put(folder: &Path, name: &str, content: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn source(folders: &[&Path]) -> FolderSource {
    FolderSource::new(folders.iter().map(|path| path.to_path_buf()).collect(), versions())
}

#[tokio::test]
async fn a_file_is_named_by_safe_and_object_and_has_companions() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "PROD/root", &format!("{SECRET}\n"));
    put(folder.path(), "PROD/root.username", "svc\n");
    put(folder.path(), "PROD/root.address", "10.0.0.1\n");
    put(folder.path(), "PROD/deep/er", "canary-deep\n\n");
    put(folder.path(), "flat", "canary-flat");
    put(folder.path(), "PROD/key", KEY);
    put(folder.path(), "PROD/key.passphrase", "canary-phrase\n");
    let source = source(&[folder.path()]);
    let credential = fetch(&source, "PROD/root").await.unwrap();
    assert!(is_password(&credential, SECRET));
    assert_eq!(
        (credential.username.as_deref(), credential.address.as_deref()),
        (Some("svc"), Some("10.0.0.1"))
    );
    assert!(is_password(&fetch(&source, "PROD/deep/er").await.unwrap(), "canary-deep\n"));
    assert!(is_password(&fetch(&source, "-/flat").await.unwrap(), "canary-flat"));
    let Material::PrivateKey { passphrase: Some(phrase), .. } =
        fetch(&source, "PROD/key").await.unwrap().material
    else {
        panic!("no private key with a passphrase")
    };
    assert!(phrase.same_as(b"canary-phrase"));
}

#[tokio::test]
async fn a_key_may_have_its_certificate_beside_it_and_a_password_not() {
    const CERTIFICATE: &str = "ssh-ed25519-cert-v01@openssh.com AAAA ops";
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "A/key", KEY.trim_end());
    let source = source(&[folder.path()]);
    let bare = fetch(&source, "A/key").await.unwrap().version;
    put(folder.path(), "A/key-cert.pub", &format!("{CERTIFICATE}\n"));
    let credential = fetch(&source, "A/key").await.unwrap();
    let Material::PrivateKey { certificate, .. } = credential.material else { panic!("no private key") };
    assert_eq!(certificate.as_deref(), Some(CERTIFICATE));
    assert_ne!(bare, credential.version, "another certificate is another credential");
    let companion = fetch(&source, "A/key-cert.pub").await.err().unwrap();
    assert_eq!(companion.code(), ErrorCode::InputInvalid);
    put(folder.path(), "A/password", SECRET);
    put(folder.path(), "A/password-cert.pub", CERTIFICATE);
    assert!(fetch(&source, "A/password").await.is_err());
}

#[tokio::test]
async fn the_first_folder_that_has_the_file_wins_with_its_own_companions() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    put(second.path(), "A/b", "canary-second");
    put(second.path(), "A/b.username", "second");
    let gone = first.path().join("gone");
    let source = source(&[&gone, first.path(), second.path()]);
    assert!(is_password(&fetch(&source, "A/b").await.unwrap(), "canary-second"));
    put(first.path(), "A/b", "canary-first");
    let credential = fetch(&source, "A/b").await.unwrap();
    assert!(is_password(&credential, "canary-first"));
    assert_eq!(credential.username, None);
}

#[tokio::test]
async fn the_version_changes_with_the_secret_and_shows_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "A/b", SECRET);
    let source = source(&[folder.path()]);
    let version = async || fetch(&source, "A/b").await.unwrap().version.unwrap();
    let first = version().await;
    assert_eq!(first, version().await);
    put(folder.path(), "A/b", "canary-other");
    assert_ne!(first, version().await);
    assert!(!first.contains("canary"));
}

#[tokio::test]
async fn no_name_leads_out_of_the_folder() {
    let outside = tempfile::tempdir().unwrap();
    put(outside.path(), "secret", SECRET);
    put(outside.path(), "in/A/b", "canary");
    put(outside.path(), "in/.hidden/x", "canary");
    let source = source(&[&outside.path().join("in")]);
    for name in [
        "../secret",
        "A/../../secret",
        "A/..",
        "../in/A/b",
        "./A/b",
        "A/./b",
        "A//b",
        "A/b/",
        ".hidden/x",
        "-/../secret",
        "-/A/b",
        "A/b.username",
        "A/b.passphrase",
    ] {
        refused(&source, name, ErrorCode::InputInvalid, "").await;
    }
    let absolute = format!("-{}", outside.path().join("secret").display());
    refused(&source, &absolute, ErrorCode::InputInvalid, "").await;
}

#[tokio::test]
async fn links_are_followed_inside_the_folder_and_not_out_of_it() {
    let outside = tempfile::tempdir().unwrap();
    put(outside.path(), "secret", SECRET);
    put(outside.path(), "elsewhere/b", SECRET);
    let folder = outside.path().join("in");
    // The way Kubernetes mounts a secret.
    put(&folder, "..2026_11_20/password", "canary-mounted");
    symlink("..2026_11_20", folder.join("..data")).unwrap();
    symlink("..data/password", folder.join("password")).unwrap();
    std::fs::create_dir(folder.join("A")).unwrap();
    symlink("../password", folder.join("A/up")).unwrap();
    symlink("../../secret", folder.join("A/out")).unwrap();
    symlink(outside.path().join("secret"), folder.join("A/absolute")).unwrap();
    symlink(folder.join("password"), folder.join("A/absolute_inside")).unwrap();
    symlink("../elsewhere", folder.join("B")).unwrap();
    symlink("loop", folder.join("A/loop")).unwrap();
    symlink("nowhere", folder.join("A/dangling")).unwrap();
    let source = source(&[&folder]);
    assert!(is_password(&fetch(&source, "-/password").await.unwrap(), "canary-mounted"));
    assert!(is_password(&fetch(&source, "A/up").await.unwrap(), "canary-mounted"));
    for name in ["A/out", "A/absolute", "A/absolute_inside", "B/b"] {
        refused(&source, name, ErrorCode::CredentialRefused, "leads out of the folder").await;
    }
    refused(&source, "A/loop", ErrorCode::CredentialRefused, "too many links").await;
    refused(&source, "A/dangling", ErrorCode::CredentialNotFound, "").await;
}

#[tokio::test]
async fn what_is_no_secret_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "A/large", &"c".repeat(64 * 1024 + 1));
    put(folder.path(), "A/empty", "\n");
    put(folder.path(), "A/dir/x", "canary");
    std::fs::write(folder.path().join("A/binary"), b"canary\xff").unwrap();
    put(folder.path(), "A/odd", SECRET);
    put(folder.path(), "A/odd.address", "a\u{1b}[0m");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.path().join("A/pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let source = source(&[folder.path()]);
    refused(&source, "A/large", ErrorCode::CredentialRefused, "64 KiB").await;
    refused(&source, "A/empty", ErrorCode::CredentialRefused, "empty").await;
    refused(&source, "A/dir", ErrorCode::CredentialRefused, "not a regular file").await;
    refused(&source, "A/pipe", ErrorCode::CredentialRefused, "not a regular file").await;
    refused(&source, "A/binary", ErrorCode::CredentialRefused, "UTF-8").await;
    refused(&source, "A/odd", ErrorCode::CredentialRefused, "address").await;
    refused(&source, "A/none", ErrorCode::CredentialNotFound, "`s:A/none`").await;
    refused(&source, "A/empty/x", ErrorCode::CredentialNotFound, "").await;
}
