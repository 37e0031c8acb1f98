//! A host behind two jump hosts, all of them real OpenSSH servers, through the real binary.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Era, McpHttp, Portcullis, Sshd, ToolAnswer, wait_until};
use tokio::task::JoinHandle;

use crate::site::{Site, ends, host};

const PATIENCE: Duration = Duration::from_secs(60);

struct Chain {
    outer: Sshd,
    inner: Sshd,
    /// The host `web1` behind both.
    site: Site,
    gateway: Portcullis,
}

impl Chain {
    async fn start() -> (Self, Arc<McpHttp>) {
        let (outer, inner) =
            (Sshd::options().password_only().start(), Sshd::options().password_only().start());
        let site = Site::new();
        let installed = &site.installed;
        let mut known = site.sshd.known_hosts_line();
        for (name, bastion) in [("outer", &outer), ("inner", &inner)] {
            installed.append("inventory.toml", &host(name, bastion.port()).replace("tags = [\"web\"]\n", ""));
            known = format!("{known}\n{}", bastion.known_hosts_line());
            let set = ["secret", "set", &format!("prod/{name}"), "--username", bastion.user()];
            let set = installed.run_with_input(&set, &format!("{}\n", bastion.password()));
            assert_eq!(set.exit, 0, "{set:?}");
        }
        installed.write("known_hosts", &format!("{known}\n"));
        let port = format!("port = {}\n", site.sshd.port());
        installed.edit("inventory.toml", &port, &format!("{port}jump = [\"outer\", \"inner\"]\n"));
        let gateway = site.serve();
        let client = Arc::new(site.http(&gateway, Era::Modern).await);
        (Self { outer, inner, site, gateway }, client)
    }

    /// A long call, which is on its host already.
    async fn begin(&self, client: &Arc<McpHttp>) -> JoinHandle<ToolAnswer> {
        let client = Arc::clone(client);
        let running =
            tokio::spawn(
                async move { run(&client, json!({ "command": "count-act on && sleep 300" })).await },
            );
        let begun = || self.site.sshd.acts() == ["on"];
        tokio::task::block_in_place(|| wait_until("the call has not come through", PATIENCE, begun));
        running
    }

    fn logins(&self) -> [usize; 3] {
        [self.outer.logins(), self.inner.logins(), self.site.sshd.logins()]
    }
}

