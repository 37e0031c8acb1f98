//! What a program behind the gate cannot reach, tried by a program behind the gate.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Era, Portcullis, UpstreamServer, tools, wait_until};
use upstream::Machine;

use super::{ALL, client, ready, serve};
use crate::environment::Installed;
use crate::site::{binary, verify};

const RULES: &str = r#"
[[rule]]
name = "operators run the gateway"
allow = ["operator:*"]
principals = ["group:operators"]
targets = ["*"]

[[rule]]
name = "everything"
allow = ["*"]
principals = ["group:agents"]
targets = ["*"]
"#;

const OURS: [&str; 8] = [
    "portcullis.toml",
    "inventory.toml",
    "policy",
    "policy/ops.toml",
    "state",
    "state/store.sqlite",
    "audit.key",
    "audit-seal.key",
];

/// Somebody who is nobody on this machine.
const NOBODYS: u32 = 54_321;

/// A gateway whose upstreams are insiders, each confined in its own way.
struct Site {
    installed: Installed,
    /// What everybody can read: the insider itself.
    public: TempDir,
}

impl Site {
    fn new(sandboxes: &[(&str, &str)]) -> Self {
        let public = tempfile::tempdir().unwrap();
        std::fs::set_permissions(public.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let insider = public.path().join("insider.py");
        std::fs::write(&insider, include_str!("../../../../../crates/testkit/servers/insider.py")).unwrap();
        let installed = Installed::new();
        installed.edit("portcullis.toml", "calls_per_minute = 120", "calls_per_minute = 100000");
        installed.edit(
            "portcullis.toml",
            "[listen]",
            &format!("[listen]\nsocket = {{ path = {:?}, mode = \"0660\" }}", installed.path("agents.sock")),
        );
        for (name, keys) in sandboxes {
            let declared = format!(
                "[[upstream]]\nname = \"{name}\"\ncommand = [\"/usr/bin/python3\", {insider:?}]\ntools = \"*\"\npin = \"off\"\n\
                 env = {{ GREETING = \"hello\", STAYS = \"yes\" }}\n{}\n",
                keys.replace("PUBLIC", &public.path().display().to_string())
            );
            installed.append("portcullis.toml", &declared);
        }
        installed.write("policy/ops.toml", RULES);
        Self { installed, public }
    }

    /// Gives everything to a user of no account, and starts the gateway as that user, with these words for `setpriv`.
    fn serve_as_nobody(&self, rights: &str) -> Portcullis {
        for file in walk(&self.installed.path(".")) {
            chown(&file, Some(NOBODYS), Some(NOBODYS)).unwrap();
        }
        let own = self.public.path().join("portcullis");
        if std::fs::hard_link(binary(), &own).is_err() {
            std::fs::copy(binary(), &own).unwrap();
        }
        let wrapper = self.public.path().join("as-nobody");
        let line = format!(
            "#!/bin/sh\nexec setpriv --reuid={NOBODYS} --regid={NOBODYS} --clear-groups {rights} {own:?} \"$@\"\n"
        );
        std::fs::write(&wrapper, line).unwrap();
        std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();
        Portcullis::serve_with_env(&wrapper, &self.installed.path("portcullis.toml"), &[], &[])
    }

    /// What an insider tells of its attempts.
    async fn tries(&self, gateway: &Portcullis, name: &str) -> Value {
        self.tries_with(gateway, name, &OURS, gateway.pid()).await
    }

    /// The same with other files, and with another process in the gateway's place.
    async fn tries_with(&self, gateway: &Portcullis, name: &str, ours: &[&str], process: u32) -> Value {
        let client = client(&self.installed, gateway, &format!("/{name}"), Era::Modern).await;
        ready(&client, "try").await;
        let ours: Vec<PathBuf> = ours.iter().map(|file| self.installed.path(file)).collect();
        let sockets = [self.installed.path("state/control.sock"), self.installed.path("agents.sock")];
        let port: u16 = gateway.url().rsplit(':').next().unwrap().parse().unwrap();
        let arguments = json!({
            "ours": ours, "sockets": sockets, "gateway": process, "outside": "/etc/skel", "port": port,
        });
        let answer = client.call("try", arguments).await.unwrap();
        assert!(!answer.is_error(), "{name}: {answer:?}");
        serde_json::from_str(&answer.text()).unwrap()
    }
}

fn walk(at: &Path) -> Vec<PathBuf> {
    let mut found = vec![at.to_owned()];
    for entry in std::fs::read_dir(at).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}

/// What holds whatever confines it, and also if nothing does.
fn always(tried: &Value, public: &Path) {
    let environment = tried["environment"].as_object().unwrap();
    let names: Vec<&str> = environment.keys().map(String::as_str).collect();
    let known = ["GREETING", "HOME", "LC_CTYPE", "STAYS", "TMPDIR"];
    assert!(names.iter().all(|name| known.contains(name)), "its environment is its own: {environment:?}");
    assert_eq!(tried["descriptors"], json!([0, 1, 2]));
    let argv: Vec<&str> =
        tried["argv"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert!(
        argv[0].ends_with("python3") && argv[1..] == [public.join("insider.py").to_str().unwrap()],
        "{argv:?}"
    );
    assert_eq!(
        (&tried["status"]["NoNewPrivs"], &tried["session"], &tried["folder"], &tried["core"]),
        (&json!("1"), &json!(true), &json!("/"), &json!(0))
    );
    for (what, came) in tried["needed"].as_object().unwrap() {
        assert!(
            came == "done"
                || (tried["environment"]["HOME"].is_null() && ["home", "mine"].contains(&what.as_str())),
            "{what}: {came}"
        );
    }
}

/// What holds for everything that is confined. `alone`: it runs as the gateway's own user.
fn confined(tried: &Value, alone: bool) {
    for key in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        assert_eq!(tried["status"][key], "0000000000000000", "{key}");
    }
    for (path, attempts) in tried["ours"].as_object().unwrap() {
        for (attempt, came) in attempts.as_object().unwrap() {
            assert_ne!(came, "done", "{attempt} `{path}`");
        }
    }
    for (path, came) in tried["sockets"].as_object().unwrap() {
        assert_eq!(came, if alone { "EPERM" } else { "EACCES" }, "{path}");
    }
    for (attempt, came) in tried["gateway"].as_object().unwrap() {
        let scoped = attempt == "signal" && alone && Machine::look().landlock < 6;
        assert!(came != "done" || scoped, "{attempt}: {came}");
    }
    assert_ne!(tried["escalate"], "done");
    assert_eq!(tried["outside"]["write"], "EACCES");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_cannot_reach_what_is_the_gateways_whatever_confines_it() {
    let read = "read = [\"PUBLIC\"]";
    let site = Site::new(&[
        ("auto", read),
        ("user", "sandbox = \"user\""),
        ("landlock", &format!("sandbox = \"landlock\"\n{read}")),
        ("off", "sandbox = \"off\""),
    ]);
    let gateway = serve(&site.installed);
    let (mut processes, mut homes) = (Vec::new(), Vec::new());
    for (name, alone, by_landlock) in
        [("auto", false, true), ("user", false, false), ("landlock", true, true)]
    {
        let tried = site.tries(&gateway, name).await;
        always(&tried, site.public.path());
        confined(&tried, alone);
        let uid = tried["status"]["Uid"].as_str().unwrap().split('\t').next().unwrap().to_owned();
        assert_eq!(uid == "0", alone, "{uid}");
        if !alone {
            assert_eq!(tried["status"]["Groups"].as_str().unwrap().trim(), "", "no groups beside its own");
        }
        assert_eq!(tried["outside"]["read"], if by_landlock { "EACCES" } else { "done" });
        processes.push(tried["process"].to_string());
        homes.push(tried["environment"]["HOME"].as_str().unwrap().to_owned());
    }
    // The same attempts succeed where nothing confines: they are real ones.
    site.installed.write("decoy.key", "nobody needs this one");
    // It could stop the gateway as well, so it is not told which process that is.
    let off = site.tries_with(&gateway, "off", &["decoy.key"], i32::MAX.unsigned_abs()).await;
    always(&off, site.public.path());
    let decoy = &off["ours"][site.installed.path("decoy.key").to_str().unwrap()];
    assert_eq!(decoy.as_object().unwrap().len(), 5, "{off}");
    for (attempt, came) in decoy.as_object().unwrap() {
        assert_eq!(came, "done", "{attempt}");
    }
    assert_eq!(off["sockets"][site.installed.path("state/control.sock").to_str().unwrap()], "done");
    processes.push(off["process"].to_string());

    let listed = site.installed.run(&["upstream", "list", "--json"]).json();
    let sandboxes: Vec<String> = listed["upstreams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["sandbox"].as_str().unwrap().split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(sandboxes, ["user", "Landlock", "none", "user"], "{listed}");
    let checked = site.installed.run(&["check"]);
    assert!(checked.err.contains("`off` would be confined by: none"), "{checked:?}");

    // They do not care that their input ended; they end with the gateway all the same.
    assert_eq!(gateway.terminate().code(), Some(0));
    for process in &processes {
        assert!(!Path::new("/proc").join(process).exists(), "{process} has outlived the gateway");
    }
    for home in &homes {
        assert!(!Path::new(home).exists(), "`{home}` is left behind");
    }
    verify(&site.installed);
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_user_without_rights_a_program_cannot_reach_what_is_the_gateways_either() {
    let site = Site::new(&[
        ("auto", "read = [\"PUBLIC\"]"),
        ("landlock", "sandbox = \"landlock\"\nread = [\"PUBLIC\"]"),
        ("other", "sandbox = \"user\""),
        ("named", "user = \"nobody\""),
        ("tight", "sandbox = \"landlock\""),
        ("missing", "read = [\"PUBLIC/not-there\"]"),
    ]);
    let gateway = site.serve_as_nobody("");
    let mut processes = Vec::new();
    for name in ["auto", "landlock"] {
        let tried = site.tries(&gateway, name).await;
        always(&tried, site.public.path());
        confined(&tried, true);
        assert!(tried["status"]["Uid"].as_str().unwrap().starts_with(&NOBODYS.to_string()));
        assert_eq!(tried["outside"]["read"], "EACCES");
        processes.push(tried["process"].to_string());
    }
    for (name, told) in [
        ("other", "`sandbox = \"user\"` cannot be had: the gateway may not start programs as another user"),
        ("named", "it cannot run as the `user` that is named"),
        ("missing", "not-there`, which it may use, cannot be looked at"),
        // It may not even read its own script.
        ("tight", "it ended with exit status: 2"),
    ] {
        is_down(&site.installed, name, told);
    }

    // Killed, it cannot end them; the kernel does.
    drop(gateway);
    for process in &processes {
        let process = Path::new("/proc").join(process);
        wait_until("it ends with the gateway", Duration::from_secs(10), || !process.exists());
    }
}

/// As systemd gives them to a service: they must not come with the program.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_with_capabilities_alone_starts_programs_as_other_users() {
    let site = Site::new(&[("auto", "read = [\"PUBLIC\"]"), ("user", "sandbox = \"user\"")]);
    let rights =
        ["setuid", "setgid", "chown", "dac_override", "kill"].map(|right| format!("+{right}")).join(",");
    let gateway = site.serve_as_nobody(&format!("--inh-caps={rights} --ambient-caps={rights}"));
    let mut processes = Vec::new();
    for name in ["auto", "user"] {
        let tried = site.tries(&gateway, name).await;
        always(&tried, site.public.path());
        confined(&tried, false);
        let uid = tried["status"]["Uid"].as_str().unwrap();
        assert!(!uid.starts_with("0\t") && !uid.starts_with(&NOBODYS.to_string()), "{uid}");
        processes.push(tried["process"].to_string());
    }
    assert_eq!(gateway.terminate().code(), Some(0));
    for process in &processes {
        assert!(!Path::new("/proc").join(process).exists(), "{process} has outlived the gateway");
    }
}

/// Waits until an upstream is down for that reason.
fn is_down(installed: &Installed, name: &str, told: &str) {
    wait_until(&format!("`{name}`: {told}"), Duration::from_secs(30), || {
        let listed = installed.run(&["upstream", "list", "--json"]).json();
        let one =
            listed["upstreams"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
        one["down"].as_str().is_some_and(|why| why.contains(told))
    });
}

/// Whatever users and modes say: what could be opened must not be.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_could_read_what_is_the_gateways_is_not_started() {
    let site = Site::new(&[("user", "sandbox = \"user\"")]);
    let open = std::fs::Permissions::from_mode;
    std::fs::set_permissions(site.installed.path("."), open(0o755)).unwrap();
    std::fs::set_permissions(site.installed.path("inventory.toml"), open(0o644)).unwrap();
    let gateway = serve(&site.installed);
    let told = format!("it could read `{}`", site.installed.path("inventory.toml").display());
    is_down(&site.installed, "user", &told);
    std::fs::set_permissions(site.installed.path("inventory.toml"), open(0o600)).unwrap();
    let restarted = site.installed.run(&["upstream", "restart", "user"]);
    assert_eq!(restarted.exit, 0, "{restarted:?}");
    drop(gateway);
}

/// Servers of others, confined by all there is, with nothing said but what they work on.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_others_made_work_confined() {
    let site = Site::new(&[]);
    let shared = site.public.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o777)).unwrap();
    std::fs::write(shared.join("note.txt"), "a note\n").unwrap();
    let shared = shared.to_str().unwrap();
    for sandbox in ["auto", "landlock"] {
        let keys = format!("sandbox = {sandbox:?}\n{ALL}\npin = \"off\"\nread = [{:?}]\n", tools());
        let (everything, files) = (UpstreamServer::Everything, UpstreamServer::Filesystem);
        let everything = everything.declared(&format!("every-{sandbox}"), &[]);
        let files = files.declared(&format!("files-{sandbox}"), &[shared]);
        site.installed.append("portcullis.toml", &format!("{everything}{keys}"));
        site.installed.append("portcullis.toml", &format!("{files}{keys}write = [{shared:?}]\n"));
    }
    let gateway = serve(&site.installed);
    let client = client(&site.installed, &gateway, "", Era::Modern).await;
    for sandbox in ["auto", "landlock"] {
        let echo = format!("every-{sandbox}__echo");
        ready(&client, &echo).await;
        assert!(client.call(&echo, json!({ "message": "hello" })).await.unwrap().text().contains("hello"));
        let files = |tool: &str| format!("files-{sandbox}__{tool}");
        ready(&client, &files("read_text_file")).await;
        let path = |name: &str| format!("{shared}/{name}");
        let read = client.call(&files("read_text_file"), json!({ "path": path("note.txt") })).await.unwrap();
        assert!(read.text().contains("a note"), "{read:?}");
        let new = path(&format!("{sandbox}.txt"));
        let wrote = client.call(&files("write_file"), json!({ "path": new, "content": "x" })).await.unwrap();
        assert!(!wrote.is_error() && Path::new(&new).exists(), "{wrote:?}");
    }
    assert_eq!(gateway.terminate().code(), Some(0));
}
