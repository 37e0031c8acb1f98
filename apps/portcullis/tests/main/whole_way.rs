//! The main job through the real binary and a real OpenSSH server, over every way in and in every era.

use serde_json::{Value, json};
use testkit::{Era, McpStdio, Portcullis};

use crate::bytes::{files_with, seen};
use crate::site::{Client, Site, Socket, ends};

/// Lists, takes a handle, runs a command, is denied, is refused the used handle; returns the handle.
async fn walk(client: &mut Client, user: &str) -> String {
    let tools = client.tools().await;
    for tool in ["explain", "get_credential", "release_credential", "ssh_execute", "ssh_plan", "whoami"] {
        assert!(tools.iter().any(|listed| listed == tool), "{tool} is not in {tools:?}");
    }
    let taken = client.call("get_credential", json!({ "safe": "prod", "object_name": "web1" })).await;
    assert!(!taken.is_error(), "{taken:?}");
    let handle = taken.structured()["handle"].as_str().unwrap().to_owned();
    assert!(handle.starts_with("secret://") && handle.len() >= 9 + 32, "{handle}");
    let lines: Vec<String> = taken.text().lines().map(str::to_owned).collect();
    assert!(lines.contains(&format!("Handle: {handle}")), "{lines:?}");
    assert!(lines.contains(&format!("Username: {user}")), "{lines:?}");

    let run = |command: &str| json!({ "host": "web1", "command": command, "secret_handle": handle });
    let denied = client.call("ssh_execute", run("reboot now")).await;
    assert!(denied.is_error(), "{denied:?}");
    let why = denied.structured();
    assert_eq!((&why["status"], &why["code"]), (&"denied".into(), &"denied.command".into()), "{why}");
    assert!(why["reason"].is_string() && why["hint"].is_string(), "{why}");
    // The denial took nothing from the handle.
    let ran = client.call("ssh_execute", run("id -un")).await;
    assert!(!ran.is_error(), "{ran:?}");
    assert_eq!(
        (&ran.structured()["exit_code"], &ran.structured()["stdout"]),
        (&0.into(), &format!("{user}\n").into())
    );
    assert!(ran.text().starts_with("Host: web1\nCommand: id -un\nExit code: 0\n"), "{}", ran.text());

    let again = client.call("ssh_execute", run("id -un")).await;
    assert!(again.is_error(), "{again:?}");
    assert_eq!(again.structured()["code"], "handle_already_consumed", "{again:?}");
    // Without a handle the inventory's own credential is used.
    let without = client.call("ssh_execute", json!({ "host": "web1", "command": "echo done" })).await;
    assert_eq!(without.structured()["stdout"], "done\n", "{without:?}");
    handle
}

/// What the journal must say about one walk.
fn recorded(journal: &[Value], principal: &str, transport: &str, handle: &str) {
    let of = |phase: &str, tool: &str| -> Vec<&Value> {
        let all = journal.iter().filter(|entry| entry["phase"] == phase && entry["tool"] == tool);
        all.filter(|entry| entry["transport"] == transport && entry["principal"] == principal).collect()
    };
    let (taken, issued) = (of("intent", "get_credential"), of("complete", "get_credential"));
    assert_eq!((taken.len(), issued.len()), (1, 1), "{journal:#?}");
    assert_eq!(issued[0]["event"], "credential_fetched");
    assert_eq!((&issued[0]["safe"], &issued[0]["object"]), (&"prod".into(), &"web1".into()), "{}", issued[0]);
    assert!(issued[0]["ttl_seconds"].as_u64().is_some_and(|ttl| (1..=300).contains(&ttl)), "{}", issued[0]);
    let handle_id = issued[0]["handle_id"].as_str().unwrap();
    assert!(!handle.contains(handle_id), "the id leads back to the handle");

    let denied: Vec<_> =
        of("closed", "ssh_execute").into_iter().filter(|e| e["error_code"] == "denied.command").collect();
    assert_eq!(denied.len(), 1, "{journal:#?}");
    assert_eq!(denied[0]["decision"], "denied");
    let (intents, ends) = (of("intent", "ssh_execute"), of("complete", "ssh_execute"));
    for entry in &ends {
        assert!(
            intents.iter().any(
                |intent| intent["id"] == entry["id"] && intent["action_digest"] == entry["action_digest"]
            ),
            "{entry}"
        );
    }
    let ran: Vec<_> =
        ends.into_iter().filter(|e| e["event"] == "ssh_executed" && e["exit_code"] == 0).collect();
    assert_eq!(ran.len(), 2, "{journal:#?}");
    assert_eq!(ran[0]["handle_id"], handle_id, "{}", ran[0]);
    assert!(ran[1].get("handle_id").is_none(), "{}", ran[1]);
    for entry in ran {
        assert_eq!((&entry["target"], &entry["decision"]), (&"web1".into(), &"allowed".into()), "{entry}");
        assert_eq!(entry["rules"], json!(["look"]), "{entry}");
        assert!(
            entry["snapshot"].is_string()
                && entry["duration_ms"].is_number()
                && entry["bytes_out"].is_number(),
            "{entry}"
        );
        assert!(entry["command"].as_str().is_none(), "the command is sealed: {entry}");
    }
}

