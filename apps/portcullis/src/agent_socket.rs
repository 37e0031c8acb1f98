//! The agent socket: where it lies and who may open it. What is said on it is the front's.

use std::fs::{self, Permissions};
use std::io::{self, BufRead};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use config::AgentSocket;
use rustix::fs::{AtFlags, Gid};
use tokio::net::UnixListener;

/// A bound agent socket; its file goes when the value does.
#[derive(Debug)]
pub(crate) struct Bound {
    path: PathBuf,
}

/// Binds it with the group and mode of the configuration. The caller owns the state, so a socket that nobody answers on is
/// left over and replaced.
pub(crate) fn bind(socket: &AgentSocket) -> io::Result<(UnixListener, Bound)> {
    let path = &socket.path;
    refuse_open_folder(path)?;
    remove_left_over(path)?;
    let gid = socket.group.as_deref().map(group_id).transpose()?;
    // The umask keeps everybody out until the mode is set.
    let listener = UnixListener::bind(path)?;
    let bound = Bound { path: path.clone() };
    if let Some(gid) = gid {
        let here = rustix::fs::CWD;
        rustix::fs::chownat(here, path, None, Some(Gid::from_raw(gid)), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    fs::set_permissions(path, Permissions::from_mode(socket.mode))?;
    Ok((listener, bound))
}

impl Drop for Bound {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Where everybody can rename files, somebody could put another one in the socket's place: to listen to agents, or to have
/// its mode changed to the socket's.
fn refuse_open_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mode = fs::metadata(folder)?.permissions().mode();
    if mode & 0o002 != 0 && mode & 0o1000 == 0 {
        let shown = folder.display();
        return Err(io::Error::other(format!(
            "everybody can replace files in `{shown}`: `chmod o-w {shown}`"
        )));
    }
    Ok(())
}

fn remove_left_over(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is something else in its place"))
        }
        Ok(_) if UnixStream::connect(path).is_ok() => {
            Err(io::Error::new(io::ErrorKind::AddrInUse, "another process answers on it"))
        }
        Ok(_) => fs::remove_file(path),
    }
}

/// The id of a local group, from `/etc/group`; a number stands for itself.
fn group_id(name: &str) -> io::Result<u32> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    let groups = io::BufReader::new(fs::File::open("/etc/group")?);
    let of_line = |line: String| {
        let mut fields = line.split(':');
        let (found, _password, id) = (fields.next()?, fields.next()?, fields.next()?);
        (found == name).then(|| id.parse().ok()).flatten()
    };
    groups.lines().map_while(Result::ok).find_map(of_line).ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("there is no group `{name}` in /etc/group"))
    })
}

#[cfg(test)]
mod tests {
    use super::{bind, group_id};
    use config::AgentSocket;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn it_is_bound_with_its_mode_and_replaces_only_what_is_left_over() {
        let folder = tempfile::tempdir().unwrap();
        let socket = AgentSocket { path: folder.path().join("mcp.sock"), group: None, mode: 0o660 };
        let (listener, bound) = bind(&socket).unwrap();
        assert_eq!(std::fs::metadata(&socket.path).unwrap().permissions().mode() & 0o777, 0o660);
        assert_eq!(bind(&socket).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
        drop((listener, bound));
        // What a killed owner leaves.
        drop(std::os::unix::net::UnixListener::bind(&socket.path).unwrap());
        let (_listener, bound) = bind(&socket).unwrap();
        drop(bound);
        assert!(!socket.path.exists());
        std::fs::write(&socket.path, "").unwrap();
        assert_eq!(bind(&socket).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
        let mode =
            |mode| std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        std::fs::remove_file(&socket.path).unwrap();
        mode(0o777);
        assert!(bind(&socket).unwrap_err().to_string().contains("everybody can replace files"));
        mode(0o1777);
        assert!(bind(&socket).is_ok(), "as in /tmp, only the owner can");
    }

    #[test]
    fn groups_are_found_by_name_or_number() {
        assert_eq!(group_id("root").unwrap(), 0);
        assert_eq!(group_id("1234").unwrap(), 1234);
        assert!(group_id("no-such-group").is_err());
    }
}
