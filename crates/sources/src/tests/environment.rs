use super::*;
use crate::EnvironmentSource;

fn source(of: &[(&str, &str)]) -> EnvironmentSource {
    EnvironmentSource::new("PC_".to_owned(), variables(of), versions())
}

#[tokio::test]
async fn a_variable_is_named_by_safe_and_object_and_has_companions() {
    let source = source(&[
        ("PC_PROD_SVC_ROOT", SECRET),
        ("PC_PROD_SVC_ROOT_USERNAME", "svc"),
        ("PC_PROD_SVC_ROOT_ADDRESS", "10.0.0.1"),
        ("PC_FLAT", "canary-flat-secret"),
        ("PC_PROD_KEY", KEY),
        ("PC_PROD_KEY_PASSPHRASE", "canary-phrase"),
    ]);
    let credential = fetch(&source, "PROD/SVC_ROOT").await.unwrap();
    assert!(is_password(&credential, SECRET));
    assert_eq!(
        (credential.username.as_deref(), credential.address.as_deref()),
        (Some("svc"), Some("10.0.0.1"))
    );
    assert!(is_password(&fetch(&source, "-/FLAT").await.unwrap(), "canary-flat-secret"));
    let key = fetch(&source, "PROD/KEY").await.unwrap();
    assert!(matches!(key.material, Material::PrivateKey { passphrase: Some(_), .. }));
}

#[tokio::test]
async fn one_variable_has_one_name() {
    let source =
        source(&[("PC_A_B_C", SECRET), ("PC_A_B_C_USERNAME", "canary"), ("PC_A_USERNAME", "canary")]);
    assert!(fetch(&source, "A/B_C").await.is_ok());
    for alias in [
        "A_B/C",
        "a/B_C",
        "A/b_c",
        "A/B-C",
        "A/B C",
        "A/B/C",
        "-/A_B_C",
        "A/Ä",
        "A/B_C_USERNAME",
        "A/USERNAME",
    ] {
        refused(&source, alias, ErrorCode::InputInvalid, "").await;
    }
}

#[tokio::test]
async fn a_variable_of_another_prefix_does_not_exist() {
    let source = source(&[("PATH", SECRET), ("A_B", SECRET)]);
    refused(&source, "A/B", ErrorCode::CredentialNotFound, "`s:A/B`").await;
    refused(&source, "-/PATH", ErrorCode::CredentialNotFound, "").await;
}

#[tokio::test]
async fn an_empty_or_misplaced_value_is_refused() {
    let source = source(&[
        ("PC_A_E", ""),
        ("PC_A_P", SECRET),
        ("PC_A_P_PASSPHRASE", "x"),
        ("PC_A_U", SECRET),
        ("PC_A_U_USERNAME", "a\nb"),
    ]);
    refused(&source, "A/E", ErrorCode::CredentialRefused, "empty").await;
    refused(&source, "A/P", ErrorCode::CredentialRefused, "no private key").await;
    refused(&source, "A/U", ErrorCode::CredentialRefused, "user name").await;
}
