//! Where the configuration is.

use std::path::{Path, PathBuf};

use config::{Diagnostic, Loaded};
use policy::Snapshot;

use crate::commands::check;
use crate::compose;
use crate::failure::Stop;
use crate::output::Output;

const HERE: &str = "portcullis.toml";
const SYSTEM: &str = "/etc/portcullis/portcullis.toml";
/// No configuration is anywhere near this large.
const LARGEST: u64 = 4 << 20;

/// A configuration file by its path; what it says is read when it is needed.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    file: PathBuf,
}

impl Place {
    /// What was named (`-c`, `$PORTCULLIS_CONFIG`), else `./portcullis.toml`, else the system's.
    pub(crate) fn find(named: Option<&Path>) -> Result<Self, Stop> {
        let candidates = match named {
            Some(named) => vec![named.to_owned()],
            None => vec![PathBuf::from(HERE), PathBuf::from(SYSTEM)],
        };
        match candidates.iter().find(|file| file.exists()) {
            Some(file) => Ok(Self { file: file.clone() }),
            None => Err(missing(named)),
        }
    }

    /// The file.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// The state folder and the agent socket alone, also when other keys are wrong: a running gateway can be asked while the
    /// files that it was started from are being edited.
    pub(crate) fn sketch(&self) -> Result<Sketch, Stop> {
        let unreadable = |error: String| {
            Stop::configuration(format!("`{}` cannot be read: {error}", self.file.display()))
                .with_hint("`portcullis check` shows where it is wrong")
        };
        let length = std::fs::metadata(&self.file).map_err(|error| unreadable(error.to_string()))?.len();
        if length > LARGEST {
            return Err(unreadable(format!("it is larger than {LARGEST} bytes")));
        }
        let text = std::fs::read_to_string(&self.file).map_err(|error| unreadable(error.to_string()))?;
        // The error's own text would quote the line, which can hold a secret.
        let table: toml::Table =
            toml::from_str(&text).map_err(|error| unreadable(error.message().to_owned()))?;
        let file = std::path::absolute(&self.file).map_err(|error| unreadable(error.to_string()))?;
        let folder = file.parent().unwrap_or(Path::new("/"));
        let state = table.get("state").and_then(toml::Value::as_str).unwrap_or("state");
        let socket =
            table.get("listen").and_then(|listen| listen.get("socket")).and_then(|socket| socket.get("path"));
        let socket = socket.and_then(toml::Value::as_str).map(|socket| folder.join(socket));
        Ok(Sketch { state: folder.join(state), socket })
    }
}

/// What a client of a running gateway must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sketch {
    /// The state folder.
    pub(crate) state: PathBuf,
    /// The agent socket, if there is one.
    pub(crate) socket: Option<PathBuf>,
}

/// Everything that the files say; every mistake in them is printed here.
pub(crate) fn load(place: &Place, output: Output) -> Result<Loaded, Stop> {
    config::load(place.file()).map_err(|findings| {
        let findings: Vec<_> = findings.into_iter().collect();
        check::print(&findings, output);
        Stop::configuration(format!("`{}` cannot be used", place.file().display()))
    })
}

/// The rules of the files, compiled, with what is doubtful about them; every mistake in them is printed here.
pub(crate) fn compiled(loaded: &Loaded, output: Output) -> Result<(Snapshot, Vec<Diagnostic>), Stop> {
    compose::compile(loaded).map_err(|findings| {
        let findings: Vec<_> = findings.into_iter().collect();
        check::print(&findings, output);
        Stop::configuration("the rules cannot be used")
    })
}

fn missing(named: Option<&Path>) -> Stop {
    match named {
        Some(named) => Stop::configuration(format!("there is no file `{}`", named.display())),
        None => {
            Stop::configuration(format!("there is no configuration: neither `{HERE}` here nor `{SYSTEM}`"))
                .with_hint("`portcullis init` writes one; `-c FILE` names another")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Sketch};

    #[test]
    fn state_and_socket_are_found_beside_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("portcullis.toml");
        let sketch = |state: &str, socket: Option<&str>| Sketch {
            state: folder.path().join(state),
            socket: socket.map(|socket| folder.path().join(socket)),
        };
        for (text, expected) in [
            ("", Some(sketch("state", None))),
            ("state = \"elsewhere\"\nunknown = 1", Some(sketch("elsewhere", None))),
            ("state = \"/var/lib/x\"", Some(sketch("/var/lib/x", None))),
            ("[listen]\nsocket = { path = \"mcp.sock\" }", Some(sketch("state", Some("mcp.sock")))),
            ("state = ", None),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(Place::find(Some(&file)).unwrap().sketch().ok(), expected, "{text}");
        }
        assert!(Place::find(Some(&folder.path().join("other.toml"))).is_err());
    }

    #[test]
    fn a_broken_file_is_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("portcullis.toml");
        std::fs::write(&file, "password = \"hunter2").unwrap();
        let stop = Place::find(Some(&file)).unwrap().sketch().unwrap_err();
        assert!(!stop.message.contains("hunter2"), "{}", stop.message);
    }
}
