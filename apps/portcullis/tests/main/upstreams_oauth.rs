//! Upstreams that want a token of an authorization server: fetched, renewed, never told, and never asked for where it should not be.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{AuthorizationServer, Era, HttpScript, HttpUpstream, Portcullis, wait_until};

use crate::environment::Installed;
use crate::site::{journal_of, verify};
use crate::upstreams::{ALL, RULES, client, private, ready, serve};

/// A gateway with these upstreams: server, name, the keys of `oauth`.
fn site(upstreams: &[(&HttpUpstream, &str, String)]) -> Installed {
    let installed = Installed::new();
    installed.edit("portcullis.toml", "calls_per_minute = 120", "calls_per_minute = 100000");
    // With a line feed, as editors leave one.
    installed.write("client-secret", &format!("{}\n", AuthorizationServer::SECRET));
    private(&installed.path("client-secret"));
    for (server, name, more) in upstreams {
        let oauth =
            format!("client_id = \"gateway\", client_secret = {{ file = \"client-secret\" }}, {more}");
        let keys = format!("{}{ALL}\nauth = {{ oauth = {{ {oauth} }} }}\n", server.toml(name));
        installed.append("portcullis.toml", &keys);
    }
    installed.write("policy/ops.toml", RULES);
    installed
}

fn asked(server: &AuthorizationServer) -> Vec<Value> {
    server.requests().into_iter().filter(|(what, _)| what == "POST:/token").map(|(_, asked)| asked).collect()
}

