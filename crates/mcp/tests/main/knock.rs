//! What strangers get.

use std::sync::atomic::Ordering;

use mcp::{Front, HostRules, HttpLimits, ROUTES, RouteOf, StartError};

use crate::gate::TestGate;
use crate::http::{Connection, Request, Served, config, parts, serve};

#[tokio::test]
async fn every_route_turns_strangers_away_alike() {
    let limits = HttpLimits { failures_per_minute: 1000, ..HttpLimits::default() };
    let served = serve(mcp::FrontConfig { limits, ..config() }).await;
    let mut bodies = Vec::new();
    for (listener, methods, path, open) in ROUTES {
        for method in *methods {
            for key in [
                None,
                Some(("X-API-Key", "wrong")),
                Some(("Authorization", "Bearer wrong")),
                Some(("Authorization", "Basic a2V5LWE=")),
            ] {
                let mut request = Request::bare(method, path).with("Content-Type", "application/json");
                if let Some((name, value)) = key {
                    request = request.with(name, value);
                }
                let address = match listener {
                    RouteOf::Mcp => served.address(),
                    RouteOf::Metrics => served.front.metrics_address().unwrap(),
                };
                let stream = tokio::net::TcpStream::connect(address).await.unwrap();
                let mut connection = Connection::new(stream);
                connection.write(&request.bytes()).await;
                let response =
                    if *method == "HEAD" { connection.head().await } else { connection.response().await };
                if *open {
                    assert_eq!(response.status, 200, "{method} {path}");
                    assert!(!response.body.contains("detail"), "{method} {path}");
                    continue;
                }
                assert_eq!(response.status, 401, "{method} {path} {key:?}");
                assert_eq!(response.header("www-authenticate"), Some("Bearer realm=\"portcullis\""));
                bodies.push(response.body);
            }
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "one body for all causes: {bodies:?}");
    assert_eq!(served.gate.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_is_not_there_is_not_there_for_anybody() {
    let served = serve(config()).await;
    for path in [
        "/",
        "/mcp/",
        "/mcp/fleet",
        "/mcp/database",
        "/mcp/powershell",
        "/MCP",
        "/mcpx",
        "/metrics",
        "/console",
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
        "/mcp/ssh/x",
        "/%6dcp",
        "//mcp",
    ] {
        let response = served.send(&Request::bare("GET", path)).await;
        assert_eq!(response.status, 404, "{path}");
        assert_eq!(response.header("www-authenticate"), None, "{path}");
    }
    // Which upstreams there are, strangers do not learn.
    assert_eq!(served.send(&Request::bare("GET", "/mcp/github")).await.status, 401);
    assert_eq!(served.send(&Request::new("GET", "/mcp/github")).await.status, 404);
    let mut metrics = metrics(&served).await;
    assert_eq!(metrics.ask(&Request::bare("GET", "/metrics")).await.body, "portcullis_test 1\n");
    assert_eq!(metrics.ask(&Request::bare("GET", "/mcp")).await.status, 404);
    assert_eq!(metrics.ask(&Request::bare("GET", "/health")).await.status, 404);
    assert_eq!(metrics.ask(&Request::bare("POST", "/metrics")).await.status, 405);
}

async fn metrics(served: &Served) -> Connection<tokio::net::TcpStream> {
    Connection::new(tokio::net::TcpStream::connect(served.front.metrics_address().unwrap()).await.unwrap())
}

#[tokio::test]
async fn keys_come_in_either_header_and_must_agree() {
    let served = serve(config()).await;
    let call = Request::call("echo").without("X-API-Key");
    for (headers, expected) in [
        (vec![("X-API-Key", "key-a")], Some("a")),
        (vec![("Authorization", "Bearer key-b")], Some("b")),
        (vec![("Authorization", "bearer key-b")], Some("b")),
        (vec![("X-API-Key", "key-a"), ("Authorization", "Bearer key-a")], Some("a")),
        (vec![("X-API-Key", "key-a"), ("Authorization", "Bearer key-b")], None),
        (vec![("X-API-Key", "key-a"), ("X-API-Key", "key-b")], None),
        (vec![("X-API-Key", "key-a"), ("Authorization", "Basic x")], None),
        (vec![("X-API-Key", "")], None),
        (vec![("X-API-Key", "key-\u{e9}")], None),
        (vec![("Cookie", "key=key-a")], None),
        (vec![("X-Forwarded-User", "a"), ("X-Remote-User", "a"), ("Forwarded", "for=127.0.0.1")], None),
        (vec![], None),
    ] {
        let request = headers.iter().fold(call.clone(), |request, (name, value)| request.with(name, value));
        let response = served.send(&request).await;
        match expected {
            Some(name) => assert_eq!(response.json()["result"]["structuredContent"]["principal"], name),
            None => assert_eq!(response.status, 401, "{headers:?}"),
        }
    }
    let in_query = served.send(&call.path("/mcp?api_key=key-a")).await;
    assert_eq!(in_query.status, 401);
}

#[tokio::test]
async fn hosts_and_origins_are_checked_on_every_listener() {
    let config = mcp::FrontConfig {
        hosts: HostRules::parse(&["mcp.example".to_owned()], &["https://console.example".to_owned()])
            .unwrap(),
        ..config()
    };
    let served = serve(config).await;
    let call = Request::call("echo");
    for (name, value, expected) in [
        ("Host", "localhost", 200),
        ("Host", "[::1]:8443", 200),
        ("Host", "mcp.example:8443", 200),
        ("Host", "evil.example", 403),
        ("Host", "localhost.evil.example", 403),
        ("Origin", "http://localhost:6274", 200),
        ("Origin", "https://console.example", 200),
        ("Origin", "https://evil.example", 403),
        ("Origin", "null", 403),
    ] {
        let response = served.send(&call.clone().replace(name, value)).await;
        assert_eq!(response.status, expected, "{name}: {value}");
        assert_eq!(response.header("access-control-allow-origin"), None);
        let metrics =
            metrics(&served).await.ask(&Request::bare("GET", "/metrics").replace(name, value)).await;
        assert_eq!(metrics.status, expected, "{name}: {value} for metrics");
        let health = served.send(&Request::bare("GET", "/health").replace(name, value)).await;
        assert_eq!(
            (health.status, health.body.as_str()),
            (200, r#"{"status":"ok"}"#),
            "{name}: {value} for health"
        );
    }
    let doubled = served.send(&call.clone().with("Host", "localhost")).await;
    assert_ne!(doubled.status, 200);
    let doubled = served
        .send(&call.clone().with("Origin", "http://localhost").with("Origin", "http://localhost"))
        .await;
    assert_eq!(doubled.status, 403);
    let missing = served.send(&call.clone().without("Host")).await;
    assert!(matches!(missing.status, 400 | 403), "{missing:?}");
    let absolute = served.send(&call.clone().path("http://evil.example/mcp")).await;
    assert_eq!(absolute.status, 403);
    assert_eq!(served.send(&call.path("http://localhost/mcp")).await.status, 200);

    let calls = served.gate.calls.load(Ordering::SeqCst);
    served.front.reload_hosts(HostRules::default());
    let response = served.send(&Request::call("echo").replace("Host", "mcp.example")).await;
    assert_eq!((response.status, served.gate.calls.load(Ordering::SeqCst)), (403, calls));
}

#[tokio::test]
async fn health_is_honest_and_tells_details_to_key_holders_only() {
    let served = serve(config()).await;
    let health = || Request::bare("GET", "/health");
    assert_eq!(served.send(&health().replace("Host", "any.example")).await.body, r#"{"status":"ok"}"#);
    assert!(served.send(&health().with("X-API-Key", "key-a")).await.body.contains("detail"));
    assert_eq!(served.send(&health().with("X-API-Key", "wrong")).await.body, r#"{"status":"ok"}"#);
    let rebound = health().with("X-API-Key", "key-a").replace("Host", "evil.example");
    assert_eq!(served.send(&rebound).await.body, r#"{"status":"ok"}"#);
    served.gate.sick.store(true, Ordering::SeqCst);
    let response = served.send(&health()).await;
    assert_eq!((response.status, response.body.as_str()), (503, r#"{"status":"unavailable"}"#));
    assert_eq!(served.send(&Request::bare("POST", "/health")).await.status, 405);
}

#[tokio::test]
async fn a_stranger_who_knocks_too_often_is_told_so_and_holds_nobody_up() {
    let limits = HttpLimits { failures_per_minute: 3, ..HttpLimits::default() };
    let served = serve(mcp::FrontConfig { limits, ..config() }).await;
    let wrong = Request::call("echo").replace("X-API-Key", "wrong");
    for _ in 0..3 {
        assert_eq!(served.send(&wrong).await.status, 401);
    }
    let response = served.send(&wrong).await;
    assert_eq!((response.status, response.header("retry-after")), (429, Some("60")));
    assert_eq!(served.send(&Request::call("echo")).await.status, 200);
}

#[tokio::test]
async fn behind_a_proxy_only_the_proxy_may_connect_and_it_says_who_is_behind() {
    let proxies = Some(vec!["127.0.0.1/32".parse().unwrap()]);
    let served = serve(mcp::FrontConfig { trusted_proxies: proxies, ..config() }).await;
    let call = Request::call("echo").with("X-Forwarded-For", "198.51.100.1, 192.0.2.9");
    assert_eq!(served.send(&call).await.status, 200);
    assert_eq!(served.gate.last_ip.lock().unwrap().unwrap().to_string(), "192.0.2.9");
    assert_eq!(served.send(&Request::call("echo").with("X-Forwarded-For", "nonsense")).await.status, 403);
    served.front.reload_proxies(Some(vec!["10.0.0.0/8".parse().unwrap()]));
    assert_eq!(served.send(&call).await.status, 403);
    served.front.reload_proxies(None);
    assert_eq!(served.send(&call).await.status, 200);
    assert_eq!(
        served.gate.last_ip.lock().unwrap().unwrap().to_string(),
        "127.0.0.1",
        "and without a proxy the header is nothing"
    );
}

#[tokio::test]
async fn nothing_listens_where_strangers_could_come_in() {
    let gate = TestGate::new();
    let open = "0.0.0.0:0".parse().unwrap();
    let unprotected = mcp::FrontConfig { http: vec![open], ..config() };
    assert!(matches!(Front::start(unprotected, parts(&gate)).await, Err(StartError::Unprotected { .. })));
    let metrics = mcp::FrontConfig { metrics: Some(open), ..config() };
    assert!(matches!(Front::start(metrics, parts(&gate)).await, Err(StartError::Unprotected { .. })));
    let nobody = mcp::FrontConfig {
        http: vec![open],
        trusted_proxies: Some(Vec::new()),
        has_principals: false,
        ..config()
    };
    assert!(matches!(Front::start(nobody, parts(&gate)).await, Err(StartError::NoPrincipals { .. })));

    let proxied = mcp::FrontConfig {
        metrics: Some(open),
        trusted_proxies: Some(vec!["127.0.0.1/32".parse().unwrap()]),
        ..config()
    };
    let served = serve(proxied).await;
    let port = served.front.metrics_address().unwrap().port();
    let mut connection = Connection::new(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    assert_eq!(
        connection.ask(&Request::bare("GET", "/metrics")).await.status,
        401,
        "others can reach it, so a key is needed"
    );
    assert_eq!(connection.ask(&Request::new("GET", "/metrics")).await.status, 200);
}
