//! Key files.

use std::os::unix::fs::PermissionsExt as _;

use crate::test_util::TestEntropy;
use crate::{KeyError, PublicKey, SealKey, SigningKey};

#[test]
fn keys_are_made_once_read_back_and_for_their_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.key");
    let made = SigningKey::create(&path, &TestEntropy::default()).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let public = PublicKey::load(&dir.path().join("audit.key.pub")).unwrap();
    assert_eq!(SigningKey::load(&path).unwrap().public(), public);
    assert_eq!(made.public(), public);
    assert_eq!(PublicKey::parse(&public.to_string()).unwrap().id().len(), 16);
    assert!(matches!(SigningKey::create(&path, &TestEntropy::default()), Err(KeyError::File { .. })));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let exposed = SigningKey::load(&path).err().unwrap();
    assert!(matches!(&exposed, KeyError::Exposed { mode: 0o640, .. }), "{exposed}");
    let seal = dir.path().join("seal.key");
    let sealed = SealKey::create(&seal, &TestEntropy::default()).unwrap();
    assert_eq!(*SealKey::load(&seal).unwrap().0, *sealed.0);
    assert!(SigningKey::load(&seal).is_err(), "a key of one kind is no key of another");
}

#[test]
fn what_is_no_key_is_refused_without_being_quoted() {
    for text in
        ["", "hunter2hunter2", "portcullis-audit-signing-key-v1 AAAA", "portcullis-audit-signing-key-v1 %%"]
    {
        let error = SigningKey::parse(text).err().unwrap().to_string();
        assert!(!error.contains("hunter2") && error.contains("portcullis-audit-signing-key-v1"), "{error}");
    }
}
