//! TLS of the listener, end to end: certificates that are renewed, and clients that are who their certificate says.

use std::fs;
use std::sync::Arc;

use rustls::ClientConfig;
use serde_json::json;
use testkit::{Era, McpFailure, McpHttp, Portcullis, TestCa};

use crate::environment::{Installed, patiently};
use crate::site::binary;

fn with_tls(authority: &TestCa, more: &str) -> Installed {
    let installed = Installed::new();
    authority.server(&["localhost", "127.0.0.1"]).write(&installed.path("."), "server");
    installed.append(
        "portcullis.toml",
        &format!("[listen.tls]\ncert = \"server.pem\"\nkey = \"server.key\"\n{more}"),
    );
    installed
}

fn serve(installed: &Installed) -> Portcullis {
    Portcullis::serve(&binary(), &installed.path("portcullis.toml"), &[])
}

/// Who a client is told that it is.
async fn whoami(
    gateway: &Portcullis,
    key: Option<&str>,
    tls: Arc<ClientConfig>,
) -> Result<String, McpFailure> {
    let client = McpHttp::connect_with(&gateway.mcp(), key, Era::Modern, Some(tls)).await?;
    let answer = client.call("whoami", json!({})).await?;
    Ok(answer.structured()["principal"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn renewed_certificates_are_taken_over_unasked_and_broken_ones_are_not() {
    let (old, new) = (TestCa::new(), TestCa::new());
    let installed = with_tls(&old, "");
    let gateway = serve(&installed);
    let key = Some(installed.key());
    assert_eq!(whoami(&gateway, key, old.trusting(None)).await.unwrap(), "agent");
    assert!(whoami(&gateway, key, new.trusting(None)).await.is_err(), "the test can tell the two apart");

    // Half a renewal, or nonsense: what is in use stays, and the log says why.
    installed.write("server.pem", "nonsense");
    let said = patiently(|| gateway.log().contains("the certificates that are in use stay").then_some(()));
    assert!(said.is_some(), "{}", gateway.log());
    assert_eq!(whoami(&gateway, key, old.trusting(None)).await.unwrap(), "agent");

    new.server(&["localhost", "127.0.0.1"]).write(&installed.path("."), "server");
    let said = patiently(|| gateway.log().contains("the certificates were renewed").then_some(()));
    assert!(said.is_some(), "{}", gateway.log());
    assert_eq!(whoami(&gateway, key, new.trusting(None)).await.unwrap(), "agent");
    assert!(whoami(&gateway, key, old.trusting(None)).await.is_err());
    assert!(gateway.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_a_principal_or_only_a_gate_until_a_reload_says_otherwise() {
    let (ours, clients, strangers) = (TestCa::new(), TestCa::new(), TestCa::new());
    let installed = with_tls(&ours, "client_ca = \"clients.pem\"");
    installed.write("clients.pem", clients.pem());
    installed.append(
        "portcullis.toml",
        "[[principal]]\nid = \"robot\"\ngroups = [\"agents\"]\ncertificate = { san = \"robot.example\" }",
    );
    let checked = installed.run(&["check"]);
    assert_eq!(checked.exit, 0, "{checked:?}");
    let gateway = serve(&installed);
    let (robot, other) = (clients.client(&["robot.example"]), clients.client(&["other.example"]));
    assert_eq!(whoami(&gateway, None, ours.trusting(Some(&robot))).await.unwrap(), "robot");
    // The key of another principal beside it is a contradiction, not a choice.
    let both = whoami(&gateway, Some(installed.key()), ours.trusting(Some(&robot))).await;
    assert!(matches!(both, Err(McpFailure::Http { status: 401, .. })), "{both:?}");
    let gate_only = whoami(&gateway, None, ours.trusting(Some(&other))).await;
    assert!(matches!(gate_only, Err(McpFailure::Http { status: 401, .. })), "{gate_only:?}");
    let with_key = whoami(&gateway, Some(installed.key()), ours.trusting(Some(&other))).await;
    assert_eq!(with_key.unwrap(), "agent");
    let stranger = strangers.client(&["robot.example"]);
    for own in [None, Some(&stranger)] {
        let refused = whoami(&gateway, Some(installed.key()), ours.trusting(own)).await;
        assert!(matches!(refused, Err(McpFailure::Broken(_))), "{refused:?}");
    }

    installed.edit("portcullis.toml", "robot.example", "another.example");
    assert_eq!(installed.run(&["reload"]).exit, 0);
    let gone = whoami(&gateway, None, ours.trusting(Some(&robot))).await;
    assert!(matches!(gone, Err(McpFailure::Http { status: 401, .. })), "{gone:?}");

    // Another authority for clients counts for the connections made from now on.
    installed.write("clients.pem", strangers.pem());
    let said = patiently(|| gateway.log().contains("the certificates were renewed").then_some(()));
    assert!(said.is_some(), "{}", gateway.log());
    let another = strangers.client(&["another.example"]);
    assert_eq!(whoami(&gateway, None, ours.trusting(Some(&another))).await.unwrap(), "robot");
    assert!(whoami(&gateway, None, ours.trusting(Some(&robot))).await.is_err());
    assert!(gateway.terminate().success());
    let rejected = fs::read_to_string(installed.path("state/journal/000001.jsonl")).unwrap();
    assert!(rejected.contains("\"auth_failure\""), "failed authentications are recorded");
}
