//! One channel that gets no further, and the next ones of the same connection, which do.

use std::time::Duration;

use model::{ErrorCode, Exit, Failure, Outcome};
use testkit::{ScriptedSshd, Sticks};

use crate::rig::{Call, Rig, stdout};

/// The probe of the shell and a first call have had their channels.
const STUCK: u32 = 3;

struct Stuck {
    host: ScriptedSshd,
    rig: Rig,
}

impl Stuck {
    async fn with(what: Sticks) -> Self {
        let host = ScriptedSshd::options().sticks(STUCK, what).start();
        let rig = Rig::new("127.0.0.1", host.port(), ScriptedSshd::USER, &host.known_hosts_line());
        let stuck = Self { host, rig };
        assert_eq!(stuck.says("echo first").await, "first\n");
        stuck
    }

    async fn says(&self, line: &'static str) -> String {
        let mut call = Call::new(line, ScriptedSshd::PASSWORD);
        stdout(
            &self
                .rig
                .exec(&mut call)
                .await
                .unwrap_or_else(|failure| panic!("{failure:?}: {}", self.host.log())),
        )
    }

    /// Runs a command on the channel that sticks. As soon as it does, three others have theirs on the same connection, and
    /// a fourth begins there that ends long after the first was given up.
    async fn runs(&self, timeout: Duration) -> Result<Outcome, Failure> {
        let mut call = Call { timeout, ..Call::new("echo stuck", ScriptedSshd::PASSWORD) };
        let beside = async {
            while !self.host.log().contains("sticks") {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            for _ in 0..3 {
                assert_eq!(self.says("echo beside").await, "beside\n");
            }
            let longer = self.says("sh -c 'sleep 7; echo longer'").await;
            assert_eq!(longer, "longer\n");
        };
        let (result, ()) = tokio::join!(self.rig.exec(&mut call), beside);
        result
    }

    /// How many connections there were when the stuck call was over, and when another had followed.
    async fn connections(&self) -> (usize, usize) {
        let before = self.host.connections();
        assert_eq!(self.says("echo after").await, "after\n");
        (before, self.host.connections())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_never_opens_holds_up_no_other_of_its_connection() {
    let stuck = Stuck::with(Sticks::Open).await;
    // Nothing was sent on it, so the call goes on over a connection that is not known to be bad.
    let outcome = stuck.runs(Duration::from_secs(30)).await.unwrap();
    assert_eq!((stdout(&outcome).as_str(), outcome.exit), ("stuck\n", Some(Exit::Status(0))));
    assert_eq!(stuck.connections().await, (2, 2), "{}", stuck.host.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_never_answered_holds_up_no_other_of_its_connection() {
    let stuck = Stuck::with(Sticks::Reply).await;
    let failure = stuck.runs(Duration::from_secs(2)).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetTimeout, "{failure:?}");
    assert!(failure.message().contains("whether it still runs there is not known"), "{failure:?}");
    // russh does not tell whether a host closes what we closed first, so nothing more is opened beside it.
    assert_eq!(stuck.connections().await, (1, 2), "{}", stuck.host.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_never_ends_holds_up_no_other_of_its_connection() {
    let stuck = Stuck::with(Sticks::End).await;
    let failure = stuck.runs(Duration::from_secs(2)).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetTimeout, "{failure:?}");
    assert!(failure.message().contains("whether it still runs there is not known"), "{failure:?}");
    // What runs beside it goes on, what follows is elsewhere.
    assert_eq!(stuck.connections().await, (1, 2), "{}", stuck.host.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_never_closes_holds_up_no_other_and_its_result_counts() {
    let stuck = Stuck::with(Sticks::Close).await;
    let outcome = stuck.runs(Duration::from_secs(2)).await.unwrap();
    assert_eq!((stdout(&outcome).as_str(), outcome.exit), ("stuck\n", Some(Exit::Status(0))));
    assert_eq!(stuck.connections().await, (1, 2), "{}", stuck.host.log());
}
