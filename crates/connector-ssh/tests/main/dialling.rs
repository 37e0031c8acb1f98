//! From a name to the address that is dialled.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use connector_ssh::Resolver;
use model::ErrorCode;
use policy::NetworkFence;
use testkit::Sshd;
use tokio::net::TcpListener;

use crate::rig::{Call, Rig};

/// Answers as it is told, another answer each time, and the last one ever after.
struct Zone {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl Zone {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(Self { answers: Mutex::new(answers.iter().map(parse).collect()), asked: Mutex::default() })
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[async_trait]
impl Resolver for Zone {
    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        Ok(answer.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
    }
}

fn block(network: &str) -> NetworkFence {
    NetworkFence { allow: Vec::new(), block: vec![network.parse().unwrap()] }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_changes_between_check_and_dial_gains_nothing() {
    let sshd = Sshd::start();
    // Somebody listens where the second answer points, on the same port.
    let trap = TcpListener::bind(("127.0.0.66", sshd.port())).await.unwrap();
    let zone = Zone::new(&[&["127.0.0.1"], &["127.0.0.66"]]);
    let rig = Rig::of(&sshd).named("web.test", Arc::clone(&zone) as Arc<dyn Resolver>);
    let call = || Call { fence: block("127.0.0.66/32"), ..Call::new("true", sshd.password()) };
    let outcome = rig.exec(&mut call()).await.unwrap();
    assert_eq!(
        (zone.asked(), outcome.values["address"].as_str()),
        (1, Some("127.0.0.1")),
        "one answer, and it is dialled"
    );
    // The name points elsewhere now: the pooled connection is no way around the check either.
    let failure = rig.exec(&mut call()).await.unwrap_err();
    assert_eq!((failure.code(), zone.asked()), (ErrorCode::DeniedNetwork, 2), "{failure:?}");
    let dialled = tokio::time::timeout(std::time::Duration::from_millis(200), trap.accept()).await;
    assert!(dialled.is_err(), "what is blocked is never dialled");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_addresses_only_those_admitted_are_dialled_until_one_answers() {
    let sshd = Sshd::start();
    let trap = TcpListener::bind(("127.0.0.66", sshd.port())).await.unwrap();
    // Blocked, refusing, and of another family that is not there: the last one answers.
    let zone = Zone::new(&[&["127.0.0.66", "127.0.0.9", "::1", "127.0.0.1"]]);
    let rig = Rig::of(&sshd).named("web.test", zone);
    let mut call = Call { fence: block("127.0.0.66/32"), ..Call::new("true", sshd.password()) };
    let outcome = rig.exec(&mut call).await.unwrap();
    assert_eq!(outcome.values["address"], "127.0.0.1");
    assert_eq!(call.dialled().last().unwrap(), "127.0.0.1");
    let dialled = tokio::time::timeout(std::time::Duration::from_millis(200), trap.accept()).await;
    assert!(dialled.is_err());
    let nowhere = Rig::of(&sshd).named("web.test", Zone::new(&[&["127.0.0.9", "127.0.0.10"]]));
    let failure = nowhere.exec(&mut Call::new("true", sshd.password())).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetUnreachable);
    assert!(
        failure.message().contains("127.0.0.9") && failure.message().contains("127.0.0.10"),
        "{failure:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn other_ways_to_write_a_blocked_address_are_blocked() {
    let sshd = Sshd::start();
    for written in [
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "0.0.0.0",
        "127.0.0.1",
    ] {
        let rig = Rig::of(&sshd).named("web.test", Zone::new(&[&[written]]));
        let mut call = Call { fence: block("127.0.0.0/8"), ..Call::new("true", sshd.password()) };
        let failure = rig.exec(&mut call).await.unwrap_err();
        assert_eq!(failure.code(), ErrorCode::DeniedNetwork, "{written}: {failure:?}");
    }
    assert!(!sshd.log().contains("Connection from"), "{}", sshd.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_behind_a_jump_host_are_resolved_here_once_and_passed_on_as_addresses() {
    let (bastion, web) = (Sshd::options().line("LogLevel DEBUG2").start(), Sshd::start());
    let zone = Zone::new(&[&["127.0.0.1"], &["127.0.0.66"]]);
    let mut rig = Rig::of(&web)
        .named("web.test", Arc::clone(&zone) as Arc<dyn Resolver>)
        .by_way_of(&[("bastion", &bastion)]);
    rig.host.user = Some(web.user().to_owned());
    rig.exec(&mut Call { fence: block("127.0.0.66/32"), ..Call::new("true", web.password()) }).await.unwrap();
    assert_eq!(zone.asked(), 1);
    let asked = format!("target 127.0.0.1 port {}", web.port());
    assert!(bastion.log().contains(&asked) && !bastion.log().contains("web.test"), "{}", bastion.log());
}
