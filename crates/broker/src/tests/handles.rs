use async_trait::async_trait;
use model::{HandleId, UpstreamName};
use store::{Claim, ClaimRequest, HandleRecord, PinRecord, StateStore, StoreError};

use super::*;
use crate::{Credential, Fetch};

#[tokio::test]
async fn a_handle_leases_the_secret_once_and_tells_account_and_targets() {
    let world = World::new();
    let issued = world.issue(&[web1(), host("web2", "10.0.0.12")]).await.unwrap();
    assert_eq!(issued.username.as_deref(), Some("svc_root"));
    assert_eq!(issued.targets.len(), 2);
    assert_eq!((issued.ttl_seconds, issued.expires), (300, Timestamp::from_millis(1_350_000)));

    let lease = world.lease(&issued.token, &web1()).await.unwrap();
    assert!(has_password(&lease, SECRET));
    assert_eq!(lease.handle_id(), Some(&issued.token.id()));
    assert!(lease.credential_key().is_none(), "connections of handles are never shared");
    assert_eq!(lease.secrets().len(), 1);
    lease.start();
    world.broker.release(lease).await;

    let second = world.lease(&issued.token, &web1()).await.unwrap_err();
    assert_eq!(
        (second.code(), second.message()),
        (ErrorCode::HandleAlreadyConsumed, "Handle already consumed")
    );
}

#[tokio::test]
async fn no_file_of_the_state_holds_the_secret_or_the_handle() {
    let world = World::new();
    let issued = world.issue(&[web1()]).await.unwrap();
    let _lease = world.lease(&issued.token, &web1()).await.unwrap();
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(world.folder.path()).unwrap() {
        bytes.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("keystore:PROD/root"), "the search finds what is there");
    assert!(!holds(SECRET) && !holds(issued.token.reveal()));
}

#[tokio::test]
async fn the_agents_reason_is_told_to_the_source_at_issue_and_at_each_use_and_only_there() {
    let world =
        World::with(FakeSource::new(), HandlePolicy { ttl: Duration::from_secs(300), single_use: false });
    let issued = world.issue_because(Some("ticket 4711"), &[web1()]).await.unwrap();
    for _ in 0..2 {
        let lease = world.lease(&issued.token, &web1()).await.unwrap();
        lease.start();
        world.broker.release(lease).await;
    }
    let without = world.issue(&[web1()]).await.unwrap();
    world.lease(&without.token, &web1()).await.unwrap();
    let told = Some("ticket 4711".to_owned());
    assert_eq!(world.source.reasons(), [told.clone(), told.clone(), told, None, None]);
}

#[tokio::test]
async fn a_rotated_secret_is_the_one_that_is_leased() {
    let world = World::new();
    let issued = world.issue(&[web1()]).await.unwrap();
    world.source.set(&root(), Some("svc_root"), None, "rotated");
    let lease = world.lease(&issued.token, &web1()).await.unwrap();
    assert!(has_password(&lease, "rotated"));
}

#[tokio::test]
async fn the_sources_address_narrows_by_text_or_by_ip_equality_and_is_never_resolved() {
    let hosts = [
        host("a", "10.0.0.11"),
        host("b", "web1.internal"),
        host("c", "::ffff:10.0.0.11"),
        host("d", "localhost"),
    ];
    for (address, expected) in [
        (None, vec!["a", "b", "c", "d"]),
        (Some("10.0.0.11"), vec!["a", "c"]),
        (Some("web1.internal"), vec!["b"]),
        (Some("::ffff:a00:b"), vec!["a", "c"]),
    ] {
        let world = World::new();
        world.source.set(&root(), None, address, SECRET);
        let issued = world.issue(&hosts).await.unwrap();
        assert_eq!(
            issued.targets.iter().map(TargetName::as_str).collect::<Vec<_>>(),
            expected,
            "{address:?}"
        );
        assert_eq!(issued.address.as_deref(), address);
    }
    for foreign in ["127.0.0.1", "web1", "10.0.0.1", "10.0.0.110", "WEB1.internal.", ""] {
        let world = World::new();
        world.source.set(&root(), None, Some(foreign), SECRET);
        assert_eq!(code(world.issue(&hosts).await), ErrorCode::CredentialRefused, "{foreign}");
    }
}

