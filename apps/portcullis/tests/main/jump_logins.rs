//! A way on which every host takes another kind of login: a key behind a passphrase, a key that an agent holds, and at its
//! end a certificate or a password.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Era, KeyKind, KeyPair, McpHttp, Portcullis, SshAgent, Sshd, ToolAnswer};

use crate::site::{Site, ends};

const PASSPHRASE: &str = "canary open sesame";
const VALID: &str = "20200101:20900101";
const EXPIRED: &str = "20200101:20210101";

struct Way {
    outer: Sshd,
    inner: Sshd,
    /// The host `web1` behind both.
    site: Site,
    keys: Keys,
    agent: SshAgent,
}

struct Keys {
    authority: KeyPair,
    /// Behind the passphrase.
    outer: KeyPair,
    /// Held by the agent.
    inner: KeyPair,
    /// What the authority certifies.
    own: KeyPair,
    folder: TempDir,
}

impl Keys {
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, phrase| KeyPair::make(&folder.path().join(name), KeyKind::Ed25519, phrase);
        let (authority, outer) = (make("ca", ""), make("outer", PASSPHRASE));
        let (inner, own) = (make("inner", ""), make("own", ""));
        Self { authority, outer, inner, own, folder }
    }

    /// Every key's fingerprint but this one's.
    fn others(&self, than: &KeyPair) -> Vec<String> {
        let all = [&self.outer, &self.inner, &self.own].map(KeyPair::fingerprint);
        all.into_iter().filter(|one| *one != than.fingerprint()).collect()
    }
}

impl Way {
    fn new() -> Self {
        let keys = Keys::make();
        let taking = |key: &str| {
            let sshd = Sshd::options().key_only().start();
            std::fs::write(sshd.folder().join("authorized_keys"), key).unwrap();
            sshd
        };
        let (outer, inner) = (taking(&keys.outer.public_line()), taking(&keys.inner.public_line()));
        let trusted = format!("TrustedUserCAKeys {}.pub", keys.authority.path().display());
        let target = Sshd::options().line(&trusted).start();
        std::fs::write(target.folder().join("authorized_keys"), "").unwrap();
        let agent = SshAgent::start(&keys.inner);
        let way = Self { outer, inner, site: Site::of(target), keys, agent };
        way.certify(VALID);
        way.set_passphrase(PASSPHRASE);
        way.declare();
        way
    }

    fn declare(&self) {
        let installed = &self.site.installed;
        let phrase = self.keys.folder.path().join("phrase");
        let (outer, own) = (self.keys.outer.path(), self.keys.own.path());
        let outer = format!("{{ key = {outer:?}, passphrase = {{ file = {phrase:?} }} }}");
        let inner = format!("{{ agent = {:?} }}", self.keys.inner.fingerprint());
        let mut known = self.site.sshd.known_hosts_line();
        for (name, sshd, credential) in [("outer", &self.outer, outer), ("inner", &self.inner, inner)] {
            let host = format!(
                "[hosts.{name}]\naddress = \"127.0.0.1\"\nport = {}\nuser = \"{}\"\ncredential = {credential}",
                sshd.port(),
                sshd.user()
            );
            installed.append("inventory.toml", &host);
            known = format!("{known}\n{}", sshd.known_hosts_line());
        }
        installed.write("known_hosts", &format!("{known}\n"));
        let port = format!("port = {}\n", self.site.sshd.port());
        let user = self.site.sshd.user();
        installed.edit(
            "inventory.toml",
            &port,
            &format!("{port}user = \"{user}\"\njump = [\"outer\", \"inner\"]\n"),
        );
        installed.edit("inventory.toml", "\"keystore:prod/web1\"\n", &format!("{{ key = {own:?} }}\n"));
    }

    fn certify(&self, time: &str) {
        self.keys.authority.certify(&self.keys.own, &["-n", self.site.sshd.user(), "-V", time]);
    }

    fn set_passphrase(&self, phrase: &str) {
        let file = self.keys.folder.path().join("phrase");
        std::fs::write(&file, phrase).unwrap();
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
    }

    fn serve(&self) -> Portcullis {
        let socket: &OsStr = self.agent.socket().as_os_str();
        self.site.serve_with_env(&[], &[("SSH_AUTH_SOCK", socket)])
    }

    fn reload(&self) {
        let reloaded = self.site.installed.run(&["reload"]);
        assert_eq!(reloaded.exit, 0, "{reloaded:?}");
    }

    fn hosts(&self) -> [&Sshd; 3] {
        [&self.outer, &self.inner, &self.site.sshd]
    }

    fn logins(&self) -> [usize; 3] {
        self.hosts().map(Sshd::logins)
    }
}

