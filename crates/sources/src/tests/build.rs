use std::path::{Path, PathBuf};

use broker::FetchTime;

use super::*;
use crate::{
    Keystore, MasterKey, MasterKeyError, MasterKeyLocation, SourceKind, SourceSpec, Surroundings, Unlock,
    build,
};

fn spec(kind: SourceKind) -> SourceSpec {
    SourceSpec { name: "s".to_owned(), fetch: FetchTime::AtUse, kind }
}

fn built(state: &Path, of: &[(&str, &str)], spec: &SourceSpec) -> Result<Arc<dyn CredentialSource>, Failure> {
    build(
        spec,
        &Surroundings {
            clock: Arc::new(Stopped),
            entropy: Arc::new(Counting::default()),
            state,
            environment: variables(of),
            passphrase: &|| Err(MasterKeyError::NobodyToAsk),
        },
    )
}

fn message(result: Result<Arc<dyn CredentialSource>, Failure>) -> String {
    let failure = result.err().unwrap();
    assert!(!format!("{failure:?}").contains("canary"));
    assert!(failure.message().contains("credential source `s`"), "{}", failure.message());
    failure.message().to_owned()
}

/// A folder with a keystore that holds one secret, and the key's file beside it.
fn with_keystore() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (file, key_file) = (folder.path().join("keystore"), folder.path().join("master.key"));
    let key = MasterKey::generate(&Counting::default()).unwrap();
    private(&key_file, key.to_text().as_bytes());
    let keystore = Keystore::create(&file, key, Arc::new(Stopped), Arc::new(Counting::default())).unwrap();
    let entry = crate::Entry {
        username: None,
        address: None,
        secret: model::Secret::new(SECRET.to_owned()),
        passphrase: None,
    };
    keystore.set(&named("A/b"), entry).unwrap();
    (folder, file, key_file)
}

#[tokio::test]
async fn a_keystore_is_built_from_a_key_in_a_file_a_variable_or_a_systemd_credential() {
    let (folder, file, key_file) = with_keystore();
    let text = std::fs::read_to_string(&key_file).unwrap();
    let state = folder.path().join("state");
    let credentials = folder.path().to_str().unwrap();
    let of = [("MASTER", text.as_str()), ("CREDENTIALS_DIRECTORY", credentials)];
    for master_key in [
        MasterKeyLocation::File(key_file.clone()),
        MasterKeyLocation::Env("MASTER".to_owned()),
        MasterKeyLocation::Systemd("master.key".to_owned()),
    ] {
        let source =
            built(&state, &of, &spec(SourceKind::Keystore { file: file.clone(), master_key })).unwrap();
        assert!(is_password(&fetch(source.as_ref(), "A/b").await.unwrap(), SECRET));
        refused(source.as_ref(), "A/none", ErrorCode::CredentialNotFound, "`A/none`").await;
    }
}

#[tokio::test]
async fn a_keystore_may_be_made_after_the_gateway_started() {
    let (folder, _, key_file) = with_keystore();
    let (state, file) = (folder.path().join("state"), folder.path().join("later"));
    let location = MasterKeyLocation::File(key_file);
    let kind = SourceKind::Keystore { file: file.clone(), master_key: location.clone() };
    let source = built(&state, &[], &spec(kind)).unwrap();
    refused(source.as_ref(), "A/b", ErrorCode::CredentialSourceDown, "does not exist").await;
    let around = Surroundings {
        clock: Arc::new(Stopped),
        entropy: Arc::new(Counting::default()),
        state: &state,
        environment: variables(&[]),
        passphrase: &|| Err(MasterKeyError::NobodyToAsk),
    };
    let made = crate::create_located(&file, &location, &around).unwrap();
    let entry = crate::Entry {
        username: None,
        address: None,
        secret: model::Secret::new(SECRET.to_owned()),
        passphrase: None,
    };
    made.set(&named("A/b"), entry).unwrap();
    assert!(is_password(&fetch(source.as_ref(), "A/b").await.unwrap(), SECRET));
    assert!(matches!(crate::create_located(&file, &location, &around), Err(crate::KeystoreError::Exists(_))));
}

