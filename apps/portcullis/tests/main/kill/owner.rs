//! The client that owns the state is killed, and another one takes over.

use serde_json::json;
use testkit::{McpFailure, McpStdio, ToolAnswer, kill_rounds};

use super::book::Book;
use super::rig::{Rig, code};

async fn act(client: &McpStdio, token: &str) -> Result<ToolAnswer, McpFailure> {
    client.call("ssh_execute", json!({ "host": "web1", "command": format!("count-act {token}") })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_owner_is_killed_a_waiting_client_takes_over() {
    let rounds = kill_rounds(4);
    let mut rig = Rig::new();
    let mut book = Book::open(rig.installed.path("state/journal"));
    let mut clients = vec![rig.stdio().await];
    assert_eq!(owner(&rig), clients[0].pid());
    for round in 0..rounds {
        while clients.len() < 3 {
            clients.push(rig.stdio().await);
        }
        let owner = clients.iter().position(|client| client.pid() == owner(&rig)).expect("a client owns it");
        let killed = clients.swap_remove(owner);

        // A call of another client is under way, on the owner.
        let pipe = rig.pipe(&format!("pipe-{round}"));
        let command = format!("cat {}", pipe.display());
        let under_way = clients[0].call("ssh_execute", json!({ "host": "web1", "command": command }));
        let kill = async {
            let reader = tokio::task::spawn_blocking(move || Rig::reader(&pipe)).await.unwrap();
            killed.kill().await;
            drop(reader);
        };
        let (under_way, ()) = tokio::join!(under_way, kill);
        assert!(
            matches!(under_way, Err(McpFailure::Rpc { .. })),
            "whether it ended is not known: {under_way:?}"
        );

        // The next calls work, whichever of the two takes over, and whether or not their processes have noticed yet.
        let tokens = [format!("ok-{round}-0"), format!("ok-{round}-1")];
        let (one, other) = tokio::join!(act(&clients[0], &tokens[0]), act(&clients[1], &tokens[1]));
        assert_eq!((code(&one.unwrap()), code(&other.unwrap())), ("ok", "ok"));
    }
    for client in clients {
        assert_eq!(client.take_garbage(), Vec::<String>::new());
        let (status, said) = client.close().await;
        assert!(status.success(), "{said}");
    }
    rig.sshd.stop();
    assert_eq!(rig.sshd.acts().len(), usize::try_from(rounds).unwrap() * 2);
    rig.assert_sound(&mut book);
    assert_eq!(book.count("orphan_closed"), usize::try_from(rounds).unwrap());
    rig.assert_nobody_owns_the_state();
}

/// The process that owns the state.
fn owner(rig: &Rig) -> Option<u32> {
    rig.installed.read("state/lock").trim().parse().ok()
}
