//! What the launcher is told, on its standard input: nobody else can read that, as they could its arguments.

use std::io::{self, Read};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The longest plan, in bytes. The kernel takes no longer environment than this.
const LONGEST: u32 = 8 << 20;

/// Everything that is to be done before the program begins, and the program.
#[derive(Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The process that this one must not outlive.
    pub(crate) gateway: i32,
    /// The program's file, and its arguments.
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// Its whole environment.
    pub(crate) env: Vec<(String, String)>,
    /// Where it runs.
    pub(crate) folder: PathBuf,
    /// Who it becomes.
    pub(crate) account: Option<Account>,
    /// What it may touch, if Landlock is to see to that.
    pub(crate) files: Option<Files>,
    /// A folder that must be its own.
    pub(crate) home: Option<PathBuf>,
    /// What it must not be able to open.
    pub(crate) guarded: Vec<PathBuf>,
}

/// A user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Whether nobody else is this user.
    pub(crate) own: bool,
}

/// What a program may touch beside what every program needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Files {
    pub(crate) read: Vec<PathBuf>,
    pub(crate) write: Vec<PathBuf>,
}

impl Plan {
    /// As it is sent: its length, then itself. It holds secrets.
    pub(crate) fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        let text =
            serde_json::to_vec(self).map_err(|error| format!("its plan cannot be written: {error}"))?;
        let text = Zeroizing::new(text);
        let length = u32::try_from(text.len()).ok().filter(|length| *length <= LONGEST);
        let length = length.ok_or("its arguments and its environment are too long")?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() + 4));
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&text);
        Ok(bytes)
    }

    /// Reads it, and not a byte of what comes behind it: that is for the program.
    pub(crate) fn read(mut from: impl Read) -> Result<Self, String> {
        let broken = |error: io::Error| format!("the plan ended too early: {error}");
        let mut length = [0; 4];
        from.read_exact(&mut length).map_err(broken)?;
        let length = u32::from_be_bytes(length);
        if length > LONGEST {
            return Err("what came is no plan".to_owned());
        }
        let mut text = Zeroizing::new(Vec::new());
        let wanted = u64::from(length);
        let read = from.take(wanted).read_to_end(&mut text).map_err(broken)?;
        if u64::try_from(read) != Ok(wanted) {
            return Err("the plan ended too early".to_owned());
        }
        // The parser's own words would quote the plan.
        serde_json::from_slice(&text).map_err(|_| "what came is no plan".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{Account, Files, Plan};

    #[test]
    fn a_plan_arrives_whole_or_not_at_all_and_takes_nothing_of_what_follows() {
        let plan = Plan {
            gateway: 7,
            program: "/usr/bin/true".into(),
            arguments: vec!["a b".into()],
            env: vec![("TOKEN".into(), "s3cret".into())],
            folder: "/srv".into(),
            account: Some(Account { uid: 70_000, gid: 70_000, own: true }),
            files: Some(Files { read: vec!["/srv".into()], write: vec![] }),
            home: None,
            guarded: vec!["/etc/portcullis".into()],
        };
        let bytes = plan.to_bytes().unwrap();
        let sent = [&bytes[..], b"{\"jsonrpc\":"].concat();
        let mut from = &sent[..];
        let read = Plan::read(&mut from).unwrap();
        assert_eq!(from, b"{\"jsonrpc\":");
        assert_eq!((read.program, read.arguments, read.env), (plan.program, plan.arguments, plan.env));
        assert_eq!((read.account, read.files, read.guarded), (plan.account, plan.files, plan.guarded));
        for short in [0, 3, 4, bytes.len() - 1] {
            assert!(Plan::read(&bytes[..short]).is_err(), "{short} bytes");
        }
        for wrong in [&b"\xff\xff\xff\xff"[..], b"\0\0\0\x02{}", b"\0\0\0\x02no"] {
            assert_eq!(Plan::read(wrong).err().as_deref(), Some("what came is no plan"));
        }
    }
}
