//! No room for the record: nothing is done, nothing is answered, and it passes.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use testkit::{Era, HttpClient, McpHttp, Portcullis, wait_until};

use super::book::Book;
use super::rig::{Rig, code};

const PATIENCE: Duration = Duration::from_secs(30);

async fn health(gateway: &Portcullis) -> u16 {
    let client = HttpClient::new(&gateway.url(), None);
    client.send("GET", "/health", &[], "").await.unwrap().status
}

/// One act; `ok`, the code of a refusal, or nothing when the answer was withheld.
async fn act(client: &McpHttp, token: &str) -> Option<String> {
    let arguments = json!({ "host": "web1", "command": format!("count-act {token}") });
    client.call("ssh_execute", arguments).await.ok().map(|answer| code(&answer).to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_journal_cannot_be_written_nothing_is_done_and_nothing_is_answered() {
    let (rig, disk) = Rig::on_a_tiny_disk();
    let mut book = Book::open(rig.installed.path("state/journal"));
    let gateway = rig.serve();
    let client = rig.client(&gateway, Era::Modern).await.unwrap();
    assert_eq!(act(&client, "ok-before").await.as_deref(), Some("ok"));
    assert_eq!(health(&gateway).await, 200);

    // This one is at work when the disk fills up.
    let pipe = rig.pipe("pipe");
    let command = format!("cat {}", pipe.display());
    let under_way = {
        let (client, command) = (Arc::clone(&client), command.clone());
        tokio::spawn(async move {
            client.call("ssh_execute", json!({ "host": "web1", "command": command })).await
        })
    };
    let mut pipe = tokio::task::block_in_place(|| Rig::reader(&pipe));
    disk.fill();

    // The last block of the journal may have room for a few lines more: for those of an act, or of a refusal.
    let mut last = 0;
    loop {
        let token = format!("ok-last-{last}");
        let answer = act(&client, &token).await;
        let acted = rig.sshd.acts().contains(&token);
        match answer.as_deref() {
            Some("ok") => assert!(acted),
            Some(refused) => assert_eq!((refused, acted), ("audit.unavailable", false)),
            None => break,
        }
        last += 1;
        assert!(last < 100, "the disk is not full");
    }
    assert_eq!(health(&gateway).await, 503);
    let acts = rig.sshd.acts();
    for number in 0..20 {
        assert_eq!(act(&client, &format!("ok-full-{number}")).await, None);
        assert!(client.call("whoami", json!({})).await.is_err(), "an answer without a record");
        assert!(
            client.call("get_credential", json!({ "safe": "prod", "object_name": "web" })).await.is_err()
        );
        assert_eq!(act(&client, &format!("no-full-{number}")).await, None);
        assert_eq!(health(&gateway).await, 503);
    }
    pipe.write_all(b"told to nobody\n").unwrap();
    drop(pipe);
    assert!(under_way.await.unwrap().is_err(), "an answer without a record");
    assert_eq!(health(&gateway).await, 503);
    assert_eq!(rig.sshd.acts(), acts, "something reached the host");
    book.read_on();
    book.assert_covers(&acts);

    disk.free();
    tokio::task::block_in_place(|| wait_until_healthy(&gateway));
    assert_eq!(act(&client, "ok-after").await.as_deref(), Some("ok"));
    assert_eq!(rig.sshd.acts().last().map(String::as_str), Some("ok-after"));
    rig.assert_sound(&mut book);
    assert_eq!(book.count("journal_recovered"), 1);
    let end = book.end_of(&command).expect("the call has its end");
    assert_eq!((end.phase.as_str(), end.error_code.as_deref()), ("closed", Some("audit.unavailable")));
    assert!(gateway.terminate().success());

    // Nor does it start without room for its first entry.
    disk.fill();
    let ran = rig.installed.run(&["serve"]);
    assert_eq!(ran.exit, 2, "{ran:?}");
    assert!(ran.err.contains("/state/"), "it does not say what cannot be written: {ran:?}");
    disk.free();
    let gateway = rig.serve();
    rig.assert_sound(&mut book);
    assert!(gateway.terminate().success());
    rig.assert_sound(&mut book);
}

fn wait_until_healthy(gateway: &Portcullis) {
    wait_until("it recovers by itself", PATIENCE, || {
        tokio::runtime::Handle::current().block_on(health(gateway)) == 200
    });
}