#[test]
fn a_master_key_that_cannot_be_had_is_named() {
    let (folder, file, key_file) = with_keystore();
    let state = folder.path().join("state");
    let at = |master_key| {
        built(&state, &[("SHORT", "canary")], &spec(SourceKind::Keystore { file: file.clone(), master_key }))
    };
    let gone = folder.path().join("gone");
    assert!(message(at(MasterKeyLocation::File(gone))).contains("no such file"));
    assert!(message(at(MasterKeyLocation::Env("NONE".to_owned()))).contains("variable `NONE`"));
    assert!(message(at(MasterKeyLocation::Env("SHORT".to_owned()))).contains("not 32 bytes"));
    assert!(message(at(MasterKeyLocation::Systemd("x".to_owned()))).contains("CREDENTIALS_DIRECTORY"));
    assert!(message(at(MasterKeyLocation::Systemd("../x".to_owned()))).contains("not a file name"));
    assert!(message(at(MasterKeyLocation::Prompt)).contains("nobody to ask"));
    std::fs::set_permissions(&key_file, PermissionsExt::from_mode(0o644)).unwrap();
    assert!(message(at(MasterKeyLocation::File(key_file))).contains("others can read it"));
}

#[test]
fn a_master_key_inside_the_state_folder_is_refused_also_through_a_link() {
    let (folder, file, key_file) = with_keystore();
    let state = folder.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let inside = state.join("master.key");
    std::fs::copy(&key_file, &inside).unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&inside, &link).unwrap();
    let winding = folder.path().join("state/../state/master.key");
    for path in [inside, link, winding] {
        let kind = SourceKind::Keystore { file: file.clone(), master_key: MasterKeyLocation::File(path) };
        assert!(message(built(&state, &[], &spec(kind))).contains("inside the state folder"));
    }
    let sibling = folder.path().join("state-keys");
    std::fs::create_dir(&sibling).unwrap();
    std::fs::copy(&key_file, sibling.join("k")).unwrap();
    let kind = SourceKind::Keystore { file, master_key: MasterKeyLocation::File(sibling.join("k")) };
    assert!(built(&state, &[], &spec(kind)).is_ok(), "a folder that only begins alike is another folder");
}

#[test]
fn a_keystore_with_a_passphrase_is_opened_by_whoever_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keystore");
    let phrase = || model::Secret::new("canary passphrase".to_owned());
    let key = crate::keystore::quick_key(&phrase());
    Keystore::create(&file, key, Arc::new(Stopped), Arc::new(Counting::default())).unwrap();
    let around = Surroundings {
        clock: Arc::new(Stopped),
        entropy: Arc::new(Counting::default()),
        state: &folder.path().join("state"),
        environment: variables(&[]),
        passphrase: &|| Ok(phrase()),
    };
    let kind = SourceKind::Keystore { file, master_key: MasterKeyLocation::Prompt };
    assert!(build(&spec(kind), &around).is_ok());
}

#[tokio::test]
async fn a_key_rotated_by_another_process_is_read_again() {
    let (folder, file, key_file) = with_keystore();
    let state = folder.path().join("state");
    let master_key = MasterKeyLocation::File(key_file.clone());
    let source = built(&state, &[], &spec(SourceKind::Keystore { file: file.clone(), master_key })).unwrap();
    let key = MasterKey::parse(zeroize::Zeroizing::new(std::fs::read(&key_file).unwrap()), "test").unwrap();
    let other =
        Keystore::open(&file, Unlock::Key(key), Arc::new(Stopped), Arc::new(Counting::default())).unwrap();
    let entropy = Counting::default();
    entropy.fill(&mut [0]).unwrap();
    crate::rotate_master_file(&other, &key_file, &entropy).unwrap();
    assert!(is_password(&fetch(source.as_ref(), "A/b").await.unwrap(), SECRET));
}

#[tokio::test]
async fn a_rotation_that_a_crash_left_half_done_is_finished_at_the_next_start() {
    let (folder, file, key_file) = with_keystore();
    let key = MasterKey::parse(zeroize::Zeroizing::new(std::fs::read(&key_file).unwrap()), "test").unwrap();
    let keystore =
        Keystore::open(&file, Unlock::Key(key), Arc::new(Stopped), Arc::new(Counting::default())).unwrap();
    let new = || MasterKey::parse(zeroize::Zeroizing::new(vec![7; 32]), "test").unwrap();
    // Killed between the second and the third step.
    private(&folder.path().join("master.key.new"), new().to_text().as_bytes());
    keystore.rotate_master(new()).unwrap();
    let kind = SourceKind::Keystore { file, master_key: MasterKeyLocation::File(key_file.clone()) };
    let source = built(&folder.path().join("state"), &[], &spec(kind)).unwrap();
    assert!(is_password(&fetch(source.as_ref(), "A/b").await.unwrap(), SECRET));
    assert_eq!(std::fs::read_to_string(&key_file).unwrap(), *new().to_text());
}

