use model::Secret;

use super::*;
use crate::{EnvironmentSource, Strength, examine, strength};

#[tokio::test]
async fn an_examination_tells_everything_but_the_secret() {
    let of = [("PC_A_P", SECRET), ("PC_A_P_USERNAME", "svc"), ("PC_A_K", KEY), ("PC_A_W", "hunter2")];
    let source = EnvironmentSource::new("PC_".to_owned(), variables(&of), versions());
    let password = examine(&source, &named("A/P")).await.unwrap();
    assert_eq!((password.kind, password.strength), ("password", Strength::Ok));
    assert_eq!(password.username.as_deref(), Some("svc"));
    assert!(!format!("{password:?}").contains("canary"));
    assert_eq!(examine(&source, &named("A/K")).await.unwrap().kind, "private key");
    assert!(matches!(examine(&source, &named("A/W")).await.unwrap().strength, Strength::Weak(_)));
    assert_eq!(examine(&source, &named("A/N")).await.unwrap_err().code(), ErrorCode::CredentialNotFound);
}

#[test]
fn short_repeating_and_counting_secrets_are_weak() {
    let of = |text: &str| strength(&Material::Password(Secret::new(text.to_owned())));
    for weak in [
        "",
        "hunter2",
        "Tr0ub4dor&3",
        "aaaaaaaaaaaaaaaaaaaa",
        "abababababababab",
        "abcdefghijklmnop",
        "0123456789012345",
    ] {
        assert!(matches!(of(weak), Strength::Weak(_)), "{weak}");
    }
    for good in ["x9#Lq2vB7!pZ", "correct horse battery staple", "5f2b8c1e9d4a7f30", SECRET] {
        assert_eq!(of(good), Strength::Ok, "{good}");
    }
}
