use super::*;

fn world() -> World {
    World::with(FakeSource::at_issue(), HandlePolicy { ttl: Duration::from_secs(300), single_use: true })
}

#[tokio::test]
async fn a_source_that_can_be_read_once_is_asked_once() {
    let world = world();
    let issued = world.issue(&[web1()]).await.unwrap();
    world.source.set(&root(), None, None, "the next one");
    let lease = world.lease(&issued.token, &web1()).await.unwrap();
    assert!(has_password(&lease, SECRET));
    world.broker.release(lease).await;
    let lease = world.lease(&issued.token, &web1()).await.unwrap();
    assert!(has_password(&lease, SECRET), "a claim given back keeps its secret");
    assert_eq!(world.source.fetches(), 1);
}

#[tokio::test]
async fn a_held_secret_is_wiped_with_its_handle() {
    let world = world();
    let used = world.issue(&[web1()]).await.unwrap();
    let lease = world.lease(&used.token, &web1()).await.unwrap();
    lease.start();
    world.broker.release(lease).await;
    assert!(world.broker.held().copy(&used.token.id()).is_none());

    let released = world.issue(&[web1()]).await.unwrap();
    assert!(world.broker.held().copy(&released.token.id()).is_some());
    world.broker.release_handle(&claude(), &released.token).await.unwrap();
    assert!(world.broker.held().copy(&released.token.id()).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_held_secret_is_wiped_when_its_time_is_over_though_nobody_asks() {
    let world = world();
    let issued = world.issue(&[web1()]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(299)).await;
    assert!(world.broker.held().copy(&issued.token.id()).is_some());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(world.broker.held().copy(&issued.token.id()).is_none());
}

#[tokio::test]
async fn a_held_secret_that_is_gone_is_an_expired_handle_and_not_a_second_fetch() {
    let world = world();
    let issued = world.issue(&[web1()]).await.unwrap();
    world.broker.held().wipe(&issued.token.id());
    let failure = world.lease(&issued.token, &web1()).await.unwrap_err();
    assert_eq!((failure.code(), failure.message()), (ErrorCode::HandleExpired, "Handle expired"));
    assert_eq!(world.source.fetches(), 1);
}

#[tokio::test]
async fn secrets_held_in_memory_are_bounded() {
    let world = world();
    for n in 0..=u16::MAX {
        let mut random = [0xff; 32];
        random[..2].copy_from_slice(&n.to_le_bytes());
        let id = HandleToken::new(&random).id();
        let credential = crate::Credential {
            username: None,
            address: None,
            material: Material::Password(model::Secret::new("x".to_owned())),
            version: None,
        };
        if world.broker.held().hold(id, credential, Duration::from_secs(1)).is_err() {
            assert_eq!(code(world.issue(&[web1()]).await), ErrorCode::CredentialRefused);
            return;
        }
    }
    panic!("nothing bounded them");
}