#[tokio::test]
async fn a_key_that_lies_beside_the_old_one_is_used_while_a_rotation_is_under_way() {
    let (folder, file, key_file) = with_keystore();
    let master_key = MasterKeyLocation::File(key_file.clone());
    let source = built(
        &folder.path().join("state"),
        &[],
        &spec(SourceKind::Keystore { file: file.clone(), master_key }),
    );
    let key = MasterKey::parse(zeroize::Zeroizing::new(std::fs::read(&key_file).unwrap()), "test").unwrap();
    let other =
        Keystore::open(&file, Unlock::Key(key), Arc::new(Stopped), Arc::new(Counting::default())).unwrap();
    let new = || MasterKey::parse(zeroize::Zeroizing::new(vec![7; 32]), "test").unwrap();
    new().save(&folder.path().join("master.key.new")).unwrap();
    other.rotate_master(new()).unwrap();
    assert!(is_password(&fetch(source.unwrap().as_ref(), "A/b").await.unwrap(), SECRET));
}

#[test]
fn a_new_key_that_was_never_used_does_not_stop_the_next_rotation() {
    let (folder, file, key_file) = with_keystore();
    let key = MasterKey::parse(zeroize::Zeroizing::new(std::fs::read(&key_file).unwrap()), "test").unwrap();
    let keystore =
        Keystore::open(&file, Unlock::Key(key), Arc::new(Stopped), Arc::new(Counting::default())).unwrap();
    private(&folder.path().join("master.key.new"), b"left behind");
    let entropy = Counting::default();
    entropy.fill(&mut [0]).unwrap();
    crate::rotate_master_file(&keystore, &key_file, &entropy).unwrap();
    let key = MasterKey::parse(zeroize::Zeroizing::new(std::fs::read(&key_file).unwrap()), "test").unwrap();
    assert!(
        Keystore::open(&file, Unlock::Key(key), Arc::new(Stopped), Arc::new(Counting::default())).is_ok()
    );
    assert!(!folder.path().join("master.key.new").exists());
}

#[tokio::test]
async fn the_credentials_directory_is_expanded_and_skipped_where_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("b"), SECRET).unwrap();
    let paths = |of: &[&str]| spec(SourceKind::Folder { paths: of.iter().map(PathBuf::from).collect() });
    let both = paths(&["/nonexistent", "$CREDENTIALS_DIRECTORY"]);
    let there = [("CREDENTIALS_DIRECTORY", folder.path().to_str().unwrap())];
    let source = built(folder.path(), &there, &both).unwrap();
    assert!(is_password(&fetch(source.as_ref(), "-/b").await.unwrap(), SECRET));
    assert!(built(folder.path(), &[], &both).is_ok());
    assert!(
        message(built(folder.path(), &[], &paths(&["$CREDENTIALS_DIRECTORY"])))
            .contains("CREDENTIALS_DIRECTORY")
    );
}

#[test]
fn an_empty_prefix_and_a_missing_program_are_refused() {
    let state = Path::new("/nonexistent");
    let env = spec(SourceKind::Env { prefix: String::new() });
    assert!(message(built(state, &[], &env)).contains("`prefix`"));
    for argv in [vec![], vec![String::new()], vec!["{safe}".to_owned()]] {
        let command = SourceKind::Command { argv, env: BTreeMap::new(), timeout: Duration::from_secs(1) };
        assert!(message(built(state, &[], &spec(command))).contains("`command`"));
    }
}

#[test]
fn fetch_at_issue_is_told_by_the_source() {
    let kind = || SourceKind::Env { prefix: "P_".to_owned() };
    let source =
        |fetch| built(Path::new("/nonexistent"), &[], &SourceSpec { fetch, ..spec(kind()) }).unwrap();
    assert_eq!(source(FetchTime::AtIssue).fetch_time(), FetchTime::AtIssue);
    assert_eq!(source(FetchTime::AtUse).fetch_time(), FetchTime::AtUse);
}
