//! Debian packages: found, installed by root, or named to whoever is not root.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::steps::capture;

/// What the tests use, and the Debian package that brings it.
const NEEDED: &[(&str, Probe)] = &[
    ("openssh-server", Probe::Programs(&["sshd"])),
    ("openssh-client", Probe::Programs(&["ssh", "ssh-keygen", "ssh-agent", "ssh-add"])),
    ("dropbear-bin", Probe::Programs(&["dropbear", "dropbearkey"])),
    ("passwd", Probe::Programs(&["useradd", "usermod", "chpasswd"])),
    ("iproute2", Probe::Programs(&["ip"])),
    ("mount", Probe::Programs(&["mount", "umount"])),
    ("util-linux", Probe::Programs(&["unshare", "setpriv"])),
    ("bash", Probe::Programs(&["bash"])),
    ("dash", Probe::Programs(&["dash"])),
    ("busybox", Probe::Programs(&["busybox"])),
    ("zsh", Probe::Programs(&["zsh"])),
    ("fish", Probe::Programs(&["fish"])),
    ("curl", Probe::Programs(&["curl"])),
    ("openssl", Probe::Programs(&["openssl"])),
    ("tcsh", Probe::Programs(&["tcsh"])),
    ("python3", Probe::Programs(&["python3"])),
    ("python3-venv", Probe::PythonModules("import venv, ensurepip")),
    ("npm", Probe::Programs(&["npm"])),
    VALGRIND,
];

/// What counts instructions, for `cargo xtask bench` and its test.
const VALGRIND: (&str, Probe) = ("valgrind", Probe::Programs(&["valgrind"]));

enum Probe {
    /// Programs by name.
    Programs(&'static [&'static str]),
    /// A line that the machine's Python must be able to run.
    PythonModules(&'static str),
}

/// Sees to it that every package the tests need is there; what cannot be had is named, with the command that gets it.
pub(crate) fn ensure() -> Result<()> {
    let missing = missing(NEEDED);
    if !is_root() {
        bail!("{}", wants(&missing));
    }
    if missing.is_empty() {
        println!(
            "    all there: {}",
            NEEDED.iter().map(|(package, _)| *package).collect::<Vec<_>>().join(" ")
        );
        return Ok(());
    }
    install(NEEDED, &missing)
}

/// Sees to it that valgrind is there. Whoever has it needs no rights.
pub(crate) fn ensure_valgrind() -> Result<()> {
    let needed = &[VALGRIND];
    let missing = missing(needed);
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root() {
        bail!("instructions cannot be counted\n  {}", packages(&missing));
    }
    install(needed, &missing)
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

fn install(needed: &[(&'static str, Probe)], missing: &[&str]) -> Result<()> {
    // Not on standard output: what is asked for there may be JSON.
    eprintln!("    installing with apt-get: {}", missing.join(" "));
    if missing.contains(&"npm") {
        eprintln!("    (Debian's npm brings hundreds of packages and takes two or three minutes)");
    }
    let _quiet = NoNewServices::begin()?;
    // Hundreds of lines of progress are for nobody; what goes wrong is in the error.
    let apt = |arguments: &[&str]| {
        capture(
            Command::new("apt-get")
                .env("DEBIAN_FRONTEND", "noninteractive")
                .env("LC_ALL", "C")
                .args(arguments),
        )
    };
    apt(&["update", "-qq"])?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(missing);
    apt(&install)?;
    let still = self::missing(needed);
    if !still.is_empty() {
        bail!("installed, but still not found: {}", still.join(" "));
    }
    Ok(())
}

fn missing(needed: &[(&'static str, Probe)]) -> Vec<&'static str> {
    needed.iter().filter(|(_, probe)| !probe.is_met()).map(|(package, _)| *package).collect()
}

/// What somebody who is not root has to do.
fn wants(missing: &[&str]) -> String {
    let packages = packages(missing);
    format!(
        "the tests cannot run as this user\n  {packages}\n  missing right: root, because the tests make accounts \
         named portcullis-test-N and start OpenSSH servers that check their passwords; run `cargo xtask test` as root, \
         best in a container or virtual machine\n  packages without servers can be tested one by one, \
         such as `cargo test -p policy`"
    )
}

/// What is missing, and the command that gets it.
fn packages(missing: &[&str]) -> String {
    if missing.is_empty() {
        return "all packages are there".to_owned();
    }
    format!(
        "missing Debian packages: {0}\n    apt-get update && apt-get install -y --no-install-recommends {0}",
        missing.join(" ")
    )
}

impl Probe {
    fn is_met(&self) -> bool {
        match self {
            Self::Programs(names) => names.iter().all(|name| find(name).is_some()),
            Self::PythonModules(line) => Command::new("python3")
                .args(["-c", line])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success()),
        }
    }
}

/// An executable by name, in `PATH` and where Debian keeps servers.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0))
}

/// Keeps a freshly installed `openssh-server` from opening port 22 on this machine: while this lives, Debian's
/// hook for that answers "do not start". An administrator's own hook is left alone.
struct NoNewServices {
    ours: bool,
}

const HOOK: &str = "/usr/sbin/policy-rc.d";
const HOOK_TEXT: &str =
    "#!/bin/sh\n# written by `cargo xtask test` while it installs packages; safe to remove\nexit 101\n";

impl NoNewServices {
    fn begin() -> Result<Self> {
        let hook = Path::new(HOOK);
        let ours = !hook.exists() || fs::read_to_string(hook).is_ok_and(|text| text == HOOK_TEXT);
        if ours {
            fs::write(hook, HOOK_TEXT).with_context(|| format!("cannot write `{HOOK}`"))?;
            fs::set_permissions(hook, fs::Permissions::from_mode(0o755))
                .with_context(|| format!("cannot make `{HOOK}` executable"))?;
        }
        Ok(Self { ours })
    }
}

impl Drop for NoNewServices {
    fn drop(&mut self) {
        if self.ours && fs::remove_file(HOOK).is_err() {
            eprintln!(
                "xtask: cannot remove `{HOOK}`; remove it by hand, or no package will start its services"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{find, wants};

    #[test]
    fn a_user_who_is_not_root_learns_packages_command_and_right() {
        let told = wants(&["openssh-server", "npm"]);
        assert!(told.contains("apt-get install -y --no-install-recommends openssh-server npm"), "{told}");
        assert!(told.contains("missing right: root"), "{told}");
        assert!(wants(&[]).contains("all packages are there"));
    }

    #[test]
    fn programs_are_found_by_name() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-anywhere").is_none());
    }
}
