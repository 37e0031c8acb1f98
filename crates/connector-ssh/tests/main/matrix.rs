//! Every way to log in, against every server, with what is right, wrong, expired or revoked: what comes of it, whose fault
//! it is, and what the server's own log says. `docs/ssh-authentication.md` prints the table.

mod rows;
mod site;

use std::time::Duration;

use connector_ssh::SshSettings;
use model::ErrorCode;

use self::rows::{ROWS, Row};
use self::site::Site;
use crate::rig::{Call, material};

/// How somebody logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Password,
    /// The server takes passwords only as answers to a question.
    Question,
    Key,
    Certificate,
    Agent,
}

/// What is asked to let somebody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    OpenSsh,
    Dropbear,
    AsyncSsh,
}

/// What about the credential is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Right,
    /// Another password; a key that nobody knows; a certificate for others; an agent that holds another key.
    Wrong,
    /// The account, the key's entry or the certificate is past its day.
    Expired,
    /// The account is locked; the key or the certificate is revoked on the server.
    Revoked,
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comes {
    In,
    /// With these words in the message or the hint.
    Out(ErrorCode, &'static str),
}

#[tokio::test(flavor = "multi_thread")]
async fn every_login_ends_as_the_table_says_and_the_server_agrees() {
    let mut wrong = Vec::new();
    for row in ROWS {
        if let Err(why) = check(row).await {
            wrong.push(format!("{:?} {:?} {:?}: {why}", row.method, row.server, row.case));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_in_the_documentation_is_the_one_that_is_tested() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ssh-authentication.md");
    let text = std::fs::read_to_string(path).unwrap();
    let table = rows::table();
    assert!(text.contains(&table), "docs/ssh-authentication.md must have this table:\n{table}");
}

async fn check(row: &Row) -> Result<(), String> {
    let site = Site::of(row.method, row.server, row.case);
    let rig = site.rig();
    let login_timeout = Duration::from_secs(if row.is_timeout() { 2 } else { 20 });
    rig.connector.configure(SshSettings { login_timeout, ..rig.settings.clone() });
    let mut call = Call { material, ..Call::new("echo in", &site.credential()) };
    let result = rig.exec(&mut call).await;
    match (&result, row.comes) {
        (Ok(_), Comes::In) => {}
        (Err(failure), Comes::Out(code, words)) => {
            let told = format!("{} {}", failure.message(), failure.hint().unwrap_or_default());
            if (failure.code(), failure.fault()) != (code, row.fault()) || !told.contains(words) {
                return Err(format!("{failure:?}"));
            }
            if format!("{failure:?}").contains("canary") {
                return Err(format!("the secret is told: {failure:?}"));
            }
        }
        (result, _) => return Err(format!("{result:?}; {}", site.log())),
    }
    site.wait_for(row.log)?;
    let failed = site.failed_passwords();
    if failed > 1 { Err(format!("{failed} failed passwords: {}", site.log())) } else { Ok(()) }
}
