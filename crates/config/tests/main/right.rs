//! Files as `docs/configuration.md` describes them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use config::{
    CcpIdentity, Durability, Fetch, Insecure, KeyLocation, LogFormat, LogLevel, RecordCommands, SinkTo,
    SourceKind,
};
use model::{CredentialRef, CredentialSpec, Platform, SecretLocation, Shell, TargetName};

use crate::folder::{Folder, KEY_HASH};

/// Every key there is, none of them at its default.
pub(crate) fn full() -> Folder {
    let folder = Folder::new();
    for name in [
        "server.pem",
        "server.key",
        "ca.pem",
        "keys/sign.key",
        "keys/seal.key",
        "keys/master",
        "id_ed25519",
        "pass",
        "mcp.pfx",
        "client.pem",
        "client.key",
    ] {
        folder.write(name, "x");
    }
    folder.write("portcullis.toml", &include_str!("full/portcullis.toml").replace("HASH", KEY_HASH));
    folder.write("targets/hosts.toml", include_str!("full/hosts.toml"));
    folder.write("rules/ops.toml", include_str!("full/ops.toml"));
    folder
}

#[test]
fn defaults_are_what_the_reference_says() {
    let folder = Folder::new();
    folder.write("portcullis.toml", "");
    let loaded = folder.load().unwrap();
    let configuration = loaded.configuration;
    assert_eq!(configuration.listen.http.to_string(), "127.0.0.1:8443");
    assert_eq!(configuration.listen.metrics, None);
    assert_eq!(configuration.state, folder.path().join("state"));
    assert_eq!(configuration.handles.ttl, Duration::from_secs(300));
    assert!(configuration.handles.single_use);
    assert_eq!(configuration.limits.timeout, Some(Duration::from_secs(60)));
    assert_eq!(configuration.limits.output, Some(1 << 20));
    assert_eq!(configuration.limits.calls_per_minute, Some(120));
    assert_eq!(configuration.audit.durability, Durability::Auto);
    assert_eq!(configuration.audit.record_commands, RecordCommands::Sealed);
    assert_eq!(configuration.audit.signing_key, KeyLocation::File(folder.path().join("audit.key")));
    assert_eq!(configuration.audit.heads.every, Duration::from_secs(60));
    assert_eq!(
        configuration.known_hosts,
        [folder.path().join("known_hosts"), PathBuf::from("/etc/ssh/ssh_known_hosts")]
    );
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn every_key_arrives() {
    let folder = full();
    let loaded = folder.load().unwrap_or_else(|wrong| panic!("{wrong}"));
    let at = |name: &str| folder.path().join(name);
    let it = loaded.configuration;
    assert_eq!((it.state, it.watch), (at("var"), true));
    assert_eq!(it.insecure, BTreeSet::from([Insecure::Hostkey, Insecure::Tls]));
    assert_eq!(it.listen.http.to_string(), "0.0.0.0:8443");
    assert!(it.listen.behind_proxy);
    assert_eq!(it.listen.trusted_proxies, ["10.0.0.5/32".parse().unwrap()]);
    assert_eq!(it.listen.allowed_hosts, BTreeSet::from(["mcp.example.internal".to_owned()]));
    assert_eq!(it.listen.allowed_origins, BTreeSet::from(["https://chat.example.internal".to_owned()]));
    assert_eq!(it.listen.metrics, Some("127.0.0.1:9464".parse().unwrap()));
    let socket = it.listen.socket.unwrap();
    assert_eq!((socket.path, socket.group.as_deref(), socket.mode), (at("mcp.sock"), Some("agents"), 0o640));
    let tls = it.listen.tls.unwrap();
    assert_eq!((tls.cert, tls.key, tls.client_ca), (at("server.pem"), at("server.key"), Some(at("ca.pem"))));

    let claude = &it.principals[0];
    assert_eq!(claude.id.as_str(), "claude-ops");
    assert_eq!(claude.groups.iter().map(|group| group.as_str()).collect::<Vec<_>>(), ["sre"]);
    assert_eq!(claude.api_keys[0].as_str(), KEY_HASH);
    assert_eq!(claude.api_keys[0].prefix(), "pk_7f3a09bc");
    assert_eq!(claude.certificate_san.as_deref(), Some("agent.ops.example"));
    assert_eq!(claude.from, ["10.0.0.0/24".parse().unwrap()]);
    assert_eq!(claude.os_user.as_deref(), Some("alice"));
    assert_eq!(it.principals[1].api_keys.len(), 2);

    let kinds: Vec<_> =
        it.sources.iter().map(|source| (source.name.as_str(), source.fetch, &source.kind)).collect();
    assert_eq!(
        kinds,
        [
            (
                "vaulted",
                Fetch::AtIssue,
                &SourceKind::Keystore {
                    file: at("keystore"),
                    master_key: KeyLocation::File(at("keys/master"))
                }
            ),
            (
                "files",
                Fetch::AtUse,
                &SourceKind::Folder {
                    paths: vec![PathBuf::from("/run/secrets"), PathBuf::from("$CREDENTIALS_DIRECTORY")]
                }
            ),
            ("variables", Fetch::AtUse, &SourceKind::Env { prefix: "MCP_SSH_SECRET_".to_owned() }),
            (
                "pass",
                Fetch::AtUse,
                &SourceKind::Command {
                    argv: vec![at("bin/pass").display().to_string(), "show".to_owned()],
                    timeout: Duration::from_secs(5)
                }
            ),
            ("cyberark", Fetch::AtUse, &SourceKind::Ccp(Box::new(crate::ccp::expected(&folder)))),
            ("cyberark-pem", Fetch::AtUse, kinds[5].2),
        ]
    );
    let SourceKind::Ccp(pem) = kinds[5].2 else { panic!("another kind") };
    let identity = CcpIdentity::Pem { cert: at("client.pem"), key: at("client.key") };
    assert_eq!((&pem.identity, &pem.accounts), (&Some(identity), &Vec::new()));
    assert_eq!((it.handles.ttl, it.handles.single_use), (Duration::from_secs(120), false));
    assert_eq!(it.known_hosts, [at("hosts")]);
    assert_eq!(it.network.allow, ["10.0.0.0/8".parse().unwrap()]);
    assert_eq!(it.network.block, ["10.9.0.0/16".parse().unwrap()]);
    assert_eq!(it.limits.timeout, Some(Duration::from_secs(30)));
    assert_eq!(it.limits.output, Some(131_072));
    assert_eq!(it.limits.calls_per_minute, Some(60));
    assert_eq!(it.audit.durability, Durability::Disk);
    assert_eq!(it.audit.record_commands, RecordCommands::Clear);
    assert_eq!(it.audit.signing_key, KeyLocation::Systemd("sign".to_owned()));
    assert_eq!(it.audit.seal_key, KeyLocation::Env("SEAL_KEY".to_owned()));
    assert_eq!((it.audit.heads.every, it.audit.heads.to), (Duration::from_secs(10), at("heads.jsonl")));
    let sinks: Vec<_> = it.audit.sinks.into_iter().map(|sink| sink.to).collect();
    assert_eq!(sinks, [SinkTo::Stderr, SinkTo::Stdout, SinkTo::File(at("audit.jsonl"))]);
    assert_eq!((it.log.level, it.log.format), (LogLevel::Debug, LogFormat::Json));
}

#[test]
fn hosts_arrive() {
    let folder = full();
    let loaded = folder.load().unwrap_or_else(|wrong| panic!("{wrong}"));
    let host = |name: &str| loaded.inventory.host(&TargetName::parse(name).unwrap()).unwrap().clone();
    let web = host("web1");
    assert_eq!((web.address.as_str(), web.port, web.user.as_deref()), ("10.0.0.11", 2222, Some("deploy")));
    assert_eq!(web.tags, BTreeSet::from(["production".to_owned(), "web".to_owned()]));
    assert_eq!(
        web.credential,
        Some(CredentialSpec::Stored(CredentialRef::parse("vaulted:PROD/root").unwrap()))
    );
    assert_eq!(web.credentials.len(), 2);
    assert_eq!(web.notes.as_deref(), Some("never restart during business hours"));
    assert_eq!((web.platform, web.shell), (Platform::Linux, Shell::Posix));
    assert_eq!((host("win").platform, host("win").shell), (Platform::Windows, Shell::PowerShell));
    assert_eq!((host("switch").platform, host("switch").shell), (Platform::Bsd, Shell::None));
    assert_eq!(host("win").user.as_deref(), Some("ops"));
    assert_eq!(
        host("win").credential,
        Some(CredentialSpec::Password(SecretLocation::Stored(
            CredentialRef::parse("files:win/admin").unwrap()
        )))
    );
    assert_eq!(
        host("switch").credential,
        Some(CredentialSpec::Key {
            path: folder.path().join("targets/../id_ed25519"),
            passphrase: Some(SecretLocation::File(folder.path().join("targets/../pass"))),
        })
    );
    assert!(matches!(host("mac").credential, Some(CredentialSpec::Agent { .. })));
    assert!(matches!(host("lab").credential, Some(CredentialSpec::Password(SecretLocation::Literal(_)))));
    assert!(!format!("{loaded:?}").contains("in-the-clear"), "a literal secret is printed");
}
