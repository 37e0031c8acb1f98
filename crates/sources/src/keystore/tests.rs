use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use model::NoEntropy;

use super::key::Derivation;
use super::*;
use crate::tests::{Counting, KEY, SECRET, Stopped, named};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("keystore")
    }

    fn create(&self) -> Keystore {
        Keystore::create(&self.file(), key(1), Arc::new(Stopped), Arc::new(Counting::default())).unwrap()
    }

    fn open(&self, unlock: Unlock) -> Result<Keystore, KeystoreError> {
        Keystore::open(&self.file(), unlock, Arc::new(Stopped), Arc::new(Counting::default()))
    }
}

fn key(seed: u8) -> MasterKey {
    MasterKey::parse(zeroize::Zeroizing::new(vec![seed; 32]), "test").unwrap()
}

/// A key from a passphrase at a cost that tests can bear.
pub(crate) fn quick_key(passphrase: &Secret<String>) -> MasterKey {
    MasterKey::derive(passphrase, Derivation::fresh(8, 1, &Counting::default()).unwrap()).unwrap()
}

fn entry(secret: &str) -> Entry {
    Entry {
        username: Some("svc".to_owned()),
        address: Some("10.0.0.1".to_owned()),
        secret: Secret::new(secret.to_owned()),
        passphrase: None,
    }
}

fn error_text(error: &KeystoreError) -> String {
    let failure = format!("{error} {error:?}");
    assert!(!failure.contains("canary") && !failure.contains(SECRET), "{failure}");
    failure
}

#[test]
fn what_is_set_is_found_again_by_another_opener() {
    let folder = Folder::new();
    let keystore = folder.create();
    keystore.set(&named("PROD/root"), entry(SECRET)).unwrap();
    keystore.set(&named("PROD/key"), entry(KEY)).unwrap();
    let other = folder.open(Unlock::Key(key(1))).unwrap();
    let found = other.find(&named("PROD/root")).unwrap();
    assert!(found.secret.same_as(SECRET.as_bytes()));
    assert_eq!((found.username.as_deref(), found.address.as_deref()), (Some("svc"), Some("10.0.0.1")));
    assert!(other.find(&named("PROD/key")).unwrap().secret.same_as(KEY.as_bytes()));
    keystore.set(&named("PROD/root"), entry("canary-rotated")).unwrap();
    assert!(
        other.find(&named("PROD/root")).unwrap().secret.same_as(b"canary-rotated"),
        "the file is read at every use"
    );
    assert!(
        matches!(other.find(&named("PROD/none")), Err(KeystoreError::NoEntry(name)) if name == "PROD/none")
    );
}

#[test]
fn a_private_key_may_have_its_passphrase_beside_it() {
    let folder = Folder::new();
    let keystore = folder.create();
    let passphrase = || Some(Secret::new("canary-phrase".to_owned()));
    keystore.set(&named("A/key"), Entry { passphrase: passphrase(), ..entry(KEY) }).unwrap();
    keystore.set(&named("A/plain"), entry(KEY)).unwrap();
    let other = folder.open(Unlock::Key(key(1))).unwrap();
    assert!(other.find(&named("A/key")).unwrap().passphrase.is_some_and(|p| p.same_as(b"canary-phrase")));
    assert!(other.find(&named("A/plain")).unwrap().passphrase.is_none());
    assert!(!format!("{:?}", other.list().unwrap()).contains("canary"));
}

#[test]
fn the_list_shows_everything_but_the_secrets() {
    let folder = Folder::new();
    let keystore = folder.create();
    keystore.set(&named("B/weak"), entry("canary")).unwrap();
    keystore
        .set(&named("A/good"), Entry { username: Some(String::new()), address: None, ..entry(SECRET) })
        .unwrap();
    let listed = keystore.list().unwrap();
    assert!(!format!("{listed:?}").contains("canary"));
    let [good, weak] = listed.as_slice() else { panic!("two entries") };
    assert_eq!((good.safe.as_str(), good.object.as_str(), good.strength), ("A", "good", Strength::Ok));
    assert_eq!((good.username.as_deref(), good.updated), (None, Timestamp::from_millis(1_000_000)));
    assert!(matches!(weak.strength, Strength::Weak(_)));
}