async fn run(client: &McpHttp, more: Value) -> ToolAnswer {
    let mut arguments = json!({ "host": "web1", "command": "echo through" });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.call("ssh_execute", arguments).await.unwrap()
}

async fn goes_through(client: &McpHttp, more: Value) {
    let ran = run(client, more).await;
    assert_eq!(ran.structured()["stdout"], "through\n", "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_host_of_a_way_gets_its_own_kind_of_login_and_no_other_hosts_key() {
    let way = Way::new();
    let gateway = way.serve();
    let client = way.site.http(&gateway, Era::Modern).await;
    goes_through(&client, json!({})).await;
    let certified = format!("ID portcullis-test (serial 0) CA ED25519 {}", way.keys.authority.fingerprint());
    let expected = [way.keys.outer.fingerprint(), way.keys.inner.fingerprint(), certified];
    for (sshd, accepted) in way.hosts().into_iter().zip(&expected) {
        let log = sshd.log();
        let line = log.lines().find(|line| line.starts_with("Accepted publickey for ")).unwrap_or(&log);
        assert!(line.contains(accepted), "{accepted}: {line}");
    }
    for (sshd, own) in way.hosts().into_iter().zip([&way.keys.outer, &way.keys.inner, &way.keys.own]) {
        for other in way.keys.others(own) {
            assert!(!sshd.log().contains(&other), "{other} was shown: {}", sshd.log());
        }
    }
    // With a handle for the account's password the way is the same, and its end another.
    let taken =
        client.call("get_credential", json!({ "safe": "prod", "object_name": "web1" })).await.unwrap();
    goes_through(&client, json!({ "secret_handle": taken.structured()["handle"] })).await;
    assert_eq!(way.logins(), [2, 2, 2]);
    assert!(way.site.sshd.log().contains("Accepted password for"), "{}", way.site.sshd.log());
    // So it is when the inventory says password.
    let own = format!("credential = {{ key = {:?} }}", way.keys.own.path());
    way.site.installed.edit("inventory.toml", &own, "credential = \"keystore:prod/web1\"");
    way.reload();
    goes_through(&client, json!({})).await;
    assert_eq!(way.logins(), [3, 3, 3], "the certificate's connection is not used for the password");

    assert!(gateway.terminate().success());
    let journal = way.site.journal();
    assert!(ends(&journal).values().all(|ends| *ends == 1));
    let all: String = journal.iter().map(Value::to_string).collect();
    for secret in [PASSPHRASE, way.site.sshd.password(), "PRIVATE KEY"] {
        assert!(!all.contains(secret));
    }
    let passed = journal.iter().filter(|entry| entry["phase"] == "complete" && entry["event"] == "jump_host");
    assert_eq!(passed.count(), 6, "three calls, two jump hosts each");
    way.site.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_on_a_way_of_many_logins_is_named_and_nothing_behind_it_is_asked() {
    let way = Way::new();
    let gateway = way.serve();
    let client = way.site.http(&gateway, Era::Modern).await;
    let fails = async |words: &[&str], logins: [usize; 3]| {
        way.reload();
        let failed = run(&client, json!({})).await;
        assert_eq!(failed.structured()["code"], "target.auth", "{failed:?}");
        for word in words {
            assert!(failed.text().contains(word), "{word}: {}", failed.text());
        }
        assert!(!failed.text().contains("canary"), "{}", failed.text());
        assert_eq!(way.logins(), logins, "{}", failed.text());
    };
    way.set_passphrase("canary wrong");
    fails(&["on the way to `web1`", "`outer`", "passphrase is wrong"], [0, 0, 0]).await;
    way.set_passphrase(PASSPHRASE);

    way.agent.forget_all();
    way.agent.add(&way.keys.own);
    fails(&["on the way to `web1`", "`inner`", "does not hold the key"], [1, 0, 0]).await;
    way.agent.add(&way.keys.inner);

    way.certify(EXPIRED);
    fails(&["`web1`", "it expired at 2021-01-01"], [1, 0, 0]).await;
    way.certify(VALID);

    // What only the hosts can tell: each is asked as far as the way goes.
    let keys = |sshd: &Sshd| sshd.folder().join("authorized_keys");
    std::fs::write(keys(&way.inner), way.keys.outer.public_line()).unwrap();
    fails(&["on the way to `web1`", "`inner` refused the publickey login"], [2, 0, 0]).await;
    std::fs::write(keys(&way.inner), way.keys.inner.public_line()).unwrap();
    way.keys.authority.certify(&way.keys.own, &["-n", "somebody-else", "-V", VALID]);
    fails(&["`web1`", "certificate"], [3, 1, 0]).await;
    way.certify(VALID);
    way.reload();
    goes_through(&client, json!({})).await;
    assert_eq!(way.logins(), [4, 2, 1]);
    assert!(gateway.terminate().success());
    way.site.verify();
}
