//! Third-party servers behind the real binary: routed, decided on, recorded, passed on byte for byte.

mod pins;
mod questions;
mod restart;
mod sandbox;
mod tidings;

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Era, McpHttp, Portcullis, UpstreamServer, wait_until};

use crate::environment::Installed;
use crate::site::{binary, ends, journal_of, verify};

pub(crate) const RULES: &str = r#"
[[rule]]
name = "operators run the gateway"
allow = ["operator:*"]
principals = ["group:operators"]
targets = ["*"]

[[rule]]
name = "everything of these"
allow = ["upstream:old", "upstream:new", "upstream:sdk", "upstream:everything", "upstream:fast"]
principals = ["group:agents"]
targets = ["*"]

[[rule]]
name = "only our own"
allow = ["narrow__echo"]
principals = ["group:agents"]
targets = ["narrow"]
arguments = { repo = ["acme/*"] }
"#;

/// A gateway with these upstreams: server, name, further keys.
fn site(upstreams: &[(UpstreamServer, &str, &str)]) -> Installed {
    let installed = Installed::new();
    installed.edit("portcullis.toml", "calls_per_minute = 120", "calls_per_minute = 100000");
    for (server, name, more) in upstreams {
        installed.append("portcullis.toml", &format!("{}{more}\n", server.toml(name)));
    }
    installed.write("policy/ops.toml", RULES);
    installed
}

pub(crate) fn serve(installed: &Installed) -> Portcullis {
    Portcullis::serve_with_env(&binary(), &installed.path("portcullis.toml"), &[], &[])
}

pub(crate) async fn client(installed: &Installed, gateway: &Portcullis, path: &str, era: Era) -> McpHttp {
    let url = format!("{}{path}", gateway.mcp());
    McpHttp::connect(&url, Some(installed.key()), era).await.unwrap()
}

