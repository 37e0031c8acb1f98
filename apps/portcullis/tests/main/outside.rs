//! Hosts that no inventory entry declares: what a rule by address or name reaches, and what it does not.

use serde_json::Value;

use crate::environment::{Installed, Ran};
use crate::lab::{Lab, Served};
use crate::site::{ends, journal_of, verify};

const RULES: &str = r#"
[[rule]]
name = "operators run the gateway"
allow = ["operator:*"]
principals = ["group:operators"]
targets = ["*"]

[[rule]]
name = "the lab"
allow = ["ssh_execute", "get_credential"]
principals = ["group:agents"]
targets = ["address:10.77.1.0/24", "address:10.77.3.0/24", "name:*.lab.internal"]
commands = ["count-act *"]
credentials = ["keystore:prod/lab"]

[[rule]]
name = "everything that is declared"
allow = ["ssh_execute"]
principals = ["group:agents"]
targets = ["*"]
commands = ["**"]
"#;

/// The addresses of the lab, and what some are called.
const HOSTS: [(&str, &str); 7] = [
    ("10.77.1.5", "known.lab.internal"),
    ("10.77.1.6", ""),
    ("10.77.2.5", "stray.lab.example"),
    ("10.77.3.5", "inner.lab.internal"),
    ("10.77.1.9", "declared.lab.internal"),
    // A name with a good address and a blocked one.
    ("10.77.1.7", "both.lab.internal"),
    ("10.77.3.7", "both.lab.internal"),
];

struct Outside {
    lab: Lab,
    installed: Installed,
}

impl Outside {
    fn new() -> Self {
        let lab = Lab::new(&HOSTS);
        let installed = Installed::new();
        installed.write("policy/ops.toml", RULES);
        installed.append("portcullis.toml", "[network]\nblock = [\"10.77.3.0/24\"]");
        installed.append("inventory.toml", "[hosts.web9]\naddress = \"10.77.1.9\"\ntags = [\"web\"]");
        let names = "10.77.1.5,known.lab.internal,inner.lab.internal,declared.lab.internal,both.lab.internal,10.77.2.5";
        installed.write("known_hosts", &format!("{names} {}\n", lab.sshd.host_key().public_key()));
        let arguments = ["secret", "set", "prod/lab", "--username", lab.sshd.user()];
        let set = installed.run_with_input(&arguments, &lab.sshd.client_key().pem());
        assert_eq!(set.exit, 0, "{set:?}");
        Self { lab, installed }
    }

    fn serve(&self) -> Served<'_> {
        self.lab.serve(&self.installed, &[])
    }

    fn call(&self, tool: &str, arguments: &[&str]) -> Ran {
        let mut all = vec!["call", tool, "--as", "agent", "--json"];
        all.extend(arguments);
        self.installed.run(&all)
    }

    /// A handle for this host.
    fn handle(&self, host: &str) -> String {
        let target = format!("target={host}");
        let taken = self.call("get_credential", &["safe=prod", "object_name=lab", &target]);
        assert_eq!(taken.exit, 0, "{taken:?}");
        taken.json()["handle"].as_str().unwrap().to_owned()
    }

    /// Takes a handle for this host, and runs `count-act TOKEN` there.
    fn act(&self, host: &str, token: &str) -> Value {
        let (to, handle) = (format!("host={host}"), format!("secret_handle={}", self.handle(host)));
        self.call("ssh_execute", &[&to, &format!("command=count-act {token}"), &handle]).json()
    }

    /// The entry of the journal that `audit query` shows for the last call on this host.
    fn record(&self, host: &str) -> Value {
        let query = self.installed.run(&["audit", "query", "--target", host, "--json"]);
        assert_eq!(query.exit, 0, "{query:?}");
        serde_json::from_str(query.out.lines().last().unwrap()).unwrap()
    }
}

