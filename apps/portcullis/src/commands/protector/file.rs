//! The file itself: what may be opened as one, and what is wrong with it in the words of the old program.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use gateway::api_key;
use import::protector::{Auth, Listen, Mistake, Protector, Upstream};
use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

/// No configuration is anywhere near this large.
const LARGEST: u64 = 1 << 20;

/// Reads it, and says in the log what somebody should look at.
pub(super) fn read(path: &Path) -> Result<Protector, Vec<String>> {
    let (text, metadata) = open(path)
        .and_then(text)
        .map_err(|error| vec![format!("failed to read config file '{}': {error}", path.display())])?;
    let told = |mistake: &Mistake| match mistake {
        Mistake::Form { .. } => format!("failed to parse config file '{}': {mistake}", path.display()),
        Mistake::Field { .. } => mistake.to_string(),
    };
    let file = Protector::parse(&text, api_key::token_hash)
        .map_err(|mistakes| mistakes.iter().map(told).collect::<Vec<_>>())?;
    warn(path, &metadata, &file);
    Ok(file)
}

/// Whoever could put a link here could have any file read, so links are refused; but for the one that Kubernetes makes of
/// a mounted secret, which leads to the same name in a folder beside it.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let open = |path: &Path| rustix::fs::open(path, flags, Mode::empty());
    let opened = match open(path) {
        Err(rustix::io::Errno::LOOP) => match projected(path) {
            Some(target) => open(&target),
            None => return Err(io::Error::other("config path must not be a symlink")),
        },
        opened => opened,
    };
    Ok(File::from(opened?))
}

fn projected(path: &Path) -> Option<PathBuf> {
    let target = std::fs::read_link(path).ok()?;
    let mut parts = target.components();
    let beside = parts.next() == Some(Component::Normal("..data".as_ref()))
        && parts.next().map(Component::as_os_str) == path.file_name()
        && parts.next().is_none();
    beside.then(|| path.parent().unwrap_or(Path::new("")).join(&target))
}

fn text(file: File) -> io::Result<(Zeroizing<String>, Metadata)> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    if metadata.mode() & 0o002 != 0 {
        return Err(io::Error::other("everybody can write to it, and so decide what is permitted"));
    }
    if metadata.len() > LARGEST {
        return Err(io::Error::other(format!("it is larger than {LARGEST} bytes")));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(LARGEST).read_to_string(&mut text)?;
    Ok((text, metadata))
}

fn warn(path: &Path, metadata: &Metadata, file: &Protector) {
    let token = matches!(&file.upstream, Upstream::Https { token: Some(_), .. })
        || matches!(&file.listen, Listen::Http { auth: Auth::Bearer(_), .. });
    if token && metadata.mode() & 0o044 != 0 {
        tracing::warn!(file = %path.display(), "others can read it, and it holds a token: `chmod 600`");
    }
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for folder in absolute.ancestors().skip(1).filter(|folder| folder.is_symlink()) {
        tracing::warn!(folder = %folder.display(), "the file lies in a folder that is a symlink");
    }
    for key in &file.unknown {
        tracing::warn!(%key, "this key means nothing");
    }
    for key in &file.idle {
        tracing::warn!(%key, "this key does nothing here");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::read;

    const FILE: &str = "[upstream]\nurl = \"stdio\"\ncommand = [\"x\"]\n[listen]\ntransport = \"stdio\"\n[policy]\nallow = []\n";

    #[test]
    fn links_are_followed_where_a_cluster_mounts_secrets_so_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("..2026")).unwrap();
        std::fs::write(at("..2026/config.toml"), FILE).unwrap();
        std::fs::write(at("plain.toml"), FILE).unwrap();
        symlink("..2026", at("..data")).unwrap();
        symlink("..data/config.toml", at("config.toml")).unwrap();
        symlink("plain.toml", at("link.toml")).unwrap();
        symlink("..data/other.toml", at("other-name.toml")).unwrap();
        symlink("..data/../plain.toml", at("plainer.toml")).unwrap();
        assert!(read(&at("plain.toml")).is_ok());
        assert!(read(&at("config.toml")).is_ok());
        for link in ["link.toml", "other-name.toml", "plainer.toml"] {
            let told = read(&at(link)).unwrap_err();
            let expected = format!(
                "failed to read config file '{}': config path must not be a symlink",
                at(link).display()
            );
            assert_eq!(told, [expected]);
        }
    }

    #[test]
    fn what_is_no_file_of_one_owner_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("open.toml");
        std::fs::write(&path, FILE).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(read(&path).unwrap_err()[0].contains("everybody can write"));
        assert!(read(folder.path()).unwrap_err()[0].contains("no regular file"));
        assert!(read(&folder.path().join("none.toml")).unwrap_err()[0].contains("No such file"));
    }
}