#[tokio::test]
async fn an_empty_right_is_not_issued_and_the_source_is_not_asked() {
    let world = World::new();
    assert_eq!(code(world.issue(&[]).await), ErrorCode::CredentialRefused);
    assert_eq!(world.source.fetches(), 0);
}

#[tokio::test]
async fn an_address_that_changes_after_the_issue_narrows_too() {
    let world = World::new();
    let issued = world.issue(&[web1()]).await.unwrap();
    world.source.set(&root(), None, Some("10.9.9.9"), SECRET);
    assert_eq!(code(world.lease(&issued.token, &web1()).await), ErrorCode::HandleNotForThisTarget);
}

#[tokio::test]
async fn a_host_that_no_longer_admits_the_credential_gets_no_lease() {
    let world = World::new();
    let issued = world.issue(&[web1()]).await.unwrap();
    let changed = Host { credentials: Vec::new(), ..web1() };
    assert_eq!(code(world.lease(&issued.token, &changed).await), ErrorCode::HandleNotForThisTarget);
    assert!(world.lease(&issued.token, &web1()).await.is_ok(), "nothing was consumed");
}

#[tokio::test]
async fn life_is_capped_at_ten_minutes_and_ends_by_both_clocks() {
    let world =
        World::with(FakeSource::new(), HandlePolicy { ttl: Duration::from_secs(86_400), single_use: true });
    let issued = world.issue(&[web1()]).await.unwrap();
    assert_eq!(issued.ttl_seconds, 600);
    world.pass(599);
    let lease = world.lease(&issued.token, &web1()).await.unwrap();
    world.broker.release(lease).await;
    world.pass(1);
    let late = world.lease(&issued.token, &web1()).await.unwrap_err();
    assert_eq!((late.code(), late.message()), (ErrorCode::HandleExpired, "Handle expired"));
}

#[tokio::test]
async fn another_boot_expires_a_handle() {
    let world = World::new();
    let issued = world.issue(&[web1()]).await.unwrap();
    *world.clock.boot_id.lock().unwrap() = "boot-2";
    assert_eq!(code(world.lease(&issued.token, &web1()).await), ErrorCode::HandleExpired);
}

#[tokio::test]
async fn a_handle_is_bound_to_its_principal_target_and_tool() {
    let world = World::new();
    let issued = world.issue(&[web1()]).await.unwrap();
    let with = || CredentialUse::Handle(issued.token.clone());

    let mallory = Principal { id: PrincipalId::parse("mallory").unwrap(), ..claude() };
    let stolen = world.intend_as(mallory, "ssh_execute", with(), &web1());
    let stolen = world.broker.lease(stolen, Some(&web1()), &[]).await.unwrap_err();
    let invented = world.lease(&HandleToken::new(&[0xee; 32]), &web1()).await.unwrap_err();
    assert_eq!(stolen, invented, "another's handle looks like none");
    assert_eq!(stolen.code(), ErrorCode::HandleUnknown);

    let other = host("web2", "10.0.0.12");
    assert_eq!(code(world.lease(&issued.token, &other).await), ErrorCode::HandleNotForThisTarget);
    let other_tool = world.intend_as(claude(), "ps_execute", with(), &web1());
    assert_eq!(
        code(world.broker.lease(other_tool, Some(&web1()), &[]).await),
        ErrorCode::HandleNotForThisTarget
    );
    assert!(world.lease(&issued.token, &web1()).await.is_ok(), "none of these consumed it");
}

#[tokio::test]
async fn a_handle_on_another_host_than_the_actions_target_is_a_defect_and_no_lease() {
    let world = World::new();
    let issued = world.issue(&[web1()]).await.unwrap();
    let intended = world.intend(CredentialUse::Handle(issued.token.clone()), &web1());
    assert_eq!(
        code(world.broker.lease(intended, Some(&host("web2", "10.0.0.12")), &[]).await),
        ErrorCode::Internal
    );
    let intended = world.intend(CredentialUse::Inventory, &web1());
    assert_eq!(code(world.broker.lease(intended, None, &[]).await), ErrorCode::Internal);
}

