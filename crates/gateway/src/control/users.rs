//! Names of local users.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

const PASSWD: &str = "/etc/passwd";
const MOST_BYTES: u64 = 8 * 1024 * 1024;

/// The local user of this id as principals name it (`os_user`): the first name that `/etc/passwd` gives it, or else the
/// number itself.
///
/// Users of a directory service (LDAP, SSSD) have no line in that file: they are named by number. A name that is
/// itself a number is never taken, so nobody can be called like another user's id.
pub fn user_name(uid: u32) -> String {
    File::open(PASSWD)
        .ok()
        .and_then(|file| find(BufReader::new(file.take(MOST_BYTES)), uid))
        .unwrap_or_else(|| uid.to_string())
}

fn find(passwd: impl BufRead, uid: u32) -> Option<String> {
    passwd.lines().map_while(Result::ok).find_map(|line| {
        let mut fields = line.split(':');
        let (name, _password, id) = (fields.next()?, fields.next()?, fields.next()?);
        let usable = !name.is_empty() && !name.starts_with('#') && !name.bytes().all(|b| b.is_ascii_digit());
        (usable && id.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn the_first_usable_name_of_an_id_is_taken() {
        let passwd = "root:x:0:0::/root:/bin/sh\n1001:x:5:5::/:\ntoor:x:0:0::/:\nalice:x:1000:1000::/:\nbroken\n#x:x:7:7\n:x:8:8";
        for (uid, name) in
            [(0, Some("root")), (1000, Some("alice")), (5, None), (7, None), (8, None), (1001, None)]
        {
            assert_eq!(find(passwd.as_bytes(), uid).as_deref(), name, "{uid}");
        }
    }
}
