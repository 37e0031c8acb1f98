//! What a host shows when keys are exchanged anew, in the middle of a command.

use model::{ErrorCode, Exit, Failure, Outcome};

use super::messages::ask;
use super::scripted::{Act, Later, Stage};
use crate::rig::stdout;

async fn rekeyed(later: Later) -> Result<Outcome, Failure> {
    ask(Stage::CommandAsked, Act::Rekeys(later)).await.0
}

fn went_on(outcome: &Outcome) {
    assert_eq!((stdout(outcome).as_str(), &outcome.exit), ("under new keys\n", &Some(Exit::Status(0))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_key_exchange_about_another_kind_of_host_key_ends_the_connection() {
    went_on(&rekeyed(Later::SameKey).await.unwrap());
    let failure = rekeyed(Later::OtherKind).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetUnreachable, "{failure:?}");
    assert!(failure.message().contains("whether it still runs there is not known"), "{failure:?}");
    let why = "about a host key of ecdsa-sha2-nistp256, the first was about ssh-ed25519";
    assert!(format!("{failure:?}").contains(why), "{failure:?}");
}

/// Known gap 8 of `SECURITY.md`. russh verifies the signature with the key that comes along, and tells nobody which it was.
/// Once it does, this must be refused like the other.
#[tokio::test(flavor = "multi_thread")]
async fn another_key_of_the_same_kind_in_a_later_key_exchange_goes_unseen() {
    went_on(&rekeyed(Later::OtherKey).await.unwrap());
}
