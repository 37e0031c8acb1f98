//! The demonstration's target, reached as any other host.

use connector_ssh::sandbox::Sandbox;
use model::{ErrorCode, Exit};
use testkit::SeededEntropy;

use crate::rig::{Call, Rig, stderr, stdout};

#[tokio::test(flavor = "multi_thread")]
async fn the_sandbox_answers_as_a_host_and_executes_nothing() {
    let sandbox = Sandbox::start(&SeededEntropy::new(1)).await.unwrap();
    let rig = Rig::new("127.0.0.1", sandbox.addr.port(), &sandbox.username, &sandbox.host_key_line);
    let password = sandbox.password.expose().clone();
    let mut call = Call::new("uptime", &password);
    let outcome = rig.exec(&mut call).await.unwrap_or_else(|failure| panic!("{failure:?}"));
    assert!(stdout(&outcome).contains("load average"));
    assert_eq!(call.events()[1], "end shell_probe: posix");
    let outcome = rig.exec(&mut Call::new("cat /var/log/app.log | grep ERROR", &password)).await.unwrap();
    assert!(stdout(&outcome).contains("billing"));
    let outcome = rig.exec(&mut Call::new("touch /tmp/x", &password)).await.unwrap();
    assert_eq!(outcome.exit, Some(Exit::Status(127)));
    assert!(stderr(&outcome).contains("touch"));
    assert_eq!(sandbox.executed(), ["uptime", "cat /var/log/app.log | grep ERROR", "touch /tmp/x"]);
    let failure = rig.exec(&mut Call { version: None, ..Call::new("uptime", "wrong") }).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetAuth);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sandbox_ends_when_dropped() {
    let sandbox = Sandbox::start(&SeededEntropy::new(2)).await.unwrap();
    let rig = Rig::new("127.0.0.1", sandbox.addr.port(), &sandbox.username, &sandbox.host_key_line);
    let password = sandbox.password.expose().clone();
    rig.exec(&mut Call::new("uptime", &password)).await.unwrap();
    drop(sandbox);
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let failure = rig.exec(&mut Call::new("uptime", &password)).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetUnreachable, "{failure:?}");
    assert!(Sandbox::start(&SeededEntropy::exhausted()).await.is_err());
}