async fn run(client: &McpHttp, more: Value) -> ToolAnswer {
    let mut arguments = json!({ "host": "web1", "command": "echo through" });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.call("ssh_execute", arguments).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_through_two_jump_hosts_and_the_journal_shows_the_way() {
    let (chain, client) = Chain::start().await;
    let ran = run(&client, json!({})).await;
    assert_eq!(ran.structured()["stdout"], "through\n", "{ran:?}");
    assert_eq!(chain.logins(), [1, 1, 1]);

    // A handle opens the target, and only that: the way is the gateway's own.
    let taken =
        client.call("get_credential", json!({ "safe": "prod", "object_name": "web1" })).await.unwrap();
    let ran = run(&client, json!({ "secret_handle": taken.structured()["handle"] })).await;
    assert_eq!(ran.structured()["stdout"], "through\n", "{ran:?}");
    assert_eq!(chain.logins(), [2, 2, 2]);
    let bastion = run(&client, json!({ "host": "outer" })).await;
    assert_eq!(
        bastion.structured()["code"],
        "target.unknown",
        "no rule is needed to pass, and passing is all: {bastion:?}"
    );

    let tested = chain.site.installed.run(&["target", "test", "web1", "--json"]);
    let hops = tested.json()["hops"].clone();
    assert_eq!((&hops[0]["name"], &hops[1]["name"]), (&json!("outer"), &json!("inner")), "{tested:?}");
    assert_eq!(hops[1]["host_key"], chain.inner.host_key().fingerprint());
    let tested = chain.site.installed.run(&["target", "test", "web1"]);
    let outer = format!("Through outer: {}@127.0.0.1 port {}", chain.outer.user(), chain.outer.port());
    assert!(tested.out.contains(&outer) && tested.out.contains("Through inner: "), "{tested:?}");

    let scanned = chain.site.installed.run(&["hostkey", "scan", "web1"]);
    assert!(scanned.exit == 2 && scanned.err.contains("behind the jump host `inner`"), "{scanned:?}");

    assert!(chain.gateway.terminate().success());
    let journal = chain.site.journal();
    let of = |phase: &str, event: &str| -> Vec<&Value> {
        journal.iter().filter(|entry| entry["phase"] == phase && entry["event"] == event).collect()
    };
    let (begun, ended) = (of("intent", "jump_host"), of("complete", "jump_host"));
    assert_eq!((begun.len(), ended.len()), (8, 8), "two calls and two tests, two jump hosts each");
    let call = of("complete", "ssh_executed")[0]["id"].clone();
    let told: Vec<&str> = ended
        .iter()
        .filter(|entry| entry["parent"] == call)
        .map(|entry| entry["reason"].as_str().unwrap())
        .collect();
    let expected = [("outer", &chain.outer), ("inner", &chain.inner)].map(|(name, sshd)| {
        format!("{name}: {}@127.0.0.1 port {} ({})", sshd.user(), sshd.port(), sshd.host_key().fingerprint())
    });
    assert_eq!(told, expected);
    assert!(ends(&journal).values().all(|ends| *ends == 1));
    let all = journal.iter().map(Value::to_string).collect::<String>();
    for sshd in [&chain.outer, &chain.inner, &chain.site.sshd] {
        assert!(!all.contains(sshd.password()));
    }
    chain.site.verify();
}

/// A key behind jump hosts is not scanned: the way to it is gone by the gateway, which tells what to add.
#[tokio::test(flavor = "multi_thread")]
async fn the_line_that_target_test_gives_makes_a_key_behind_jump_hosts_known() {
    let (chain, _client) = Chain::start().await;
    let installed = &chain.site.installed;
    let own = chain.site.sshd.known_hosts_line();
    installed.edit("known_hosts", &own, "");
    for verb in ["scan", "trust"] {
        let refused = installed.run(&["hostkey", verb, "web1"]);
        assert!(refused.exit == 2 && refused.err.contains("`portcullis target test`"), "{refused:?}");
    }
    let tested = installed.run(&["target", "test", "web1", "--json"]).json();
    assert_eq!(tested["code"], "target.hostkey_unknown", "{tested}");
    let hint = tested["hint"].as_str().unwrap();
    let line = hint.split_once("add `").and_then(|(_, rest)| rest.split_once('`')).unwrap().0;
    let scoped = hint.split_once("(or `").and_then(|(_, rest)| rest.split_once('`')).unwrap().0;
    assert_eq!(line, own);
    let behind = format!("{scoped} {}", line.split_once(' ').unwrap().1);
    for known in [line, &behind] {
        let before = installed.read("known_hosts");
        installed.append("known_hosts", known);
        let tested = installed.run(&["target", "test", "web1"]);
        assert_eq!(tested.exit, 0, "{known}: {tested:?}");
        installed.write("known_hosts", &before);
    }
    // Known, and then revoked by its alias: the key is found in whichever form it stands.
    installed.append("known_hosts", &behind);
    let revoked = installed.run(&["hostkey", "revoke", "web1"]);
    assert_eq!(revoked.exit, 0, "{revoked:?}");
    let refused = installed.run(&["target", "test", "web1", "--json"]).json();
    assert_eq!(refused["code"], "target.hostkey_changed", "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_host_that_goes_away_is_named_and_the_next_call_goes_on() {
    let (mut chain, client) = Chain::start().await;
    let running = chain.begin(&client).await;
    chain.inner.stop();
    let answer = running.await.unwrap();
    let lost = answer.structured();
    assert_eq!((&lost["code"], &lost["fault"]), (&json!("target.unreachable"), &json!("network")), "{lost}");
    assert!(answer.text().contains("`inner`, on the way to `web1`"), "{}", answer.text());
    let refused = run(&client, json!({})).await;
    assert_eq!(refused.structured()["code"], "target.unreachable", "{refused:?}");
    assert!(
        refused.text().contains("on the way to `web1`: `inner` cannot be reached through `outer`"),
        "{}",
        refused.text()
    );
    chain.inner.restart();
    assert_eq!(run(&client, json!({})).await.structured()["stdout"], "through\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_is_blocked_by_a_reload_ends_the_call_that_goes_through_it() {
    let (chain, client) = Chain::start().await;
    let running = chain.begin(&client).await;
    chain.site.installed.append("portcullis.toml", "[network]\nblock = [\"127.0.0.0/8\"]");
    let reloaded = chain.site.installed.run(&["reload"]);
    assert_eq!(reloaded.exit, 0, "{reloaded:?}");
    let answer = running.await.unwrap();
    assert_eq!(answer.structured()["code"], "denied.policy_changed", "{answer:?}");
    assert!(answer.text().contains("does not let `web1` be dialled at `127.0.0.1`"), "{}", answer.text());
    let refused = run(&client, json!({})).await;
    assert_eq!(refused.structured()["code"], "denied.network", "{refused:?}");
    assert!(chain.gateway.terminate().success());
    let journal = chain.site.journal();
    assert!(
        journal
            .iter()
            .any(|entry| entry["phase"] == "complete" && entry["error_code"] == "denied.policy_changed")
    );
    chain.site.verify();
}