#[tokio::test]
async fn a_lease_that_never_started_gives_the_handle_back_released_or_dropped() {
    let world = World::new();
    let issued = world.issue(&[web1()]).await.unwrap();
    let lease = world.lease(&issued.token, &web1()).await.unwrap();
    assert_eq!(code(world.lease(&issued.token, &web1()).await), ErrorCode::HandleAlreadyConsumed);
    world.broker.release(lease).await;

    drop(world.lease(&issued.token, &web1()).await.unwrap());
    let lease = lease_soon(&world, &issued).await;
    lease.start();
    drop(lease);
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(code(world.lease(&issued.token, &web1()).await), ErrorCode::HandleAlreadyConsumed);
    }
}

#[tokio::test]
async fn a_failed_fetch_gives_the_claim_back() {
    let world = World::new();
    let issued = world.issue(&[web1()]).await.unwrap();
    world.source.set_down(true);
    assert_eq!(code(world.lease(&issued.token, &web1()).await), ErrorCode::CredentialSourceDown);
    world.source.set_down(false);
    assert!(world.lease(&issued.token, &web1()).await.is_ok());
}

/// Never answers.
struct Stuck;

#[async_trait]
impl CredentialSource for Stuck {
    async fn fetch(&self, _: Fetch<'_>) -> Result<Credential, Failure> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_call_cancelled_while_the_source_is_asked_gives_the_claim_back() {
    let world = World::new();
    let issued = world.issue(&[web1()]).await.unwrap();
    let handles = HandlePolicy { ttl: Duration::from_secs(300), single_use: true };
    world.broker.configure([("keystore".to_owned(), Arc::new(Stuck) as _)].into(), handles);
    let cancelled =
        tokio::time::timeout(Duration::from_millis(100), world.lease(&issued.token, &web1())).await;
    assert!(cancelled.is_err());
    world.broker.configure([("keystore".to_owned(), Arc::clone(&world.source) as _)].into(), handles);
    lease_soon(&world, &issued).await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_never_answers_is_given_up() {
    let world = World::new();
    let handles = HandlePolicy { ttl: Duration::from_secs(300), single_use: true };
    world.broker.configure([("keystore".to_owned(), Arc::new(Stuck) as _)].into(), handles);
    assert_eq!(code(world.issue(&[web1()]).await), ErrorCode::CredentialSourceDown);
}

#[tokio::test]
async fn a_released_handle_is_gone_and_only_its_principal_can_release_it() {
    let world = World::new();
    let issued = world.issue(&[web1()]).await.unwrap();
    let mallory = Principal { id: PrincipalId::parse("mallory").unwrap(), ..claude() };
    assert_eq!(code(world.broker.release_handle(&mallory, &issued.token).await), ErrorCode::HandleUnknown);
    world.broker.release_handle(&claude(), &issued.token).await.unwrap();
    assert_eq!(code(world.lease(&issued.token, &web1()).await), ErrorCode::HandleUnknown);
    assert_eq!(code(world.broker.release_handle(&claude(), &issued.token).await), ErrorCode::HandleUnknown);
}

#[tokio::test]
async fn a_source_taken_out_of_the_configuration_ends_its_handles_use() {
    let world = World::new();
    let issued = world.issue(&[web1()]).await.unwrap();
    world.broker.configure(BTreeMap::new(), HandlePolicy { ttl: Duration::from_secs(300), single_use: true });
    assert_eq!(code(world.lease(&issued.token, &web1()).await), ErrorCode::CredentialNotFound);
}

#[tokio::test]
async fn a_handle_for_many_uses_can_be_used_many_times() {
    let world =
        World::with(FakeSource::new(), HandlePolicy { ttl: Duration::from_secs(300), single_use: false });
    let issued = world.issue(&[web1()]).await.unwrap();
    for _ in 0..3 {
        let lease = world.lease(&issued.token, &web1()).await.unwrap();
        lease.start();
        world.broker.release(lease).await;
    }
}

#[tokio::test]
async fn sweeping_forgets_handles_of_the_day_before() {
    let world = World::new();
    world.issue(&[web1()]).await.unwrap();
    assert_eq!(world.broker.sweep().await, Ok(0));
    world.pass(90_000);
    assert_eq!(world.broker.sweep().await, Ok(1));
}

/// A state that cannot be read or written.
struct Broken;

impl StateStore for Broken {
    fn put_handle(&self, _: &HandleRecord) -> Result<(), StoreError> {
        Err(StoreError("disk full".to_owned()))
    }
    fn claim_handle(&self, _: &ClaimRequest<'_>) -> Result<Claim, StoreError> {
        Err(StoreError("disk full".to_owned()))
    }
    fn unclaim_handle(&self, _: &HandleId, _: CallId) -> Result<(), StoreError> {
        Err(StoreError("disk full".to_owned()))
    }
    fn release_handle(&self, _: &HandleId, _: &PrincipalId) -> Result<bool, StoreError> {
        Err(StoreError("disk full".to_owned()))
    }
    fn sweep_handles(&self, _: Timestamp) -> Result<u64, StoreError> {
        Err(StoreError("disk full".to_owned()))
    }
    fn spend(&self, _: &[u8; 16], _: Timestamp) -> Result<bool, StoreError> {
        Err(StoreError("disk full".to_owned()))
    }
    fn sweep_spent(&self, _: Timestamp) -> Result<u64, StoreError> {
        Err(StoreError("disk full".to_owned()))
    }
    fn pins(&self, _: UpstreamName) -> Result<Vec<PinRecord>, StoreError> {
        Err(StoreError("disk full".to_owned()))
    }
    fn pin(&self, _: UpstreamName, _: &[PinRecord], _: &[String]) -> Result<(), StoreError> {
        Err(StoreError("disk full".to_owned()))
    }
}

/// A system without random bytes.
struct Dry;

impl Entropy for Dry {
    fn fill(&self, _: &mut [u8]) -> Result<(), NoEntropy> {
        Err(NoEntropy)
    }
}

#[tokio::test]
async fn without_a_state_or_randomness_there_is_no_handle_and_no_claim_but_an_empty_lease() {
    let world = World::new();
    let issued = world.issue(&[web1()]).await.unwrap();
    let broken = |entropy: Arc<dyn Entropy>| {
        let broker = Broker::new(Arc::new(Broken), Arc::clone(&world.clock) as _, entropy, None);
        let handles = HandlePolicy { ttl: Duration::from_secs(300), single_use: true };
        broker.configure([("keystore".to_owned(), Arc::clone(&world.source) as _)].into(), handles);
        broker
    };
    let request = || IssueRequest {
        credential: root(),
        targets: vec![web1()],
        tools: vec![ToolName::parse("ssh_execute").unwrap()],
        reason: None,
    };
    for broker in [broken(Arc::new(Counting(AtomicU8::new(0)))), broken(Arc::new(Dry))] {
        let failure = broker.issue(&claude(), request()).await.unwrap_err();
        assert_eq!(failure.code(), ErrorCode::Internal);
        assert!(!failure.message().contains("disk full") && !all_text(&failure).contains(SECRET));
        let intended = world.intend(CredentialUse::Handle(issued.token.clone()), &web1());
        assert_eq!(code(broker.lease(intended, Some(&web1()), &[]).await), ErrorCode::Internal);
        assert_eq!(code(broker.release_handle(&claude(), &issued.token).await), ErrorCode::Internal);
        let empty = broker.lease(world.intend(CredentialUse::None, &web1()), None, &[]).await.unwrap();
        assert!(empty.credential().is_none() && empty.secrets().is_empty());
    }
}

#[test]
fn a_lease_never_prints_its_secret() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (world, issued, lease) = runtime.block_on(async {
        let world = World::new();
        let issued = world.issue(&[web1()]).await.unwrap();
        let lease = world.lease(&issued.token, &web1()).await.unwrap();
        (world, issued, lease)
    });
    assert!(!format!("{lease:?} {issued:?}").contains(SECRET));
    // Dropped outside any runtime, the claim is given back in place.
    drop(lease);
    assert!(runtime.block_on(world.lease(&issued.token, &web1())).is_ok());
}

/// A claim given back by dropping is given back in the background.
async fn lease_soon(world: &World, issued: &Issued) -> Lease {
    for _ in 0..500 {
        match world.lease(&issued.token, &web1()).await {
            Ok(lease) => return lease,
            Err(failure) => assert_eq!(failure.code(), ErrorCode::HandleAlreadyConsumed),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("the claim was not given back")
}
