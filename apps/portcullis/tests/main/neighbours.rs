//! Other users of the gateway's machine: the agent socket is for those whom the configuration names, and nothing else of
//! the gateway is for any of them.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Output;

use serde_json::json;
use testkit::{Era, McpStdio};

use crate::site::{Site, binary};

/// A folder that everybody can reach, with the binary, the socket's place and a client's own configuration.
fn common(socket: &str) -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("portcullis-common-").tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::copy(binary(), folder.path().join("portcullis")).unwrap();
    let client = folder.path().join("portcullis.toml");
    fs::write(&client, format!("[listen]\nsocket = {{ path = \"{socket}\" }}\n")).unwrap();
    for (file, mode) in [("portcullis", 0o755), ("portcullis.toml", 0o644)] {
        fs::set_permissions(folder.path().join(file), fs::Permissions::from_mode(mode)).unwrap();
    }
    folder
}

/// The binary as another user, with no group beside.
fn as_user(folder: &Path, uid: u32, gid: u32) -> std::process::Command {
    let mut command = std::process::Command::new("setpriv");
    command
        .args(["--reuid", &uid.to_string(), "--regid", &gid.to_string(), "--clear-groups"])
        .arg(folder.join("portcullis"))
        .current_dir(folder)
        .env_remove("PORTCULLIS_CONFIG");
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_user_is_its_principal_over_the_agent_socket_and_reaches_nothing_else() {
    const NOBODY: u32 = 65_534;
    let site = Site::new();
    let user = fs::metadata(site.sshd.home()).unwrap();
    let folder = common("mcp.sock");
    let socket = folder.path().join("mcp.sock");
    site.installed.edit(
        "portcullis.toml",
        "metrics = \"off\"",
        &format!(
            "metrics = \"off\"\nsocket = {{ path = \"{}\", group = \"{}\", mode = \"0660\" }}",
            socket.display(),
            user.gid()
        ),
    );
    site.installed.append(
        "portcullis.toml",
        &format!(
            "[[principal]]\nid = \"neighbour\"\ngroups = [\"agents\"]\nos_user = \"{}\"",
            site.sshd.user()
        ),
    );
    let gateway = site.serve();

    for era in [Era::Modern, Era::Legacy("2025-11-25")] {
        let mut command = as_user(folder.path(), user.uid(), user.gid());
        command.arg("stdio");
        let client = McpStdio::connect(command.into(), era).await.unwrap();
        let answer = client.call("whoami", json!({})).await.unwrap();
        assert_eq!(answer.structured()["principal"], "neighbour", "{answer:?}");
        let answer =
            client.call("ssh_execute", json!({ "host": "web1", "command": "id -un" })).await.unwrap();
        assert_eq!(answer.structured()["stdout"], format!("{}\n", site.sshd.user()), "{answer:?}");
        let (status, said) = client.close().await;
        assert!(status.success(), "{said}");
        assert!(!said.contains("same user"), "it only relays, so there is nothing to warn of: {said}");
    }

    // In the socket's group, and nobody's principal: let in by the system, refused by the gateway.
    let mut command = as_user(folder.path(), NOBODY, user.gid());
    command.arg("stdio");
    let stranger = McpStdio::connect(command.into(), Era::Modern).await;
    assert!(stranger.is_err_and(|error| format!("{error:?}").contains("authentication failed")));

    // Not in its group: kept out by the system, and told by what.
    let run = |mut command: std::process::Command, arguments: &[&str]| -> Output {
        command.args(arguments).stdin(std::process::Stdio::null()).output().unwrap()
    };
    let kept_out = run(as_user(folder.path(), NOBODY, NOBODY), &["stdio"]);
    let said = String::from_utf8_lossy(&kept_out.stderr).into_owned();
    assert_eq!(kept_out.status.code(), Some(2), "{said}");
    assert!(said.contains("mcp.sock") && said.contains("ermission denied"), "{said}");

    // The control socket, the state and the configuration are not theirs at all.
    let config = site.installed.path("portcullis.toml");
    for verb in [["health"].as_slice(), &["reload"], &["secret", "list"], &["audit", "tail"], &["check"]] {
        let refused = run(
            as_user(folder.path(), user.uid(), user.gid()),
            &[&["--config", config.to_str().unwrap()], verb].concat(),
        );
        assert!(!refused.status.success(), "{verb:?}: {refused:?}");
    }
    // `--as` asks for an operator's right, over the control socket.
    let acting = run(as_user(folder.path(), user.uid(), user.gid()), &["stdio", "--as", "operator"]);
    assert!(!acting.status.success(), "{acting:?}");

    assert!(gateway.terminate().success());
    let journal = site.journal();
    let acts =
        journal.iter().filter(|e| e["principal"] == "neighbour" && e["event"] == "ssh_executed").count();
    assert_eq!(acts, 2, "one in each era");
    site.verify();
}
