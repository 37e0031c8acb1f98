//! A real host that shows the very password the gateway logged in with, and every way a login can fail: no byte of the
//! password comes out anywhere.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Era, HttpClient, KeyKind, Portcullis, SshAgent, Sshd, ToolAnswer};

use crate::bytes::{contains, files_with, forms, seen};
use crate::site::{Client, Site};

/// Its characters need escaping everywhere.
pub(crate) const CANARY: &str = "cn4ry-<\"&'>$ p%ss\\w/42Z";

fn leaking() -> Site {
    let site = Site::of(Sshd::options().password_only().password(CANARY).start());
    site.installed.edit("portcullis.toml", "metrics = \"off\"", "metrics = \"127.0.0.1:0\"");
    site
}

/// Everything about the running gateway that others could read: its log, its metrics, its processes.
async fn looked_at(gateway: &Portcullis) -> Vec<u8> {
    let metrics = HttpClient::new(&format!("http://{}", gateway.metrics().unwrap()), None);
    let metrics = metrics.send("GET", "/metrics", &[], "").await.unwrap();
    assert_eq!(metrics.status, 200);
    assert!(metrics.text().contains("portcullis_"), "{}", metrics.text());
    [gateway.log().into_bytes(), metrics.body.to_vec(), processes(gateway)].concat()
}

/// Command lines of everybody; the environment of the gateway and of what it started.
fn processes(gateway: &Portcullis) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path()) {
        let ours =
            entry.file_name().is_some_and(|name| name.to_string_lossy().parse::<u32>() == Ok(gateway.pid()));
        bytes.extend(fs::read(entry.join("cmdline")).unwrap_or_default());
        let status = fs::read_to_string(entry.join("status")).unwrap_or_default();
        if ours || status.contains(&format!("PPid:\t{}\n", gateway.pid())) {
            bytes.extend(fs::read(entry.join("environ")).unwrap_or_default());
        }
    }
    bytes
}

/// Nothing that was received, read or left behind holds the secret.
pub(crate) async fn nowhere(secret: &str, site: Site, gateway: Portcullis, client: Client) {
    let looked_at = looked_at(&gateway).await;
    assert_eq!(seen(secret, &looked_at), Vec::<String>::new(), "log, metrics or processes");
    let received = client.end().await;
    assert_eq!(seen(secret, &received), Vec::<String>::new(), "{}", String::from_utf8_lossy(&received));
    assert!(gateway.terminate().success());
    let files = site.installed.path(".");
    for kept in ["keystore", "state/store.sqlite", "portcullis.serve.log", "state/journal/000001.jsonl"] {
        assert!(fs::metadata(files.join(kept)).unwrap().len() > 0, "{kept} was looked at");
    }
    assert_eq!(files_with(secret, &files), []);
    site.verify();
}

/// A call whose output must be withheld. Somebody to whom that happens often is frozen; then an operator reloads.
async fn withheld(site: &Site, client: &mut Client, arguments: Value) -> ToolAnswer {
    let mut answer = client.call("ssh_execute", arguments.clone()).await;
    if answer.structured()["code"] == "denied.lockdown" {
        assert_eq!(site.installed.run(&["reload"]).exit, 0);
        answer = client.call("ssh_execute", arguments).await;
    }
    assert!(answer.is_error(), "{answer:?}");
    assert_eq!(answer.structured()["code"], "secret_in_output", "{answer:?}");
    answer
}

