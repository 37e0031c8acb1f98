//! Issuing handles: rights, bound to where and with what they may be used.

use std::net::IpAddr;

use model::{
    CredentialRef, ErrorCode, Failure, Fault, HandleToken, Host, Principal, TargetName, Timestamp, ToolName,
};
use store::HandleRecord;
use zeroize::Zeroizing;

use crate::broker::{blocking, state_failed};
use crate::{Broker, Credential, FetchTime};

/// What `get_credential` asks for, after policy narrowed it.
#[derive(Debug, Clone)]
pub struct IssueRequest {
    /// Which credential.
    pub credential: CredentialRef,
    /// Hosts that the inventory admits it on and that policy permits.
    pub targets: Vec<Host>,
    /// Tools of those targets' connectors.
    pub tools: Vec<ToolName>,
    /// The agent's reason: told to the source now and at each use.
    pub reason: Option<String>,
}

/// A new handle and what the agent may know of the credential.
#[derive(Debug)]
pub struct Issued {
    /// The handle.
    pub token: HandleToken,
    /// Account name, if the source knows one.
    pub username: Option<String>,
    /// Address, if the source knows one.
    pub address: Option<String>,
    /// Where the handle may be used.
    pub targets: Vec<TargetName>,
    /// Life in seconds.
    pub ttl_seconds: u64,
    /// Wall-clock end.
    pub expires: Timestamp,
}

impl Broker {
    /// Fetches (to learn account and address, dropping the secret) and keeps a bound handle.
    ///
    /// `credential.refused` if no target is left to use it on: an empty right is not issued.
    pub async fn issue(&self, principal: &Principal, request: IssueRequest) -> Result<Issued, Failure> {
        let IssueRequest { credential: name, targets, tools, reason } = request;
        if targets.is_empty() || tools.is_empty() {
            return Err(nowhere(&name));
        }
        let source = self.source(&name)?;
        let credential = self.fetch(&name, reason.as_deref()).await?;
        let targets = narrowed(&name, targets, &credential)?;
        let policy = self.handle_policy();
        let token = self.draw_token()?;
        let expires = self.clock().now().after(policy.ttl);
        let record = HandleRecord {
            id: token.id(),
            principal: principal.id.clone(),
            credential: name,
            reason,
            targets: targets.clone(),
            tools,
            single_use: policy.single_use,
            boot_deadline: self.clock().boot().after(policy.ttl),
            boot_id: self.clock().boot_id().to_owned(),
            deadline: expires,
        };
        let (username, address) = (credential.username.clone(), credential.address.clone());
        match source.fetch_time() {
            FetchTime::AtUse => drop(credential),
            FetchTime::AtIssue => {
                self.held().hold(token.id(), credential, policy.ttl).map_err(|_| too_many_held())?;
            }
        }
        let store = self.store();
        if let Err(failure) = blocking(move || store.put_handle(&record).map_err(|e| state_failed(&e))).await
        {
            self.held().wipe(&token.id());
            return Err(failure);
        }
        Ok(Issued { token, username, address, targets, ttl_seconds: policy.ttl.as_secs(), expires })
    }

    fn draw_token(&self) -> Result<HandleToken, Failure> {
        let mut random = Zeroizing::new([0; 32]);
        self.entropy().fill(&mut *random).map_err(|error| {
            Failure::new(ErrorCode::Internal, "no handle can be made").with_internal(error.to_string())
        })?;
        Ok(HandleToken::new(&random))
    }
}

/// Whether the source's address, if it knows one, is this host's: the same text or the same IP address. Neither is
/// ever resolved.
pub(crate) fn belongs_to(credential: &Credential, host: &Host) -> bool {
    let Some(address) = credential.address.as_deref() else { return true };
    let as_ip = |text: &str| text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
    address == host.address || as_ip(address).is_some_and(|ip| as_ip(&host.address) == Some(ip))
}

fn narrowed(
    name: &CredentialRef,
    hosts: Vec<Host>,
    credential: &Credential,
) -> Result<Vec<TargetName>, Failure> {
    let targets: Vec<TargetName> =
        hosts.into_iter().filter(|host| belongs_to(credential, host)).map(|host| host.name).collect();
    if targets.is_empty() {
        let address = credential.address.as_deref().unwrap_or_default();
        return Err(nowhere(name).with_internal(format!("the source's address `{address}` is no target's")));
    }
    Ok(targets)
}

fn nowhere(name: &CredentialRef) -> Failure {
    Failure::new(ErrorCode::CredentialRefused, format!("there is no target that `{name}` may be used on"))
        .with_hint(
            "the inventory must admit it on a target, rules must permit that, and if its source knows an address, \
             the target must be written with that address",
        )
}

fn too_many_held() -> Failure {
    Failure::new(ErrorCode::CredentialRefused, "too many handles with secrets held in memory")
        .with_fault(Fault::Caller)
        .with_hint("use or release handles that are still open")
}
