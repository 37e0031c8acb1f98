//! A real host that shows the very password the gateway logged in with, and every way a login can fail: no byte of the
//! password comes out anywhere.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Era, HttpClient, KeyKind, Portcullis, Sshd, ToolAnswer};

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