#[tokio::test]
async fn a_host_that_shows_the_password_is_not_heard() {
    let site = leaking();
    let gateway = site.serve_with(&["-vv"]);
    let mut client = Client::Http(site.http(&gateway, Era::Modern).await);
    let forms = forms(CANARY);
    for (number, (form, bytes)) in forms.iter().enumerate() {
        let leak = site.sshd.home().join(format!("leak-{number}"));
        fs::write(&leak, [b"ordinary words, then ".as_slice(), bytes, b" and others\n"].concat()).unwrap();
        let command = format!("cat leak-{number}");
        let answer = withheld(&site, &mut client, json!({ "host": "web1", "command": command })).await;
        assert!(!answer.0.to_string().contains("ordinary"), "{form} is withheld whole: {answer:?}");
    }
    // Far down in much output, and in two pieces.
    let (first, second) = CANARY.split_at(9);
    fs::write(site.sshd.home().join("far"), format!("{}{CANARY}", "x".repeat(300_000))).unwrap();
    fs::write(site.sshd.home().join("first"), first).unwrap();
    fs::write(site.sshd.home().join("second"), second).unwrap();
    for command in ["cat far", "cat first second"] {
        withheld(&site, &mut client, json!({ "host": "web1", "command": command })).await;
    }
    // With a handle it is the same.
    assert_eq!(site.installed.run(&["reload"]).exit, 0);
    let taken = client.call("get_credential", json!({ "safe": "prod", "object_name": "web1" })).await;
    let arguments =
        json!({ "host": "web1", "command": "cat leak-0", "secret_handle": taken.structured()["handle"] });
    withheld(&site, &mut client, arguments).await;
    assert_eq!(site.installed.run(&["reload"]).exit, 0);
    // What is no secret is shown: the guard has not simply shut everything.
    fs::write(site.sshd.home().join("plain"), "nothing to hide\n").unwrap();
    let answer = client.call("ssh_execute", json!({ "host": "web1", "command": "cat plain" })).await;
    assert_eq!(answer.structured()["stdout"], "nothing to hide\n", "{answer:?}");
    let journal = site.journal();
    assert!(journal.iter().any(|entry| entry["error_code"] == "denied.lockdown"), "nobody was frozen");
    let withheld = journal.into_iter().filter(|e| e["event"] == "secret_in_output").count();
    assert_eq!(withheld, forms.len() + 3);
    nowhere(CANARY, site, gateway, client).await;
}

#[tokio::test]
async fn an_operator_that_froze_itself_has_a_way_back() {
    let site = leaking();
    fs::write(site.sshd.home().join("leak"), CANARY).unwrap();
    let gateway = site.serve();
    let leak = || site.installed.run(&["call", "ssh_execute", "host=web1", "command=cat leak", "--json"]);
    for _ in 0..3 {
        assert_eq!(leak().json()["code"], "secret_in_output");
    }
    let frozen = leak();
    assert_eq!((frozen.exit, &frozen.json()["code"]), (3, &json!("denied.lockdown")));
    assert!(frozen.json()["hint"].as_str().unwrap().contains("portcullis reload"), "{frozen:?}");
    // Everything else stays shut, also for whoever would go round it.
    for verb in [vec!["secret", "list"], vec!["target", "test", "web1"], vec!["whoami", "--as", "agent"]] {
        let refused = site.installed.run(&verb);
        assert_eq!(refused.exit, 3, "{verb:?}: {refused:?}");
    }
    let lifted = site.installed.run(&["reload"]);
    assert_eq!(lifted.exit, 0, "{lifted:?}");
    assert!(lifted.out.contains("not frozen any more: operator"), "{lifted:?}");
    assert_eq!(leak().json()["code"], "secret_in_output");
    assert!(gateway.terminate().success());
    site.verify();
}

/// Three lines of a private key's text are enough to see that none of it came out.
fn lines_of(pem: &str) -> Vec<String> {
    let body: Vec<&str> = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    // The first lines of an OpenSSH key are its public half.
    body.iter().rev().take(3).map(|line| (*line).to_owned()).collect()
}

