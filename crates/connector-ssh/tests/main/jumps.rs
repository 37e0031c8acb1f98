//! Hosts behind jump hosts, all of them real OpenSSH servers.

use std::time::Duration;

use model::{ErrorCode, Resolve};
use policy::NetworkFence;
use testkit::Sshd;

use crate::rig::{Call, Rig, acted, stdout};

/// A target, and the two jump hosts before it.
struct Chain {
    first: Sshd,
    second: Sshd,
    web: Sshd,
}

impl Chain {
    fn start() -> Self {
        Self { first: Sshd::start(), second: Sshd::start(), web: Sshd::start() }
    }

    fn rig(&self) -> Rig {
        Rig::of(&self.web).by_way_of(&[("outer", &self.first), ("inner", &self.second)])
    }

    fn call(&self, line: &'static str) -> Call {
        Call::new(line, self.web.password())
    }

    fn logins(&self) -> [usize; 3] {
        [self.first.logins(), self.second.logins(), self.web.logins()]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_reached_through_jump_hosts_in_order_each_with_its_own_login() {
    let chain = Chain::start();
    let rig = chain.rig();
    let mut call = chain.call("echo there");
    let outcome = rig.exec(&mut call).await.unwrap();
    assert_eq!(stdout(&outcome), "there\n");
    assert_eq!(chain.logins(), [1, 1, 1]);
    let hops = outcome.values["hops"].as_array().unwrap();
    for (hop, (name, sshd)) in hops.iter().zip([("outer", &chain.first), ("inner", &chain.second)]) {
        assert_eq!(hop["name"], name);
        assert_eq!(hop["user"], sshd.user());
        assert_eq!(hop["host_key"], sshd.host_key().fingerprint());
    }
    let events = call.events();
    assert_eq!(events[0], "begin jump_host: outer");
    assert!(
        events[1].starts_with(&format!("end jump_host: outer: {}@127.0.0.1", chain.first.user())),
        "{events:?}"
    );
    assert_eq!(events[2], "begin jump_host: inner");
    assert!(call.dialled().len() >= 3, "the gateway learns where the call goes: {:?}", call.dialled());
    rig.exec(&mut chain.call("true")).await.unwrap();
    assert_eq!(chain.logins(), [1, 1, 1], "the connection is shared");
    rig.exec(&mut Call { version: None, ..chain.call("true") }).await.unwrap();
    assert_eq!(chain.logins(), [2, 2, 2], "a call on a handle shares no part of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_jump_hosts_key_is_checked_under_its_own_name() {
    let chain = Chain::start();
    let rig = chain.rig();
    let known = |lines: &[String]| std::fs::write(&rig.known_hosts, lines.join("\n")).unwrap();
    let (first, web) = (chain.first.known_hosts_line(), chain.web.known_hosts_line());
    known(&[first.clone(), web.clone()]);
    let failure = rig.exec(&mut chain.call("true")).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetHostkeyUnknown);
    assert!(failure.message().contains("on the way to `web1`: the host key of `inner`"), "{failure:?}");
    // A host that can be dialled is scanned; the target itself tells its line, for the same address here may be another.
    known(&[first.clone(), chain.second.known_hosts_line()]);
    let failure = rig.exec(&mut chain.call("true")).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetHostkeyUnknown);
    assert!(failure.hint().unwrap().contains(&format!("`{web}`")), "{failure:?}");
    assert!(
        failure.hint().unwrap().contains(&format!("[127.0.0.1%inner]:{}", chain.web.port())),
        "{failure:?}"
    );
    // The target's key under the jump host's name is no jump host's key.
    let key = web.split_once(' ').unwrap().1;
    known(&[first, format!("[127.0.0.1]:{} {key}", chain.second.port()), web.clone()]);
    let mut call = Call { version: None, ..chain.call("true") };
    let failure = rig.exec(&mut call).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetHostkeyChanged);
    assert_eq!(chain.logins(), [3, 1, 0]);
    assert!(!call.started, "a handle is not used up on the way");
    assert!(!chain.web.log().contains("Accepted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_behind_two_jump_hosts_may_be_two_machines() {
    let (bastion, web) = (Sshd::start(), Sshd::start());
    let rig = Rig::of(&web).by_way_of(&[("bastion", &bastion)]);
    let mut call = Call::new("true", web.password());
    let scoped = |name: &str, key: &str| format!("[127.0.0.1{name}]:{} {key}", web.port());
    let known = |lines: &[String]| {
        std::fs::write(&rig.known_hosts, [&[bastion.known_hosts_line()], lines].concat().join("\n")).unwrap();
    };
    let (right, wrong) = (web.host_key().public_key(), bastion.host_key().public_key());
    known(&[scoped("", &wrong), scoped("%bastion", &right)]);
    rig.exec(&mut call).await.unwrap();
    known(&[scoped("", &right), scoped("%bastion", &wrong)]);
    let failure = rig.exec(&mut call).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetHostkeyChanged, "{failure:?}");
    known(&[scoped("", &right), scoped("%elsewhere", &wrong)]);
    rig.exec(&mut call).await.unwrap();
    // Revoked behind this jump host only: also on the connection that is there, and nowhere else.
    let revoked = |name: &str| format!("@revoked {}", scoped(name, &right));
    known(&[scoped("", &right), revoked("%elsewhere")]);
    rig.exec(&mut call).await.unwrap();
    known(&[scoped("", &right), revoked("%bastion")]);
    let failure = rig.exec(&mut call).await.unwrap_err();
    assert!(failure.message().contains("is revoked"), "{failure:?}");
    known(&[scoped("%bastion", &right), revoked("")]);
    let failure = rig.exec(&mut call).await.unwrap_err();
    assert!(failure.message().contains("is revoked"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_host_that_refuses_the_login_is_named() {
    let chain = Chain::start();
    let mut rig = chain.rig();
    rig.hops[1].1 = "wrong".to_owned();
    let mut call = Call { version: None, ..chain.call("true") };
    let failure = rig.exec(&mut call).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetAuth);
    assert!(
        failure.message().starts_with("on the way to `web1`: `inner` refused the password"),
        "{failure:?}"
    );
    assert!(!call.started);
    assert_eq!(call.events()[3], "end jump_host: inner: target.auth");
    assert_eq!(chain.logins(), [1, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret_on_the_way_is_logged_in_with_anew() {
    let (bastion, web) = (Sshd::start(), Sshd::start());
    let mut rig = Rig::of(&web).by_way_of(&[("bastion", &bastion)]);
    rig.exec(&mut Call::new("true", web.password())).await.unwrap();
    rig.hops[0].1 = "rotated".to_owned();
    let failure = rig.exec(&mut Call::new("true", web.password())).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetAuth, "the old connection is not used: {failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_dialled_address_passes_the_fence_and_what_a_jump_host_resolves_passes_none() {
    let (bastion, web) = (Sshd::start(), Sshd::start());
    let mut rig = Rig::of(&web).by_way_of(&[("bastion", &bastion)]);
    let network = |text: &str| vec![text.parse().unwrap()];
    let call = |fence: NetworkFence| Call { fence, ..Call::new("true", web.password()) };
    let only = |text: &str| NetworkFence { allow: network(text), block: Vec::new() };
    rig.hops[0].0.address = "127.0.0.2".to_owned();
    let failure = rig.exec(&mut call(only("127.0.0.1/32"))).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::DeniedNetwork);
    assert!(failure.message().contains("127.0.0.2"), "the jump host's address: {failure:?}");
    rig.hops[0].0.address = "127.0.0.1".to_owned();
    rig.host.address = "127.0.0.2".to_owned();
    let failure = rig.exec(&mut call(only("127.0.0.1/32"))).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::DeniedNetwork);
    assert!(!bastion.log().contains("Connection from"), "nothing is dialled for it: {failure:?}");

    rig.host.address = "localhost".to_owned();
    let line = web.known_hosts_line().replace("127.0.0.1", "localhost");
    std::fs::write(&rig.known_hosts, format!("{}\n{line}\n", bastion.known_hosts_line())).unwrap();
    rig.exec(&mut call(only("127.0.0.0/8"))).await.unwrap();
    rig.host.resolve = Resolve::Bastion;
    for fence in
        [only("127.0.0.0/8"), only("0.0.0.0/0"), NetworkFence { allow: vec![], block: network("10.0.0.0/8") }]
    {
        let failure = rig.exec(&mut call(fence)).await.unwrap_err();
        assert_eq!(failure.code(), ErrorCode::DeniedNetwork);
        assert!(failure.message().contains("`bastion` resolves `localhost`"), "{failure:?}");
    }
    let outcome = rig.exec(&mut call(NetworkFence::default())).await.unwrap();
    assert_eq!(outcome.values["address"], "localhost");
    assert_eq!(bastion.logins(), 2, "a resolved address and a name share no connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_host_that_forwards_nothing_is_told() {
    let (bastion, web) = (Sshd::options().line("AllowTcpForwarding no").start(), Sshd::start());
    let rig = Rig::of(&web).by_way_of(&[("bastion", &bastion)]);
    let failure = rig.exec(&mut Call::new("true", web.password())).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetUnreachable);
    assert!(failure.message().contains("`web1` cannot be reached through `bastion`"), "{failure:?}");
    let mut closed = Rig::of(&web).by_way_of(&[("bastion", &Sshd::start())]);
    closed.host.port = testkit::free_port();
    let failure = closed.exec(&mut Call::new("true", web.password())).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetUnreachable, "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_jump_host_ends_what_goes_through_it_and_is_named() {
    let chain = Chain::start();
    let rig = chain.rig();
    for (lost, words) in [
        (&chain.first, "`outer`, on the way"),
        (&chain.second, "`inner`, on the way"),
        (&chain.web, "`web1` was lost"),
    ] {
        rig.exec(&mut chain.call("true")).await.unwrap();
        let acts = chain.web.acts().len();
        let mut running = chain.call("sh -c 'count-act on; sleep 300'");
        running.timeout = Duration::from_secs(60);
        let ((), failure) = tokio::join!(
            async {
                acted(&chain.web, acts + 1).await;
                lost.sever();
            },
            async { rig.exec(&mut running).await.unwrap_err() }
        );
        assert_eq!(failure.code(), ErrorCode::TargetUnreachable);
        assert!(failure.message().contains(words), "{words}: {failure:?}");
        assert!(failure.message().contains("not known"), "{failure:?}");
    }
    rig.exec(&mut chain.call("true")).await.unwrap();
}