fn told(gateway: &Portcullis, name: &str, why: &str) {
    wait_until(&format!("`{name}`: {why}: {}", gateway.log()), Duration::from_secs(60), || {
        gateway.log().lines().any(|line| line.contains(name) && line.contains(why))
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_fetched_for_the_upstream_alone_renewed_once_for_all_and_never_told() {
    let authority = AuthorizationServer::honest(3600);
    let file = authority.tokens_file();
    let issuer = authority.issuer();
    let server = |modern| {
        let script =
            HttpScript { modern, tokens: Some(&file), issuer: Some(&issuer), ..HttpScript::default() };
        HttpUpstream::scripted(script)
    };
    let (old, new) = (server(false), server(true));
    let installed = site(&[
        (
            &old,
            "old",
            format!(
                "token_url = \"{issuer}/token\", client_auth = \"post\", scopes = [\"read\", \"write\"], resource = \"https://mcp.example\""
            ),
        ),
        (&new, "new", format!("issuer = \"{issuer}\", resource_metadata = true")),
    ]);
    let gateway = serve(&installed);
    let to_old = client(&installed, &gateway, "/old", Era::Modern).await;
    let to_new = Arc::new(client(&installed, &gateway, "/new", Era::Legacy("2025-06-18")).await);
    ready(&to_old, "echo").await;
    ready(&to_new, "echo").await;
    let first = asked(&authority);
    assert_eq!(first.len(), 2, "one for each: {first:?}");
    let post = first.iter().find(|asked| asked["body"] == true).unwrap();
    assert_eq!((&post["scope"], &post["resource"]), (&json!("read write"), &json!("https://mcp.example")));
    assert_eq!(post["head"], false);
    let basic = first.iter().find(|asked| asked["head"] == true).unwrap();
    assert_eq!((&basic["scope"], &basic["resource"]), (&Value::Null, &json!(new.url("127.0.0.1"))));

    // What was given is not good any more: one token is fetched for all who find out at the same time.
    authority.revoke();
    let mut calls = tokio::task::JoinSet::new();
    for who in 0..8 {
        let to_new = Arc::clone(&to_new);
        calls.spawn(async move { to_new.call("slow", json!({ "who": who })).await.unwrap() });
    }
    while let Some(call) = calls.join_next().await {
        assert!(call.unwrap().text().starts_with("slept for"), "nobody notices");
    }
    assert_eq!(asked(&authority).len(), 3, "one for all");

    // The token that a call is sent with is looked for in what comes back, also if it is fetched in the middle of it.
    for _ in 0..2 {
        authority.revoke();
        let head = to_new.call("head", json!({})).await.unwrap();
        assert_eq!(head.structured()["code"], "secret_in_output", "{head:?}");
        authority.revoke();
        let params =
            json!({ "name": "progress-head", "arguments": {}, "_meta": { "progressToken": "mine" } });
        to_new.take_notifications();
        to_new.request("tools/call", &params).await.unwrap();
        let heard = format!("{:?}", to_new.take_notifications());
        assert!(!heard.contains("at-"), "{heard}");
    }
    let log = gateway.log();
    assert_eq!(gateway.terminate().code(), Some(0));
    let written = format!("{log}{}", serde_json::to_string(&journal_of(&installed)).unwrap());
    assert!(!written.contains(AuthorizationServer::SECRET) && !written.contains("at-"));
    verify(&installed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_before_it_ends_and_without_one_the_upstream_is_down() {
    let mut authority = AuthorizationServer::honest(6);
    let (file, issuer) = (authority.tokens_file(), authority.issuer());
    let server =
        HttpUpstream::scripted(HttpScript { modern: true, tokens: Some(&file), ..HttpScript::default() });
    let installed = site(&[(&server, "new", format!("issuer = \"{issuer}\""))]);
    let gateway = serve(&installed);
    let client = client(&installed, &gateway, "/new", Era::Modern).await;
    ready(&client, "echo").await;
    wait_until("it is renewed", Duration::from_secs(60), || {
        let call = installed.run(&["health"]);
        assert_eq!(call.exit, 0);
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current()
                .block_on(async { assert!(!client.call("echo", json!({})).await.unwrap().is_error()) });
        });
        asked(&authority).len() > 2
    });
    let refused = server.requests().iter().filter(|(_, head)| head["authorization"] == "Bearer ").count();
    assert_eq!(refused, 0);
    authority.kill();
    authority.revoke();
    let mut answer = Value::Null;
    for _ in 0..200 {
        answer = client.call("echo", json!({})).await.unwrap().structured().clone();
        if answer["code"] == "upstream.down" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(answer["code"], "upstream.down", "{answer:?}");
    told(&gateway, "new", "it cannot be reached");
    drop(gateway);
}

/// Whatever the servers say: the secret goes to the token endpoint that the operator's words lead to, or nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_configured_authority_is_shown_the_secret() {
    let thief = AuthorizationServer::honest(60);
    let modes = [
        "redirect",
        "page",
        "flood",
        "other-type",
        "line",
        "tells",
        "other-issuer",
        "endpoint-elsewhere",
        "not-said",
    ];
    let hostile: Vec<_> =
        modes.iter().map(|mode| AuthorizationServer::hostile(mode, &thief.issuer())).collect();
    let upstream = HttpUpstream::scripted(HttpScript { modern: true, ..HttpScript::default() });
    let named = thief.issuer();
    let protected_elsewhere =
        HttpUpstream::scripted(HttpScript { modern: true, issuer: Some(&named), ..HttpScript::default() });
    // Its tokens are good nowhere, so that it is refused with an address of the thief.
    let (nothing, honest) = (tempfile::NamedTempFile::new().unwrap(), AuthorizationServer::honest(60));
    let points_elsewhere = HttpUpstream::scripted(HttpScript {
        modern: true,
        tokens: Some(nothing.path()),
        ..HttpScript::default()
    });
    let mut upstreams: Vec<(&HttpUpstream, &str, String)> = Vec::new();
    for (mode, authority) in modes.iter().zip(&hostile) {
        upstreams.push((&upstream, mode, format!("issuer = \"{}\"", authority.issuer())));
    }
    upstreams.push((&points_elsewhere, "points-elsewhere", format!("issuer = \"{}\"", honest.issuer())));
    upstreams.push((
        &protected_elsewhere,
        "protected",
        format!("issuer = \"{}\", resource_metadata = true", honest.issuer()),
    ));
    let installed = site(&upstreams);
    installed.append("portcullis.toml", &format!("{}{ALL}\nnetworks = {{ block = [\"127.0.0.0/8\"] }}\nauth = {{ oauth = {{ client_id = \"gateway\", client_secret = {{ file = \"client-secret\" }}, token_url = \"{}/token\" }} }}\n", upstream.toml("blocked"), thief.issuer()));
    let gateway = serve(&installed);
    for (name, why) in [
        ("redirect", "gives no token (HTTP 307)"),
        ("page", "answered what is no token"),
        ("flood", "answered with more than anybody reads"),
        ("other-type", "no bearer token"),
        ("line", "that no header can hold"),
        ("tells", "gives no token (HTTP 400)"),
        ("other-issuer", "about another issuer"),
        ("endpoint-elsewhere", "no `https` address"),
        ("not-said", "write `token_url`"),
        ("points-elsewhere", "refuses the gateway's credential"),
        ("protected", "does not name the configured `issuer`"),
        ("blocked", "unless `networks` of the upstream says so"),
    ] {
        told(&gateway, name, why);
    }
    assert_eq!(thief.requests(), [], "the thief heard nothing");
    assert_eq!(upstream.requests(), [], "without a token nothing is sent");
    let shown = points_elsewhere.requests();
    assert!(shown.iter().all(|(_, head)| {
        head["authorization"].as_str().is_some_and(|shown| shown.starts_with("Bearer at-"))
    }));
    assert!(!gateway.log().contains(AuthorizationServer::SECRET) && !gateway.log().contains("at-"));
    drop(gateway);
}