#[tokio::test]
async fn a_host_that_shows_the_private_key_is_not_heard() {
    for kind in [KeyKind::Ed25519, KeyKind::Rsa] {
        let sshd = Sshd::options().key_only().client_key(kind).start();
        let (pem, user) = (sshd.client_key().pem(), sshd.user().to_owned());
        let site = Site::of_key(sshd);
        site.installed.edit("portcullis.toml", "metrics = \"off\"", "metrics = \"127.0.0.1:0\"");
        let declared = key_host("web2", &site, &user);
        site.installed.append("inventory.toml", &declared);
        let gateway = site.serve_with(&["-vv"]);
        let mut client = Client::Http(site.http(&gateway, Era::Modern).await);
        let body = lines_of(&pem);
        let whole: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let leaks = [
            pem.clone(),
            pem.replace('\n', "\r\n"),
            pem.replace('\n', "\\n"),
            whole,
            format!("found {}", body[1]),
        ];
        for (number, leak) in leaks.iter().enumerate() {
            fs::write(site.sshd.home().join(format!("leak-{number}")), leak).unwrap();
            for host in ["web1", "web2"] {
                let arguments = json!({ "host": host, "command": format!("cat leak-{number}") });
                withheld(&site, &mut client, arguments).await;
            }
            assert_eq!(site.installed.run(&["reload"]).exit, 0);
        }
        // The public half is no secret: an agent may have to look at `authorized_keys`.
        fs::write(site.sshd.home().join("public"), site.sshd.client_key().public_line()).unwrap();
        let answer = client.call("ssh_execute", json!({ "host": "web1", "command": "cat public" })).await;
        assert!(!answer.is_error(), "{answer:?}");
        let looked_at = [looked_at(&gateway).await, client.end().await].concat();
        assert!(gateway.terminate().success());
        site.verify();
        // Its own file is where the configuration has it.
        fs::remove_file(site.installed.path("web.key")).unwrap();
        for line in body {
            assert!(!contains(&looked_at, line.as_bytes()), "{kind:?}");
            assert_eq!(files_with(&line, &site.installed.path(".")), [], "{kind:?}");
        }
    }
}

/// The same server, with its key in a file that the inventory names and a passphrase in another.
fn key_host(name: &str, site: &Site, user: &str) -> String {
    let key = site.installed.path("web.key");
    fs::write(&key, site.sshd.client_key().pem()).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    format!(
        "[hosts.{name}]\naddress = \"127.0.0.1\"\nport = {}\nuser = \"{user}\"\ntags = [\"web\"]\n\
         credential = {{ key = \"web.key\" }}",
        site.sshd.port()
    )
}

