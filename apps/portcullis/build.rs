//! Has the linker pack what is relocated at the start, where the C library can read that: a megabyte less to be read,
//! and to be kept, for a binary that can be loaded anywhere.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if reads_packed_relocations().unwrap_or_default() {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// glibc does since 2.36. An older one would start the binary and not know what to make of it, so only what is built
/// where it runs is packed.
fn reads_packed_relocations() -> Option<bool> {
    if env::var("HOST").ok()? != env::var("TARGET").ok()? {
        return None;
    }
    let asked = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let told = String::from_utf8(asked.stdout).ok()?;
    let (major, minor) = told.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?) >= (2, 36))
}