/// Walks over one way in, then checks every byte, every file and the journal.
async fn whole_way(
    site: Site,
    gateway: Option<Portcullis>,
    mut client: Client,
    principal: &str,
    transport: &str,
) {
    let handle = walk(&mut client, site.sshd.user()).await;
    let received = client.end().await;
    let password = site.sshd.password();
    assert!(received.len() > 1000, "the client's bytes were looked at");
    assert_eq!(seen(password, &received), Vec::<String>::new(), "{}", String::from_utf8_lossy(&received));
    if let Some(gateway) = gateway {
        assert!(gateway.terminate().success());
    }
    assert_eq!(files_with(password, &site.installed.path(".")), [], "{transport}");
    assert_eq!(files_with(&handle, &site.installed.path(".")), [], "{transport}");
    let journal = site.journal();
    recorded(&journal, principal, transport, &handle);
    assert!(ends(&journal).values().all(|ends| *ends == 1), "{journal:#?}");
    let report = site.verify();
    assert_eq!(report["orphans"], 0, "{report}");
    assert!(report["anchored"].is_u64(), "{report}");
}

async fn over_http(era: Era) {
    let site = Site::new();
    let gateway = site.serve();
    let client = Client::Http(site.http(&gateway, era).await);
    whole_way(site, Some(gateway), client, "agent", "http").await;
}

#[tokio::test]
async fn over_http_in_2026_07_28() {
    over_http(Era::Modern).await;
}

#[tokio::test]
async fn over_http_in_2025_11_25() {
    over_http(Era::Legacy("2025-11-25")).await;
}

#[tokio::test]
async fn over_http_in_2025_06_18() {
    over_http(Era::Legacy("2025-06-18")).await;
}

#[tokio::test]
async fn over_http_in_2025_03_26() {
    over_http(Era::Legacy("2025-03-26")).await;
}

#[tokio::test]
async fn over_stdio_that_owns_the_state() {
    for era in [Era::Modern, Era::Legacy("2025-11-25")] {
        let site = Site::new();
        let client = Client::Stdio(site.stdio(era).await);
        whole_way(site, None, client, "agent", "stdio").await;
    }
}

#[tokio::test]
async fn over_stdio_that_relays() {
    for era in Era::ALL {
        let site = Site::new();
        let gateway = site.serve();
        let client = Client::Stdio(site.stdio(era).await);
        whole_way(site, Some(gateway), client, "agent", "stdio").await;
    }
}

#[tokio::test]
async fn over_the_agent_socket() {
    let with_socket = || {
        let site = Site::new();
        site.installed.edit(
            "portcullis.toml",
            "metrics = \"off\"",
            "metrics = \"off\"\nsocket = { path = \"mcp.sock\", mode = \"0600\" }",
        );
        let gateway = site.serve();
        (site, gateway)
    };
    let (site, gateway) = with_socket();
    let client = Client::Socket(Socket::connect(&site.installed.path("mcp.sock")));
    whole_way(site, Some(gateway), client, "operator", "socket").await;

    let (site, gateway) = with_socket();
    let client = McpStdio::connect(site.stdio_command(&[]), Era::Legacy("2025-11-25")).await.unwrap();
    whole_way(site, Some(gateway), Client::Stdio(client), "operator", "socket").await;
}