#[tokio::test]
async fn an_agents_key_and_a_keys_passphrase_stay_where_they_are() {
    const PASSPHRASE: &str = "pa55-<\"&'>$ phr%se\\w/88Y";
    let sshd = Sshd::options().key_only().start();
    let agent = SshAgent::start(sshd.client_key());
    let (pem, user, fingerprint) =
        (sshd.client_key().pem(), sshd.user().to_owned(), sshd.client_key().fingerprint());
    let site = Site::of_key(sshd);
    site.installed.edit("portcullis.toml", "metrics = \"off\"", "metrics = \"127.0.0.1:0\"");
    let locked = site.installed.path("locked.key");
    fs::write(&locked, &pem).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o600)).unwrap();
    let changed = std::process::Command::new("ssh-keygen")
        .args(["-q", "-p", "-P", "", "-N", PASSPHRASE, "-f"])
        .arg(&locked)
        .output()
        .unwrap();
    assert!(changed.status.success(), "{changed:?}");
    let place =
        format!("address = \"127.0.0.1\"\nport = {}\nuser = \"{user}\"\ntags = [\"web\"]", site.sshd.port());
    site.installed.append(
        "inventory.toml",
        &format!(
            "[hosts.agent]\n{place}\ncredential = {{ agent = \"{fingerprint}\" }}\n\
             [hosts.locked]\n{place}\ncredential = {{ key = \"locked.key\", passphrase = {{ file = \"locked.pass\" }} }}"
        ),
    );
    site.installed.write("locked.pass", &format!("{PASSPHRASE}\n"));
    fs::set_permissions(site.installed.path("locked.pass"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(site.sshd.home().join("leak"), format!("it was {PASSPHRASE}\n")).unwrap();
    let gateway = site.serve_with_env(&["-vv"], &[("SSH_AUTH_SOCK", agent.socket().as_os_str())]);
    let mut client = Client::Http(site.http(&gateway, Era::Modern).await);
    for host in ["agent", "locked"] {
        let answer = client.call("ssh_execute", json!({ "host": host, "command": "id -un" })).await;
        assert_eq!(answer.structured()["stdout"], format!("{user}\n"), "{host}: {answer:?}");
    }
    withheld(&site, &mut client, json!({ "host": "locked", "command": "cat leak" })).await;
    // Without its key in the agent, and with another passphrase, logins fail and tell nothing.
    agent.forget_all();
    site.installed.write("locked.pass", "another-passphrase-17\n");
    // Connections that were there would be used again.
    site.sshd.sever();
    for host in ["agent", "locked"] {
        let answer = client.call("ssh_execute", json!({ "host": host, "command": "id -un" })).await;
        assert!(answer.is_error(), "{host}: {answer:?}");
    }
    let looked_at = [looked_at(&gateway).await, client.end().await].concat();
    assert!(gateway.terminate().success());
    for secret in [PASSPHRASE, "another-passphrase-17"] {
        assert_eq!(seen(secret, &looked_at), Vec::<String>::new());
    }
    site.verify();
    for file in ["locked.key", "locked.pass"] {
        fs::remove_file(site.installed.path(file)).unwrap();
    }
    for secret in
        lines_of(&pem).into_iter().chain([PASSPHRASE.to_owned(), "another-passphrase-17".to_owned()])
    {
        assert!(!contains(&looked_at, secret.as_bytes()));
        assert_eq!(files_with(&secret, &site.installed.path(".")), []);
    }
}

#[tokio::test]
async fn a_login_script_that_shows_the_password_is_not_heard() {
    for stream in ["1", "2"] {
        let site = leaking();
        fs::write(site.sshd.home().join("secret"), CANARY).unwrap();
        fs::write(site.sshd.home().join(".bashrc"), format!("cat ~/secret >&{stream}; echo >&{stream}\n"))
            .unwrap();
        let gateway = site.serve_with(&["-vv"]);
        let mut client = Client::Http(site.http(&gateway, Era::Modern).await);
        let answer = client.call("ssh_execute", json!({ "host": "web1", "command": "id -un" })).await;
        assert!(answer.is_error(), "{answer:?}");
        nowhere(CANARY, site, gateway, client).await;
    }
}

#[tokio::test]
async fn logins_that_fail_tell_nothing() {
    const WRONG: &str = "wr0ng-<\"&'>$ p%ss\\w/17Q";
    type Spoil = fn(&mut Site);
    let failures: [(&str, Spoil); 4] = [
        ("target.auth", |site| site.keep("prod/web1", WRONG)),
        ("target.hostkey_changed", |site| site.sshd.change_host_key(KeyKind::Ed25519)),
        ("target.hostkey_unknown", |site| site.installed.write("known_hosts", "")),
        ("target.unreachable", |site| site.sshd.stop()),
    ];
    for (code, spoil) in failures {
        let mut site = leaking();
        spoil(&mut site);
        let gateway = site.serve_with(&["-vv"]);
        let mut client = Client::Http(site.http(&gateway, Era::Modern).await);
        let taken = client.call("get_credential", json!({ "safe": "prod", "object_name": "web1" })).await;
        let handle = &taken.structured()["handle"];
        for arguments in [
            json!({ "host": "web1", "command": "id -un" }),
            json!({ "host": "web1", "command": "id -un", "secret_handle": handle }),
        ] {
            let answer = client.call("ssh_execute", arguments).await;
            assert!(answer.is_error(), "{answer:?}");
            assert_eq!(answer.structured()["code"], code, "{answer:?}");
        }
        let tested = site.installed.run(&["target", "test", "web1"]);
        assert_eq!(tested.exit, 2, "{tested:?}");
        for secret in [CANARY, WRONG] {
            assert_eq!(seen(secret, format!("{tested:?}").as_bytes()), Vec::<String>::new(), "{tested:?}");
            assert_eq!(seen(secret, &looked_at(&gateway).await), Vec::<String>::new(), "{code}");
            assert_eq!(files_with(secret, &site.installed.path(".")), [], "{code}");
        }
        nowhere(if code == "target.auth" { WRONG } else { CANARY }, site, gateway, client).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_show_nothing_while_a_command_runs() {
    let site = leaking();
    let gateway = site.serve();
    let client = site.http(&gateway, Era::Modern).await;
    // Its words can be seen in the list of processes, which is how the test knows that it looked in time.
    let call = client.call("ssh_execute", json!({ "host": "web1", "command": "sleep 0000003" }));
    let look = async {
        let mut found = processes(&gateway);
        while !contains(&found, b"0000003") {
            tokio::time::sleep(Duration::from_millis(5)).await;
            found = processes(&gateway);
        }
        found
    };
    let (answer, found) = tokio::join!(call, tokio::time::timeout(Duration::from_secs(60), look));
    assert!(!answer.unwrap().is_error());
    assert_eq!(seen(CANARY, &found.expect("the command was seen while it ran")), Vec::<String>::new());
}