pub(crate) async fn names(client: &McpHttp) -> Vec<String> {
    let tools = client.list_tools().await.unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

/// Waits until an upstream offers its tools.
pub(crate) async fn ready(client: &McpHttp, tool: &str) {
    for _ in 0..600 {
        if names(client).await.iter().any(|name| name == tool) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("`{tool}` is never offered");
}

pub(crate) const ALL: &str = "tools = \"*\"";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_of_either_era_sends_and_gets_is_what_the_upstream_gets_and_sends() {
    let (old, new) = (UpstreamServer::ScriptedLegacy, UpstreamServer::ScriptedModern);
    let installed = site(&[(old, "old", ALL), (new, "new", ALL)]);
    let gateway = serve(&installed);
    for era in [Era::Modern, Era::Legacy("2025-06-18")] {
        for upstream in ["old", "new"] {
            let all = client(&installed, &gateway, "", era).await;
            ready(&all, &format!("{upstream}__echo")).await;
            let own = client(&installed, &gateway, &format!("/{upstream}"), era).await;
            let listed = names(&own).await;
            assert_eq!(listed[0], "echo", "in its own order, over all its pages: {listed:?}");
            assert!(listed.contains(&"given_up".to_owned()), "{listed:?}");

            for (client, name) in [(&own, "echo".to_owned()), (&all, format!("{upstream}__echo"))] {
                let arguments = json!({ "z": 1, "text": "h\u{e9} \"x\"", "a": [1, 2] });
                let heard = client.call(&name, arguments.clone()).await.unwrap();
                // The text is the line that the upstream got.
                let line: Value = serde_json::from_str(&heard.text()).unwrap();
                assert_eq!(line["params"]["name"], "echo");
                assert_eq!(line["params"]["arguments"], arguments);
                assert_eq!(heard.structured()["heard"], arguments);
                let of_client = &line["params"]["_meta"]["io.modelcontextprotocol/clientInfo"]["name"];
                let expected = if upstream == "new" { json!("portcullis") } else { Value::Null };
                assert_eq!(*of_client, expected, "the client's own words end at the gateway: {line}");
            }
            let received = String::from_utf8(own.received()).unwrap();
            let big = "\"big\":12345678901234567890123,\"z\":1,\"a\":[1.0,1e2]";
            assert!(
                received.contains(&format!("\"x-vendor\":{{{big}}}")),
                "a definition keeps its bytes: {received}"
            );
            assert!(
                received.contains(&format!("],{big},\"structuredContent\"")),
                "a result keeps its bytes: {received}"
            );
        }
    }
    let refused = client(&installed, &gateway, "/old", Era::Legacy("2025-06-18")).await;
    let error = refused.call("refuse", json!({})).await.unwrap_err().to_string();
    assert!(error.contains("-32602") && error.contains("bad arguments"), "{error}");
    assert!(refused.call("fail", json!({})).await.unwrap().is_error());
    drop(gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_listed_and_permitted_is_there_and_every_call_is_recorded() {
    let server = UpstreamServer::ScriptedLegacy;
    let installed = site(&[
        (server, "old", "tools = [\"echo\"]\ntier = { echo = \"read\" }"),
        (server, "narrow", ALL),
        (server, "nobodys", ALL),
        (server, "none", "tools = []"),
    ]);
    let gateway = serve(&installed);
    let all = client(&installed, &gateway, "", Era::Modern).await;
    ready(&all, "old__echo").await;
    ready(&all, "narrow__echo").await;
    let theirs: Vec<String> = names(&all).await.into_iter().filter(|name| name.contains("__")).collect();
    assert_eq!(theirs, ["narrow__echo", "old__echo"], "nothing else of any upstream");

    let narrow = client(&installed, &gateway, "/narrow", Era::Modern).await;
    assert!(!narrow.call("echo", json!({ "repo": "acme/x" })).await.unwrap().is_error());
    let denied = narrow.call("echo", json!({ "repo": "evil/x" })).await.unwrap();
    assert_eq!(denied.structured()["code"], "denied.no_rule", "{denied:?}");
    for (path, tool) in [
        ("", "old__die"),
        ("", "nobodys__echo"),
        ("", "none__echo"),
        ("", "echo"),
        ("/old", "die"),
        ("/old", "old__echo"),
        ("/none", "echo"),
    ] {
        let client = client(&installed, &gateway, path, Era::Modern).await;
        let answer = client.call(tool, json!({})).await.unwrap();
        assert_eq!(answer.structured()["code"], "input.invalid", "{path} {tool}: {answer:?}");
        assert!(answer.text().contains("there is no tool"), "{answer:?}");
    }
    assert!(!all.call("old__echo", json!({ "secret_word": "swordfish-47" })).await.unwrap().is_error());
    let missing =
        McpHttp::connect(&format!("{}/nothing", gateway.mcp()), Some(installed.key()), Era::Modern).await;
    assert_eq!(missing.err().and_then(|failure| failure.status()), Some(404));
    let stranger = McpHttp::connect(&format!("{}/old", gateway.mcp()), Some("wrong"), Era::Modern).await;
    assert_eq!(stranger.err().and_then(|failure| failure.status()), Some(401));
    assert_eq!(gateway.terminate().code(), Some(0));

    let journal = journal_of(&installed);
    let of = |phase: &str, tool: &str| -> Vec<&Value> {
        journal.iter().filter(|entry| entry["phase"] == phase && entry["tool"] == tool).collect()
    };
    let (intents, completions) = (of("intent", "old__echo"), of("complete", "old__echo"));
    assert_eq!((intents.len(), completions.len()), (1, 1), "{journal:#?}");
    assert_eq!((&intents[0]["target"], &intents[0]["tier"]), (&"old".into(), &"read".into()));
    assert_eq!(intents[0]["rules"], json!(["everything of these"]));
    assert!(intents[0]["command"].is_object(), "the arguments are sealed: {}", intents[0]);
    assert!(!serde_json::to_string(&journal).unwrap().contains("swordfish-47"));
    assert_eq!(of("intent", "narrow__echo")[0]["tier"], "dangerous", "unless the operator says otherwise");
    assert_eq!(of("closed", "narrow__echo")[0]["decision"], "denied");
    assert_eq!(journal.iter().filter(|entry| entry["event"] == "upstream_started").count(), 4);
    assert!(ends(&journal).values().all(|ends| *ends == 1));
    verify(&installed);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_program_serves_many_clients_and_each_gets_its_own_answer_and_progress() {
    let installed = site(&[(UpstreamServer::ScriptedLegacy, "old", ALL)]);
    let gateway = serve(&installed);
    let first = client(&installed, &gateway, "/old", Era::Legacy("2025-06-18")).await;
    ready(&first, "slow").await;
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..12 {
        let era = if n % 2 == 0 { Era::Modern } else { Era::Legacy("2025-11-25") };
        let client = client(&installed, &gateway, "/old", era).await;
        calls.spawn(async move {
            // All of them use the same token and, as new clients do, the same ids.
            let params =
                json!({ "name": "slow", "arguments": { "who": n }, "_meta": { "progressToken": "mine" } });
            let answer = client.request("tools/call", &params).await.unwrap();
            let told = client.take_notifications();
            (n, answer, told)
        });
    }
    while let Some(call) = calls.join_next().await {
        let (n, answer, told) = call.unwrap();
        assert_eq!(answer["content"][0]["text"], format!("slept for {n}"));
        let steps: Vec<&Value> = told
            .iter()
            .filter(|message| message["method"] == "notifications/progress")
            .map(|message| &message["params"])
            .collect();
        let ours: Vec<&&Value> = steps
            .iter()
            .filter(|step| step["message"].as_str().is_some_and(|m| m.starts_with("step")))
            .collect();
        assert_eq!(ours.len(), 3, "{told:?}");
        assert!(ours.iter().all(|step| step["progressToken"] == "mine" && step["total"] == 3.0), "{told:?}");
    }
    drop(gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_dies_takes_only_its_own_calls_with_it_and_comes_back() {
    let server = UpstreamServer::ScriptedLegacy;
    let installed = site(&[(server, "old", &format!("{ALL}\nrequired = true")), (server, "new", ALL)]);
    let gateway = serve(&installed);
    let old = client(&installed, &gateway, "/old", Era::Modern).await;
    let new = client(&installed, &gateway, "/new", Era::Modern).await;
    ready(&old, "die").await;
    ready(&new, "echo").await;
    let before = old.call("process", json!({})).await.unwrap().text();
    let (died, unharmed) =
        tokio::join!(old.call("die", json!({})), new.call("slow", json!({ "seconds": 0.3, "who": "me" })),);
    let died = died.unwrap();
    assert_eq!(died.structured()["code"], "upstream.down", "{died:?}");
    assert_eq!(died.structured()["retry"], false, "whether it was carried out is not known");
    assert_eq!(unharmed.unwrap().text(), "slept for me");
    let mut after = None;
    for _ in 0..200 {
        let answer = old.call("process", json!({})).await.unwrap();
        if !answer.is_error() {
            after = Some(answer.text());
            break;
        }
        assert_eq!(answer.structured()["code"], "upstream.down", "{answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(after.is_some_and(|after| after != before), "it came back as another process");
    assert!(gateway.log().contains("dying as told"), "its standard error is in the log");
    let pid = old.call("process", json!({})).await.unwrap().text();
    assert_eq!(gateway.terminate().code(), Some(0));
    wait_until("the program outlives the gateway", Duration::from_secs(10), || {
        !std::path::Path::new(&format!("/proc/{pid}")).exists()
    });
    let journal = journal_of(&installed);
    let ended = journal.iter().find(|entry| entry["event"] == "upstream_ended").unwrap();
    assert!(ended["reason"].as_str().is_some_and(|why| why.contains("exit status: 7")), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hostile_upstream_says_is_bounded_guarded_or_left_out() {
    let secret = "correct-horse-battery";
    let env = "env = { PATH = \"/usr/bin\", A_TOKEN = { file = \"token\" } }";
    let installed = site(&[(UpstreamServer::ScriptedModern, "new", &format!("{ALL}\n{env}"))]);
    installed.write("token", &format!("{secret}\n"));
    private(&installed.path("token"));
    let gateway = serve(&installed);
    let own = client(&installed, &gateway, "/new", Era::Modern).await;
    let all = client(&installed, &gateway, "", Era::Modern).await;
    ready(&own, "environment").await;
    assert_eq!(own.call("garbage", json!({})).await.unwrap().text(), "after the garbage");
    assert_eq!(own.call("echo", json!({})).await.unwrap().structured()["heard"], json!({}), "and it goes on");

    let flood = own.call("flood", json!({ "bytes": 2_000_000 })).await.unwrap();
    assert_eq!(flood.structured()["code"], "limit.output", "{flood:?}");
    let asks = own.call("ask", json!({})).await.unwrap();
    assert_eq!(asks.structured()["code"], "target.protocol", "{asks:?}");
    let hidden = own.call("hide", json!({})).await.unwrap().text();
    assert_eq!(hidden, "plain\u{200b}hidden\u{202e} ", "unchanged where nothing but the upstream is");
    let shown = all.call("new__hide", json!({})).await.unwrap().text();
    assert_eq!(shown, "plain\\u{200b}hidden\\u{202e} ", "made visible among others");

    // The program has exactly what the configuration gives it; what it tells of its secret is withheld, on either way.
    for (client, tool, arguments) in
        [(&own, "environment", json!({})), (&all, "new__hide", json!({ "tell": true }))]
    {
        let told = client.call(tool, arguments).await.unwrap();
        assert_eq!(told.structured()["code"], "secret_in_output", "{told:?}");
    }
    assert!(!gateway.log().contains(secret));
    assert_eq!(gateway.terminate().code(), Some(0));
    let journal = serde_json::to_string(&journal_of(&installed)).unwrap();
    assert!(!journal.contains(secret));
    assert!(journal.contains("secret_in_output"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_given_up_is_given_up_at_the_upstream_too() {
    let installed = site(&[(UpstreamServer::ScriptedLegacy, "old", &format!("{ALL}\ntimeout = \"1s\""))]);
    let gateway = serve(&installed);
    let own = client(&installed, &gateway, "/old", Era::Modern).await;
    ready(&own, "slow").await;
    let slow = own.call("slow", json!({ "seconds": 5 })).await.unwrap();
    assert_eq!(slow.structured()["code"], "target.timeout", "{slow:?}");
    let mut given_up = String::new();
    for _ in 0..100 {
        given_up = own.call("given_up", json!({})).await.unwrap().text();
        if given_up != "[]" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_ne!(given_up, "[]");
    drop(gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_starts_ends_and_keeps_upstreams_and_new_tools_are_seen() {
    let server = UpstreamServer::ScriptedLegacy;
    let installed = site(&[(server, "old", ALL)]);
    let gateway = serve(&installed);
    let old = client(&installed, &gateway, "/old", Era::Modern).await;
    ready(&old, "process").await;
    let before = old.call("process", json!({})).await.unwrap().text();
    old.call("grow", json!({})).await.unwrap();
    ready(&old, "grown").await;
    installed.append("portcullis.toml", &format!("{}{ALL}\n", server.toml("new")));
    assert_eq!(installed.run(&["reload"]).exit, 0);
    let new = client(&installed, &gateway, "/new", Era::Modern).await;
    ready(&new, "echo").await;
    assert_eq!(
        old.call("process", json!({})).await.unwrap().text(),
        before,
        "what is declared as before goes on"
    );
    installed.edit("portcullis.toml", "name = \"new\"", "name = \"fast\"");
    assert_eq!(installed.run(&["reload"]).exit, 0);
    let gone = McpHttp::connect(&format!("{}/new", gateway.mcp()), Some(installed.key()), Era::Modern).await;
    assert_eq!(gone.err().and_then(|failure| failure.status()), Some(404));
    drop(gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_prompts_and_completions_pass_as_they_are_under_rules_of_their_own() {
    let (old, new) = (UpstreamServer::ScriptedLegacy, UpstreamServer::ScriptedModern);
    let installed = site(&[(old, "notes", "tools = []"), (new, "later", "tools = []")]);
    installed.write("policy/notes.toml", NOTES);
    let gateway = serve(&installed);
    for (era, upstream) in [
        (Era::Modern, "notes"),
        (Era::Legacy("2025-06-18"), "notes"),
        (Era::Modern, "later"),
        (Era::Legacy("2025-11-25"), "later"),
    ] {
        let client = runs(&installed, &gateway, upstream, era).await;
        let ask = async |method: &str, params: Value| client.request(method, &params).await;
        let named = |result: &Value, list: &str, name: &str| -> Vec<String> {
            let items = result[list].as_array().unwrap();
            items.iter().map(|item| item[name].as_str().unwrap().to_owned()).collect()
        };
        let resources = ask("resources/list", json!({})).await.unwrap();
        assert_eq!(named(&resources, "resources", "uri"), ["note://open/a", "note://open/b"]);
        assert_eq!(resources["nextCursor"], "more");
        let templates = ask("resources/templates/list", json!({})).await.unwrap();
        assert_eq!(named(&templates, "resourceTemplates", "uriTemplate"), ["note://open/{name}"]);
        let prompts = ask("prompts/list", json!({})).await.unwrap();
        assert_eq!(named(&prompts, "prompts", "name"), ["greet"]);
        let read = ask("resources/read", json!({ "uri": "note://open/unlisted" })).await.unwrap();
        let line: Value = serde_json::from_str(read["contents"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(line["params"]["uri"], "note://open/unlisted");
        let wanted = json!({ "name": "greet", "arguments": { "who": "me" } });
        let prompt = ask("prompts/get", wanted.clone()).await.unwrap();
        let line: Value =
            serde_json::from_str(prompt["messages"][0]["content"]["text"].as_str().unwrap()).unwrap();
        assert_eq!(
            (&line["params"]["name"], &line["params"]["arguments"]),
            (&wanted["name"], &wanted["arguments"])
        );
        for of in [
            json!({ "type": "ref/prompt", "name": "greet" }),
            json!({ "type": "ref/resource", "uri": "note://open/{name}" }),
        ] {
            let params = json!({ "ref": of, "argument": { "name": "x", "value": "wri" } });
            assert_eq!(
                ask("completion/complete", params).await.unwrap()["completion"]["values"],
                json!(["wri!"])
            );
        }
        for (method, params) in [
            ("resources/read", json!({ "uri": "note://closed/c" })),
            ("resources/read", json!({ "uri": "note://OPEN/a" })),
            ("resources/read", json!({ "uri": "note://open/../closed" })),
            ("resources/read", json!({ "uri": "note://open/secret/x" })),
            ("prompts/get", json!({ "name": "hidden" })),
            (
                "completion/complete",
                json!({ "ref": { "type": "ref/prompt", "name": "hidden" }, "argument": { "name": "x", "value": "" } }),
            ),
            (
                "completion/complete",
                json!({ "ref": { "type": "ref/resource", "uri": "note://closed/{name}" }, "argument": { "name": "x", "value": "" } }),
            ),
        ] {
            let refused = ask(method, params.clone()).await.unwrap_err().to_string();
            assert!(
                refused.contains("-32602") && refused.contains("there is no"),
                "{method} {params}: {refused}"
            );
        }
        let received = String::from_utf8(client.received()).unwrap();
        let big = "\"big\":12345678901234567890123,\"z\":1,\"a\":[1.0,1e2]";
        for kept in [
            format!("{{\"x-vendor\":{{{big}}},\"uri\":\"note://open/a\",\"name\":\"n\"}}"),
            format!("{{\"x-vendor\":{{{big}}},\"name\":\"greet\"}}"),
            format!("{big},\"contents\""),
            format!("{big},\"messages\""),
            format!("[\"wri!\"],{big}"),
        ] {
            assert!(received.contains(&kept), "it keeps its bytes: {kept} in {received}");
        }
    }
    assert_eq!(gateway.terminate().code(), Some(0));
    let journal = journal_of(&installed);
    let of = |event: &str, tool: &str| {
        journal.iter().filter(|entry| entry["event"] == event && entry["tool"] == tool).count()
    };
    assert_eq!(of("resource_read", "resource:notes/note://open/unlisted"), 2, "{journal:#?}");
    assert_eq!(of("prompt_read", "prompt:notes/greet"), 2);
    assert_eq!(
        of("completion", "prompt:notes/greet") + of("completion", "resource:notes/note://open/{name}"),
        4
    );
    assert_eq!(of("resources_list", "resources_list"), 4);
    assert!(ends(&journal).values().all(|ends| *ends == 1));
    verify(&installed);
}

/// Waits until an upstream answers at its own endpoint.
async fn runs(installed: &Installed, gateway: &Portcullis, upstream: &str, era: Era) -> McpHttp {
    let client = client(installed, gateway, &format!("/{upstream}"), era).await;
    for _ in 0..600 {
        if client.request("prompts/list", &json!({})).await.is_ok() {
            return client;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("`{upstream}` never runs");
}

const NOTES: &str = r#"
[[rule]]
name = "open notes"
allow = ["resource:notes/note://open/**", "resource:later/note://open/**", "prompt:notes/greet", "prompt:later/greet"]
principals = ["group:agents"]
targets = ["notes", "later"]

[[rule]]
name = "no secrets"
forbid = ["resource:notes/note://OPEN/secret/**", "resource:later/note://open/%73ecret/**"]
principals = ["*"]
targets = ["*"]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_others_made_work_behind_the_gate() {
    let installed = site(&[
        (UpstreamServer::Everything, "everything", ALL),
        (UpstreamServer::PythonSdk, "sdk", ALL),
        (UpstreamServer::FastMcp, "fast", ALL),
    ]);
    let gateway = serve(&installed);
    for era in [Era::Modern, Era::Legacy("2025-11-25")] {
        let all = client(&installed, &gateway, "", era).await;
        for (tool, arguments, expected) in [
            ("everything__echo", json!({ "message": "hello" }), "hello"),
            ("everything__get-sum", json!({ "a": 2, "b": 40 }), "42"),
            ("sdk__echo", json!({ "text": "again" }), "again"),
            ("fast__add", json!({ "a": 2, "b": 40 }), "42"),
        ] {
            ready(&all, tool).await;
            let answer = all.call(tool, arguments).await.unwrap();
            assert!(!answer.is_error() && answer.text().contains(expected), "{tool}: {answer:?}");
        }
    }
    assert_eq!(gateway.terminate().code(), Some(0));
    verify(&installed);
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_prompts_and_completions_of_servers_that_others_made_pass() {
    let installed =
        site(&[(UpstreamServer::Everything, "everything", ALL), (UpstreamServer::FastMcp, "fast", ALL)]);
    let gateway = serve(&installed);
    for era in [Era::Modern, Era::Legacy("2025-11-25")] {
        for (upstream, uri, template, prompt, text) in [
            (
                "everything",
                "demo://resource/dynamic/text/1",
                "demo://resource/dynamic/text/{resourceId}",
                json!({ "name": "args-prompt", "arguments": { "city": "Ulm" } }),
                "Ulm",
            ),
            (
                "fast",
                "shelf://top/book",
                "shelf://{place}/book",
                json!({ "name": "greet", "arguments": { "name": "Ulm" } }),
                "Hello, Ulm!",
            ),
        ] {
            let client = runs(&installed, &gateway, upstream, era).await;
            let ask = async |method: &str, params: &Value| {
                let answer = client.request(method, params).await;
                answer.unwrap_or_else(|failure| panic!("{upstream} {method}: {failure}")).to_string()
            };
            assert!(ask("resources/list", &json!({})).await.contains("\"resources\":["));
            assert!(ask("resources/templates/list", &json!({})).await.contains(template));
            assert!(ask("resources/read", &json!({ "uri": uri })).await.contains(uri));
            assert!(ask("prompts/list", &json!({})).await.contains(prompt["name"].as_str().unwrap()));
            assert!(ask("prompts/get", &prompt).await.contains(text));
            if upstream == "everything" {
                let of = json!({ "type": "ref/prompt", "name": "completable-prompt" });
                let params = json!({ "ref": of, "argument": { "name": "department", "value": "E" } });
                assert!(ask("completion/complete", &params).await.contains("Engineering"));
            }
            assert!(client.request("resources/read", &json!({ "uri": "none://such" })).await.is_err());
        }
    }
    assert_eq!(gateway.terminate().code(), Some(0));
    verify(&installed);
}

pub(crate) fn private(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