#[test]
fn a_rule_by_address_or_name_reaches_a_host_that_nobody_declared() {
    let outside = Outside::new();
    let served = outside.serve();
    for (host, token) in [("10.77.1.5", "one"), ("known.lab.internal", "two")] {
        let ran = outside.act(host, token);
        assert_eq!((&ran["exit_code"], &ran["host"]), (&0.into(), &host.into()), "{ran}");
        let record = outside.record(host);
        assert_eq!(
            (&record["event"], &record["phase"], &record["target"], &record["exit_code"]),
            (&"ssh_executed".into(), &"complete".into(), &host.into(), &0.into()),
            "{record}"
        );
        let sshd = &outside.lab.sshd;
        let met = format!("{}@10.77.1.5 port 22 ({})", sshd.user(), sshd.host_key().fingerprint());
        assert_eq!(record["reason"], met, "the name alone does not say which machine it was");
    }
    assert_eq!(outside.lab.met("10.77.1.5"), (2, 2), "{}", outside.lab.log());
    assert_eq!(outside.lab.sshd.acts(), ["one", "two"]);
    // A handle is for one address, however the host is called; and without a handle there is nothing to log in with.
    let by_address = format!("secret_handle={}", outside.handle("10.77.1.5"));
    for more in [&["host=known.lab.internal", by_address.as_str()][..], &["host=10.77.1.5"]] {
        let refused = outside.call("ssh_execute", &[more, &["command=count-act three"]].concat());
        assert_ne!(refused.exit, 0, "{refused:?}");
    }
    assert_eq!((outside.lab.met("10.77.1.5"), outside.lab.sshd.acts().len()), ((2, 2), 2));
    served.terminate();
    let journal = journal_of(&outside.installed);
    assert!(ends(&journal).values().all(|ends| *ends == 1));
    let pem = outside.lab.sshd.client_key().pem();
    let body = pem.lines().nth(2).unwrap();
    assert!(!journal.iter().any(|entry| entry.to_string().contains(body)));
    verify(&outside.installed);
}

#[test]
fn an_unknown_host_key_is_refused_even_where_unknown_keys_are_let_through() {
    let outside = Outside::new();
    outside.installed.edit("portcullis.toml", "inventory = ", "insecure = [\"hostkey\"]\ninventory = ");
    let served = outside.lab.serve(&outside.installed, &["--insecure"]);
    let refused = outside.act("10.77.1.6", "never");
    assert_eq!(refused["code"], "target.hostkey_unknown", "{refused}");
    assert!(refused["hint"].to_string().contains("`portcullis hostkey scan 10.77.1.6`"), "{refused}");
    assert_eq!(outside.lab.met("10.77.1.6"), (1, 0), "{}", outside.lab.log());
    assert_eq!(outside.record("10.77.1.6")["error_code"], "target.hostkey_unknown");
    // Another key than the known one is refused the same way.
    let other = testkit::Sshd::start();
    outside.installed.write("known_hosts", &format!("10.77.1.6 {}\n", other.host_key().public_key()));
    let changed = outside.act("10.77.1.6", "never");
    assert_eq!(changed["code"], "target.hostkey_changed", "{changed}");
    outside
        .installed
        .write("known_hosts", &format!("10.77.1.6 {}\n", outside.lab.sshd.host_key().public_key()));
    assert_eq!(outside.act("10.77.1.6", "once")["exit_code"], 0);
    assert_eq!(outside.lab.sshd.acts(), ["once"]);
    served.terminate();
    verify(&outside.installed);
}

#[test]
fn what_no_rule_names_or_a_network_blocks_is_never_dialled() {
    let outside = Outside::new();
    let served = outside.serve();
    let handle = format!("secret_handle={}", outside.handle("10.77.1.5"));
    let code = |host: &str| {
        let to = format!("host={host}");
        let ran = outside.call("ssh_execute", &[&to, "command=count-act never", &handle]);
        assert_ne!(ran.exit, 0, "{host}: {ran:?}");
        ran.json()["code"].as_str().unwrap().to_owned()
    };
    // Not in a rule's network, whatever `*` says; in one that the gateway blocks, however it is written.
    assert_eq!(code("10.77.2.5"), "target.unknown");
    assert_eq!(code("stray.lab.example"), "target.unknown");
    for blocked in ["10.77.3.5", "::ffff:10.77.3.5"] {
        assert_eq!(code(blocked), "denied.network", "{blocked}");
    }
    // Names are permitted as they are written, and where they lead to is seen at the dial.
    for (name, leads) in [("inner.lab.internal", "10.77.3.5"), ("declared.lab.internal", "10.77.1.9")] {
        let refused = outside.act(name, "never");
        assert_eq!(refused["code"], "denied.network", "{name}: {refused}");
        assert!(refused["reason"].as_str().unwrap().contains(leads), "{name}: {refused}");
        let record = outside.record(name);
        assert_eq!((&record["target"], &record["error_code"]), (&name.into(), &"denied.network".into()));
    }
    for address in ["10.77.2.5", "10.77.3.5", "10.77.1.9"] {
        assert_eq!(outside.lab.met(address), (0, 0), "{}", outside.lab.log());
    }
    // Of a name's addresses only those that may be dialled are.
    assert_eq!(outside.act("both.lab.internal", "good")["exit_code"], 0);
    assert_eq!((outside.lab.met("10.77.1.7"), outside.lab.met("10.77.3.7").0), ((1, 1), 0));
    assert_eq!(outside.lab.sshd.acts(), ["good"]);
    served.terminate();
    verify(&outside.installed);
}
