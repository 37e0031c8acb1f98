//! A file system so small that a test can fill it.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::machine::{program, require_root, run};

/// A file system in memory over an existing folder; taken away when dropped, and by a watcher when the test process dies.
pub struct TinyDisk {
    folder: PathBuf,
    watcher: Child,
}

impl TinyDisk {
    /// Mounts one of so many KiB over `folder`, for its owner alone.
    pub fn mount(folder: &Path, kib: u32) -> Self {
        require_root("a file system of its own");
        let folder = folder.canonicalize().expect("the folder to mount over is there");
        run(Command::new(program("mount"))
            .args(["-t", "tmpfs", "-o", &format!("size={kib}k,mode=0700"), "portcullis-test"])
            .arg(&folder));
        let watcher = Command::new(program("sh"))
            .args(["-c", "read -r _; exec umount -l \"$0\""])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("the watcher starts");
        Self { folder, watcher }
    }

    /// Fills it to the last block.
    pub fn fill(&self) {
        let mut file = File::create(self.filler()).expect("a full disk has room for a name");
        loop {
            match file.write(&[0; 4096]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                Err(error) => panic!("`{}` cannot be filled: {error}", self.folder.display()),
            }
        }
    }

    /// Gives the room free again.
    pub fn free(&self) {
        std::fs::remove_file(self.filler()).expect("it was filled");
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = self.watcher.kill();
        let _ = self.watcher.wait();
        let _ = Command::new(program("umount")).arg("-l").arg(&self.folder).status();
    }
}
