//! `init [DIR]`: a configuration that works, with keys of its own. Never overwrites anything.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use audit::{SealKey, SigningKey};
use config::ApiKeyHash;
use config::templates::{self, StarterFile, starter_files};
use gateway::api_key::{self, ApiKey};
use gateway::control::user_name;
use gateway::{SystemClock, SystemEntropy};
use serde_json::json;
use sources::{Keystore, MasterKey};

use crate::failure::{Exit, Stop};
use crate::output::Output;

const CONFIGURATION: &str = "portcullis.toml";
const URL: &str = "http://127.0.0.1:8443/mcp";

/// Writes everything, or nothing.
pub(crate) fn run(folder: Option<&Path>, output: Output) -> Result<Exit, Stop> {
    let folder = folder.unwrap_or(Path::new(""));
    let (key, hash) = api_key::generate(&SystemEntropy).map_err(Stop::failed)?;
    let hash = ApiKeyHash::parse(&hash).map_err(Stop::failed)?;
    let user = user_name(rustix::process::geteuid().as_raw());
    let files = starter_files(&hash, &user);
    refuse_shared(folder)?;
    refuse_existing(folder, &files)?;
    let mut written = Written::default();
    if let Err(stop) = write(folder, &files, &mut written) {
        written.undo();
        return Err(stop);
    }
    show(folder, &written, &key, &user, output)?;
    Ok(Exit::Done)
}

/// Keys are written here: nobody else may be able to put something in their place.
fn refuse_shared(folder: &Path) -> Result<(), Stop> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(found) = std::fs::metadata(folder) else { return Ok(()) };
    let (owner, me) = (found.uid(), rustix::process::geteuid().as_raw());
    let shown = folder.display();
    let why = if owner != me && owner != 0 {
        format!("`{shown}` belongs to `{}`, and this is `{}`", user_name(owner), user_name(me))
    } else if found.mode() & 0o002 != 0 {
        format!("everybody can write to `{shown}`")
    } else {
        return Ok(());
    };
    Err(Stop::failed(format!("{why}; nothing was written"))
        .with_hint("`portcullis init DIR` makes a folder that is yours alone"))
}

fn refuse_existing(folder: &Path, files: &[StarterFile]) -> Result<(), Stop> {
    let signing_public = format!("{}.pub", templates::SIGNING_KEY);
    let keys = [
        templates::MASTER_KEY,
        templates::SIGNING_KEY,
        signing_public.as_str(),
        templates::SEAL_KEY,
        templates::KEYSTORE,
    ];
    let names = files.iter().map(|file| file.path).chain(keys);
    match names.map(|name| folder.join(name)).find(|path| path.symlink_metadata().is_ok()) {
        None => Ok(()),
        Some(path) => {
            Err(Stop::failed(format!("`{}` is there already; nothing was written", path.display()))
                .with_hint("`init` never overwrites: name another folder, or move the file away"))
        }
    }
}

/// What has been made so far, so that a failure leaves nothing behind.
#[derive(Default)]
struct Written(Vec<PathBuf>);

impl Written {
    fn undo(&self) {
        for path in self.0.iter().rev() {
            let _ = if path.is_dir() { std::fs::remove_dir(path) } else { std::fs::remove_file(path) };
        }
    }
}

/// A configuration of other files with fresh keys and an empty keystore, for the tour and the benchmark.
pub(crate) fn prepare(folder: &Path, files: &[StarterFile]) -> Result<(), Stop> {
    write(folder, files, &mut Written::default())
}

fn write(folder: &Path, files: &[StarterFile], written: &mut Written) -> Result<(), Stop> {
    make_folder(folder, written)?;
    for file in files {
        let path = folder.join(file.path);
        make_folder(path.parent().unwrap_or(folder), written)?;
        new_file(&path, file.text.as_bytes()).map_err(|error| cannot(&path, &error))?;
        written.0.push(path);
    }
    let signing = folder.join(templates::SIGNING_KEY);
    SigningKey::create(&signing, &SystemEntropy).map_err(Stop::failed)?;
    written.0.extend([signing, folder.join(format!("{}.pub", templates::SIGNING_KEY))]);
    let seal = folder.join(templates::SEAL_KEY);
    SealKey::create(&seal, &SystemEntropy).map_err(Stop::failed)?;
    written.0.push(seal);
    write_keystore(folder, written)?;
    // What we hand out must be right by our own rules.
    config::load(&folder.join(CONFIGURATION))
        .map_err(|findings| Stop::failed(format!("the starter files are not accepted:\n{findings}")))?;
    Ok(())
}

fn write_keystore(folder: &Path, written: &mut Written) -> Result<(), Stop> {
    let master = MasterKey::generate(&SystemEntropy).map_err(Stop::failed)?;
    let path = folder.join(templates::MASTER_KEY);
    let mut text = master.to_text();
    text.push('\n');
    new_file(&path, text.as_bytes()).map_err(|error| cannot(&path, &error))?;
    written.0.push(path);
    let clock = SystemClock::new(&SystemEntropy).map_err(Stop::failed)?;
    let keystore = folder.join(templates::KEYSTORE);
    Keystore::create(&keystore, master, Arc::new(clock), Arc::new(SystemEntropy)).map_err(Stop::failed)?;
    written.0.push(keystore);
    Ok(())
}

fn make_folder(folder: &Path, written: &mut Written) -> Result<(), Stop> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folder(parent, written)?;
    }
    DirBuilder::new().mode(0o700).create(folder).map_err(|error| cannot(folder, &error))?;
    written.0.push(folder.to_owned());
    Ok(())
}

/// A new file that only its owner can read; an existing one is an error.
fn new_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn cannot(path: &Path, error: &io::Error) -> Stop {
    Stop::failed(format!("`{}` cannot be written: {error}", path.display()))
}

fn show(folder: &Path, written: &Written, key: &ApiKey, user: &str, output: Output) -> Result<(), Stop> {
    let file = folder.join(CONFIGURATION);
    let client =
        format!("claude mcp add --transport http portcullis {URL} --header \"X-API-Key: {}\"", key.reveal());
    let files: Vec<String> =
        written.0.iter().filter(|path| path.is_file()).map(|path| path.display().to_string()).collect();
    if output.is_json() {
        return output.json(&json!({
            "configuration": file.display().to_string(),
            "files": files,
            "principal": "agent",
            "key": key.reveal(),
            "operator": user,
            "url": URL,
            "client": client,
        }));
    }
    let named = |command: &str| match folder == Path::new("") {
        true => format!("portcullis {command}"),
        false => format!("portcullis -c {} {command}", file.display()),
    };
    for path in &files {
        output.note(&format!("wrote {path}"));
    }
    output.note("\nThe API key of the principal `agent`, shown only now:\n");
    output.text(key.reveal())?;
    output.note(&format!(
        "\nYou (`{user}`) are the operator. Next:
  1. name hosts in inventory.toml and what agents may do there in policy/ops.toml
  2. {trust}   compare the fingerprint, then keep the host's key
  3. {secret}   keep a password or key, read from standard input
  4. {check}
  5. {serve}
  6. {client}",
        trust = named("hostkey trust HOST"),
        secret = named("secret set SAFE/OBJECT"),
        check = named("check"),
        serve = named("serve"),
    ));
    Ok(())
}