#[test]
fn a_removed_entry_is_gone() {
    let folder = Folder::new();
    let keystore = folder.create();
    keystore.set(&named("A/b"), entry(SECRET)).unwrap();
    keystore.remove(&named("A/b")).unwrap();
    assert!(matches!(keystore.remove(&named("A/b")), Err(KeystoreError::NoEntry(_))));
    assert!(keystore.list().unwrap().is_empty());
}

#[test]
fn the_file_shows_no_name_and_no_secret_and_is_private() {
    let folder = Folder::new();
    let keystore = folder.create();
    keystore.set(&named("SAFENAME/objectname"), entry(SECRET)).unwrap();
    let text = std::fs::read_to_string(folder.file()).unwrap();
    for hidden in [SECRET, "SAFENAME", "objectname", "10.0.0.1"] {
        assert!(!text.contains(hidden));
    }
    for entry in std::fs::read_dir(folder.0.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
    assert_eq!(
        std::fs::read_dir(folder.0.path()).unwrap().count(),
        2,
        "the keystore and its lock, nothing left behind"
    );
}

#[test]
fn a_missing_file_a_wrong_key_and_a_changed_file_are_told_apart() {
    let folder = Folder::new();
    assert!(matches!(folder.open(Unlock::Key(key(1))), Err(KeystoreError::Missing(_))));
    folder.create().set(&named("A/b"), entry(SECRET)).unwrap();
    let wrong = folder.open(Unlock::Key(key(2))).err().unwrap();
    assert!(matches!(wrong, KeystoreError::WrongMasterKey(_)));
    assert!(error_text(&wrong).contains(folder.file().to_str().unwrap()));
    std::fs::write(folder.file(), "something else entirely\n").unwrap();
    assert!(matches!(folder.open(Unlock::Key(key(1))), Err(KeystoreError::NotAKeystore(_))));
}

#[test]
fn no_changed_byte_and_no_cut_goes_unnoticed() {
    let folder = Folder::new();
    folder.create().set(&named("A/b"), entry(SECRET)).unwrap();
    let whole = std::fs::read(folder.file()).unwrap();
    let mut tampered = 0;
    for at in 0..whole.len() {
        for bit in [0x01, 0x20] {
            let mut changed = whole.clone();
            changed[at] ^= bit;
            std::fs::write(folder.file(), &changed).unwrap();
            let error =
                folder.open(Unlock::Key(key(1))).err().unwrap_or_else(|| panic!("byte {at} may be changed"));
            error_text(&error);
            tampered += usize::from(matches!(error, KeystoreError::Tampered(_)));
        }
    }
    assert!(tampered > whole.len(), "most changes are known as such");
    for length in 0..whole.len() {
        std::fs::write(folder.file(), &whole[..length]).unwrap();
        assert!(folder.open(Unlock::Key(key(1))).is_err(), "cut to {length}");
    }
    std::fs::write(folder.file(), &whole).unwrap();
    assert!(folder.open(Unlock::Key(key(1))).is_ok());
}

#[test]
fn the_sealed_part_of_one_version_does_not_fit_the_header_of_another() {
    let folder = Folder::new();
    let keystore = folder.create();
    keystore.set(&named("A/b"), entry(SECRET)).unwrap();
    let old = std::fs::read_to_string(folder.file()).unwrap();
    keystore.set(&named("A/b"), entry("canary-new")).unwrap();
    let new = std::fs::read_to_string(folder.file()).unwrap();
    let mixed = format!("{}\n{}\n", new.lines().next().unwrap(), old.lines().nth(1).unwrap());
    std::fs::write(folder.file(), mixed).unwrap();
    assert!(matches!(keystore.find(&named("A/b")), Err(KeystoreError::Tampered(_))));
}

#[test]
fn a_newer_format_is_named() {
    let folder = Folder::new();
    folder.create();
    let text = std::fs::read_to_string(folder.file()).unwrap();
    std::fs::write(folder.file(), text.replace("\"version\":1", "\"version\":2,\"more\":[]")).unwrap();
    assert!(matches!(folder.open(Unlock::Key(key(1))), Err(KeystoreError::Newer { version: 2, .. })));
}

#[test]
fn a_keystore_is_never_overwritten_by_making_one() {
    let folder = Folder::new();
    folder.create().set(&named("A/b"), entry(SECRET)).unwrap();
    let again = Keystore::create(&folder.file(), key(2), Arc::new(Stopped), Arc::new(Counting::default()));
    assert!(matches!(again, Err(KeystoreError::Exists(_))));
    assert!(folder.open(Unlock::Key(key(1))).unwrap().find(&named("A/b")).is_ok());
}

#[test]
fn two_writers_never_lose_an_entry() {
    let folder = Folder::new();
    folder.create();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let folder = &folder;
            scope.spawn(move || {
                let keystore = folder.open(Unlock::Key(key(1))).unwrap();
                for n in 0..10 {
                    keystore.set(&named(&format!("W{writer}/{n}")), entry(SECRET)).unwrap();
                }
            });
        }
    });
    assert_eq!(folder.open(Unlock::Key(key(1))).unwrap().list().unwrap().len(), 40);
}

