//! Failed authentications, aggregated so that strangers can neither fill the disk nor stall the gate.

use std::net::IpAddr;

/// Counts failures by source and second in bounded memory; a task writes the sums to the journal.
#[derive(Debug, Default)]
pub struct AuthFailureMeter {}

impl AuthFailureMeter {
    /// One more failure from this source. Never blocks.
    pub fn count(&self, client_ip: Option<IpAddr>, transport: &'static str) {
        let _ = (client_ip, transport);
        todo!()
    }
}
