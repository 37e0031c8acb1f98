//! Clients that listen are told what a reload changes for them, and nothing of what it changes for others.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Era, McpHttp, McpStdio, Portcullis, wait_until};
use tokio::task::JoinHandle;

use crate::site::Site;

const PATIENCE: Duration = Duration::from_secs(60);
const ERAS: [Era; 2] = [Era::Modern, Era::Legacy("2025-11-25")];

const TOOLS: &str = "notifications/tools/list_changed";
const RESOURCES: &str = "notifications/resources/list_changed";

/// What `agent` may, and `second`, who is in no group.
fn rules(agent: &str, second_on: &str) -> String {
    format!(
        "[[rule]]\nname = \"operators run the gateway\"\nallow = [\"operator:*\"]\nprincipals = [\"group:operators\"]\n\
         targets = [\"*\"]\n\n[[rule]]\nname = \"agents\"\nallow = [{agent}]\nprincipals = [\"group:agents\"]\n\
         targets = [\"web1\"]\ncommands = [\"id -un\"]\ncredentials = [\"keystore:prod/*\"]\n\n[[rule]]\nname = \"second\"\n\
         allow = [\"ssh_execute\"]\nprincipals = [\"second\"]\ntargets = [{second_on}]\ncommands = [\"id -un\"]\n"
    )
}

const FEW: &str = "\"get_credential\"";
const MORE: &str = "\"get_credential\", \"ssh_execute\"";
const ONE: &str = "\"web1\"";
const TWO: &str = "\"web1\", \"web2\"";

/// A client that listens.
enum Listening {
    Http(Arc<McpHttp>),
    Stdio(Arc<McpStdio>),
}

struct Ear {
    on: Listening,
    heard: Vec<String>,
    listens: Option<JoinHandle<()>>,
}

impl Ear {
    async fn http(gateway: &Portcullis, key: &str, era: Era) -> Self {
        let client = Arc::new(McpHttp::connect(&gateway.mcp(), Some(key), era).await.unwrap());
        let listener = Arc::clone(&client);
        let listens = tokio::spawn(async move {
            let _ = listener.listen(&json!({ "toolsListChanged": true, "resourcesListChanged": true })).await;
        });
        Self { on: Listening::Http(client), heard: Vec::new(), listens: Some(listens) }.ready(era)
    }

    async fn stdio(site: &Site, principal: &str, era: Era) -> Self {
        let command = site.stdio_command(&["--as", principal]);
        let client = Arc::new(McpStdio::connect(command, era).await.unwrap());
        let wants = json!({ "notifications": { "toolsListChanged": true, "resourcesListChanged": true } });
        let listens = (era == Era::Modern).then(|| {
            let listener = Arc::clone(&client);
            tokio::spawn(async move {
                let _ = listener.request("subscriptions/listen", &wants).await;
            })
        });
        Self { on: Listening::Stdio(client), heard: Vec::new(), listens }.ready(era)
    }

    /// A subscription counts from its acknowledgement on, a session from its beginning.
    fn ready(mut self, era: Era) -> Self {
        if era == Era::Modern {
            self.hears("notifications/subscriptions/acknowledged");
            self.heard.clear();
        }
        self
    }

    fn take(&mut self) {
        let came: Vec<Value> = match &self.on {
            Listening::Http(client) => client.take_notifications(),
            Listening::Stdio(client) => client.take_others(),
        };
        self.heard.extend(came.iter().map(|message| message["method"].as_str().unwrap().to_owned()));
    }

    /// Waits until it has heard this; everything else that it has heard stays.
    fn hears(&mut self, method: &str) {
        tokio::task::block_in_place(|| {
            wait_until(&format!("`{method}` is not heard"), PATIENCE, || {
                self.take();
                self.heard.iter().any(|heard| heard == method)
            });
        });
    }

    async fn tools(&self) -> Vec<String> {
        let tools = match &self.on {
            Listening::Http(client) => client.list_tools().await.unwrap(),
            Listening::Stdio(client) => client.list_tools().await.unwrap(),
        };
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }

    async fn resources(&self) -> String {
        let listed = match &self.on {
            Listening::Http(client) => client.request("resources/list", &json!({})).await,
            Listening::Stdio(client) => client.request("resources/list", &json!({})).await,
        };
        listed.unwrap()["resources"].to_string()
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        if let Some(listens) = &self.listens {
            listens.abort();
        }
    }
}

/// A gateway, with a key of `second`.
fn with_second() -> (Site, String) {
    let site = Site::new();
    let told = site.installed.run(&["key", "new", "second", "--json"]).json();
    let line = told["toml"].as_str().unwrap();
    site.installed.append("portcullis.toml", &format!("[[principal]]\nid = \"second\"\n{line}"));
    site.installed.append("inventory.toml", "[hosts.web2]\naddress = \"192.0.2.7\"");
    site.installed.write("policy/ops.toml", &rules(FEW, ONE));
    (site, told["key"].as_str().unwrap().to_owned())
}

fn reload(site: &Site, rules: &str) {
    site.installed.write("policy/ops.toml", rules);
    let reloaded = site.installed.run(&["reload", "--json"]);
    assert_eq!((reloaded.exit, &reloaded.json()["changed"]), (0, &true.into()), "{reloaded:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_hears_what_a_reload_changes_for_it_and_nothing_else() {
    let (site, second_key) = with_second();
    let gateway = site.serve();
    let (mut agents, mut seconds) = (Vec::new(), Vec::new());
    for era in ERAS {
        agents.push(Ear::http(&gateway, site.installed.key(), era).await);
        agents.push(Ear::stdio(&site, "agent", era).await);
        seconds.push(Ear::http(&gateway, &second_key, era).await);
        seconds.push(Ear::stdio(&site, "second", era).await);
    }
    let sees = async |ear: &Ear| ear.tools().await.contains(&"ssh_execute".to_owned());
    for (allowed, visible) in [(MORE, true), (FEW, false)] {
        for agent in &agents {
            assert_eq!(sees(agent).await, !visible);
        }
        reload(&site, &rules(allowed, ONE));
        for agent in &mut agents {
            agent.hears(RESOURCES);
            assert_eq!(agent.heard, [TOOLS, RESOURCES], "what describes a tool changes with it");
            agent.heard.clear();
            assert_eq!(sees(agent).await, visible);
        }
    }
    // Whoever was told of others' changes would have been told before this one, which is of a host, not of a tool.
    reload(&site, &rules(FEW, TWO));
    for second in &mut seconds {
        second.hears(RESOURCES);
        assert_eq!(second.heard, [RESOURCES]);
        assert!(second.resources().await.contains("portcullis://host/web2"));
        assert!(sees(second).await);
    }
    reload(&site, &rules(MORE, TWO));
    for agent in &mut agents {
        agent.hears(RESOURCES);
        assert_eq!(agent.heard, [TOOLS, RESOURCES]);
        assert!(!agent.resources().await.contains("portcullis://host/web2"));
    }
    drop((agents, seconds));
    assert!(gateway.terminate().success());
    site.verify();
}