#[test]
fn after_a_rotation_only_the_new_key_opens_and_nothing_is_lost() {
    let folder = Folder::new();
    let keystore = folder.create();
    keystore.set(&named("A/b"), entry(SECRET)).unwrap();
    keystore.rotate_master(key(2)).unwrap();
    assert!(keystore.find(&named("A/b")).is_ok(), "whoever rotated goes on");
    assert!(matches!(folder.open(Unlock::Key(key(1))), Err(KeystoreError::WrongMasterKey(_))));
    let found = folder.open(Unlock::Key(key(2))).unwrap().find(&named("A/b")).unwrap();
    assert!(found.secret.same_as(SECRET.as_bytes()));
}

#[test]
fn a_failed_rotation_leaves_the_old_key_and_no_new_one() {
    let folder = Folder::new();
    let keystore = folder.create();
    let key_file = folder.0.path().join("master.key");
    crate::tests::private(&key_file, key(1).to_text().as_bytes());
    keystore.rotate_master(key(9)).unwrap();
    keystore.use_key(key(1));
    assert!(rotate_master_file(&keystore, &key_file, &Counting::default()).is_err());
    assert_eq!(std::fs::read_to_string(&key_file).unwrap(), *key(1).to_text());
    assert!(!folder.0.path().join("master.key.new").exists());
}

#[test]
fn a_passphrase_opens_what_was_made_with_it_and_nothing_else_does() {
    let folder = Folder::new();
    let phrase = |text: &str| Secret::new(text.to_owned());
    let made = quick_key(&phrase("canary horse battery"));
    let keystore =
        Keystore::create(&folder.file(), made, Arc::new(Stopped), Arc::new(Counting::default())).unwrap();
    keystore.set(&named("A/b"), entry(SECRET)).unwrap();
    assert!(
        folder.open(Unlock::Passphrase(phrase("canary horse battery"))).unwrap().find(&named("A/b")).is_ok()
    );
    for wrong in [Unlock::Passphrase(phrase("another horse battery")), Unlock::Key(key(1))] {
        assert!(matches!(folder.open(wrong), Err(KeystoreError::WrongMasterKey(_))));
    }
    let short = folder.open(Unlock::Passphrase(phrase("canary"))).err().unwrap();
    assert!(error_text(&short).contains("12 characters"));
    keystore.rotate_master(key(2)).unwrap();
    assert!(folder.open(Unlock::Key(key(2))).is_ok());
    assert!(folder.open(Unlock::Passphrase(phrase("canary horse battery"))).is_err());
}

