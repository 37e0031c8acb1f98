//! Anonymous flood: strangers cannot fill the disk or stall the gate.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{call, entries, event};
use crate::{AuthFailureMeter, Journal};

fn total(events: &[crate::Event]) -> u64 {
    events.iter().map(|event| event.fields["count"].as_u64().unwrap()).sum()
}

#[test]
fn anonymous_flood_of_one_source_is_one_entry_a_second() {
    let meter = AuthFailureMeter::new();
    for _ in 0..100_000 {
        meter.count(Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))), "http", "no credential");
    }
    let events = meter.drain();
    assert_eq!((events.len(), total(&events)), (1, 100_000));
    assert_eq!(events[0].origin.client_ip, Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))));
    assert!(meter.drain().is_empty());
}

#[test]
fn anonymous_flood_of_many_sources_is_bounded_and_still_counted() {
    let meter = AuthFailureMeter::new();
    let mut written = 0;
    let mut counted = 0;
    for second in 0..100_u32 {
        for source in 0..1000 {
            meter.count(Some(IpAddr::V4(Ipv4Addr::from(second * 1000 + source))), "http", "no credential");
        }
        let events = meter.drain();
        assert!(events.len() <= 65);
        written += events.len();
        counted += total(&events);
    }
    assert!(written <= 400, "{written} entries for 100 seconds");
    assert_eq!(counted, 100_000, "none is forgotten");
}

#[test]
fn an_ipv6_network_is_one_source() {
    let meter = AuthFailureMeter::new();
    for host in 0..500 {
        meter.count(
            Some(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 3, 4, 5, host))),
            "http",
            "no credential",
        );
    }
    meter.count(None, "socket", "no credential");
    let events = meter.drain();
    assert_eq!((events.len(), total(&events)), (2, 501));
}

#[tokio::test]
async fn what_a_failing_journal_does_not_take_is_counted_on() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::for_test(dir.path()).unwrap();
    journal.shutdown().await.unwrap();
    let meter = AuthFailureMeter::new();
    for host in 0..5 {
        meter.count(Some(IpAddr::V4(Ipv4Addr::from(host))), "http", "no credential");
    }
    meter.flush(&journal).await;
    assert_eq!(total(&meter.drain()), 5);
}

#[tokio::test]
async fn anonymous_flood_does_not_stall_a_principal() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::for_test(dir.path()).unwrap();
    let meter = std::sync::Arc::new(AuthFailureMeter::new());
    let task = tokio::spawn({
        let (meter, journal) = (std::sync::Arc::clone(&meter), journal.clone());
        async move { meter.run(&journal).await }
    });
    for host in 0..50_000_u32 {
        meter.count(Some(IpAddr::V4(Ipv4Addr::from(host))), "http", "no credential");
    }
    call(&journal).await;
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    task.abort();
    meter.flush(&journal).await;
    journal.event(event("config_reloaded")).await.unwrap();
    journal.shutdown().await.unwrap();
    let failures: Vec<_> =
        entries(dir.path()).into_iter().filter(|entry| entry.event == "auth_failure").collect();
    assert!(!failures.is_empty() && failures.len() <= 130);
    let counted: u64 = failures.iter().map(|entry| entry.members["fields"]["count"].as_u64().unwrap()).sum();
    assert_eq!(counted, 50_000);
    assert_eq!(failures[0].text("decision"), Some("denied"));
}