#[test]
fn a_header_cannot_ask_for_an_endless_derivation() {
    let folder = Folder::new();
    let phrase = || Secret::new("canary horse battery".to_owned());
    Keystore::create(&folder.file(), quick_key(&phrase()), Arc::new(Stopped), Arc::new(Counting::default()))
        .unwrap();
    let text = std::fs::read_to_string(folder.file()).unwrap();
    for costly in ["\"memory_kib\":4294967295", "\"memory_kib\":1"] {
        std::fs::write(folder.file(), text.replace("\"memory_kib\":8", costly)).unwrap();
        let error = folder.open(Unlock::Passphrase(phrase())).err().unwrap();
        assert!(matches!(error, KeystoreError::MasterKey(MasterKeyError::Derivation)), "{error}");
    }
}

#[test]
fn a_key_is_read_raw_as_hex_or_as_base64_and_as_nothing_else() {
    let parse = |text: &[u8]| MasterKey::parse(zeroize::Zeroizing::new(text.to_vec()), "test");
    let expected = key(0xa7).to_text();
    let base64 = "p6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6c=";
    for text in
        [vec![0xa7; 32], expected.as_bytes().to_vec(), format!("{}\n", *expected).into_bytes(), base64.into()]
    {
        assert_eq!(parse(&text).unwrap().to_text(), expected);
    }
    let mut raw_newline = [0xa7; 32];
    raw_newline[31] = b'\n';
    assert!(parse(&raw_newline).unwrap().to_text().ends_with("0a"));
    for wrong in [&b""[..], b"canary", &[0xa7; 31], &[0xa7; 33], &[b'g'; 64], &[b'!'; 44]] {
        let error = parse(wrong).err().unwrap().to_string();
        assert!(error.contains("test") && !error.contains("canary"));
    }
}

#[test]
fn an_entry_that_makes_no_sense_is_refused() {
    let folder = Folder::new();
    let keystore = folder.create();
    let set = |entry| keystore.set(&named("A/b"), entry);
    for bad in [
        entry(""),
        entry(&"c".repeat(64 * 1024 + 1)),
        Entry { username: Some("a\nb".to_owned()), ..entry(SECRET) },
        Entry { address: Some("x".repeat(257)), ..entry(SECRET) },
        Entry { passphrase: Some(Secret::new("for no key".to_owned())), ..entry(SECRET) },
        Entry { passphrase: Some(Secret::new(String::new())), ..entry(KEY) },
    ] {
        assert!(matches!(set(bad), Err(KeystoreError::BadEntry(_))));
    }
    assert!(keystore.list().unwrap().is_empty());
}

/// A system without random bytes.
struct Dry;

impl Entropy for Dry {
    fn fill(&self, _: &mut [u8]) -> Result<(), NoEntropy> {
        Err(NoEntropy)
    }
}

#[test]
fn without_randomness_nothing_is_written() {
    let folder = Folder::new();
    let made = Keystore::create(&folder.file(), key(1), Arc::new(Stopped), Arc::new(Dry));
    assert!(matches!(made, Err(KeystoreError::MasterKey(MasterKeyError::NoEntropy(_)))));
    assert!(!folder.file().exists());
}

#[test]
fn agents_learn_of_a_missing_entry_but_not_where_the_keystore_lies() {
    let missing = model::Failure::from(KeystoreError::NoEntry("A/b".to_owned()));
    assert_eq!(missing.code(), model::ErrorCode::CredentialNotFound);
    let wrong = model::Failure::from(KeystoreError::WrongMasterKey(PathBuf::from("/secret/place")));
    assert_eq!(wrong.code(), model::ErrorCode::CredentialSourceDown);
    assert!(
        !wrong.message().contains("/secret/place") && wrong.internal().unwrap().contains("/secret/place")
    );
}
