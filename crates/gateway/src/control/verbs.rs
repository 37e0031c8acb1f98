//! From a request to the pipeline and back.

use std::sync::Arc;

use async_trait::async_trait;
use model::{Answer, ErrorCode, Failure};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;
use tools::ToolSpec;

use super::{Act, ControlRequest, Reply, SLIP, Tray};
use crate::resolve::tool_facts;
use crate::{
    Authenticated, Endpoint, Gateway, NotActing, NotRecorded, Presented, ToolCall, Unauthenticated, Unlisted,
};

/// Who answers what comes in on the control socket.
#[async_trait]
pub trait Verbs: Send + Sync {
    /// Does what a local user asks.
    async fn answer(&self, os_user: &str, request: ControlRequest, cancel: CancellationToken) -> Reply;

    /// Says for whom a local user may speak MCP on its connection.
    async fn attach(&self, os_user: &str, as_principal: Option<&str>) -> Result<Identity, Failure>;

    /// Speaks MCP on a connection until either side is done.
    async fn converse(&self, stream: UnixStream, identity: Identity, closing: CancellationToken);
}

/// For whom a connection speaks; asked anew for every request, so that a principal that is gone stays out.
pub type Identity = Arc<dyn Fn() -> Result<Authenticated<()>, Unauthenticated> + Send + Sync>;

/// What speaks MCP on an attached connection: the front, which this crate does not know.
#[async_trait]
pub trait Attach: Send + Sync {
    /// Serves one client until either side is done.
    async fn serve(&self, stream: UnixStream, identity: Identity, closing: CancellationToken);
}

/// The gateway as operators see it, whether over the socket or in the same process.
pub struct Operators {
    gateway: Arc<Gateway>,
    tray: Arc<Tray>,
    attach: Option<Arc<dyn Attach>>,
}

impl Operators {
    /// `tray` is the one that the verbs take their secrets from.
    pub fn new(gateway: Arc<Gateway>, tray: Arc<Tray>) -> Self {
        Self { gateway, tray, attach: None }
    }

    /// Lets local users speak MCP over the control socket.
    #[must_use]
    pub fn with_attach(mut self, attach: Arc<dyn Attach>) -> Self {
        self.attach = Some(attach);
        self
    }

    /// For whom a local user speaks: for itself, or for another principal if it may.
    pub async fn identity(&self, os_user: &str, as_principal: Option<&str>) -> Result<Identity, Failure> {
        let (gateway, user) = (Arc::clone(&self.gateway), os_user.to_owned());
        let itself = move || {
            let presented = Presented { os_user: Some(&user), transport: "stdio", ..Presented::default() };
            gateway.authenticate(&presented)
        };
        let operator = itself().map_err(|_| nobody(os_user))?;
        let Some(principal) = as_principal else { return Ok(Arc::new(itself)) };
        self.gateway.impersonate(&operator, principal).await.map_err(|why| not_as(principal, why))?;
        let (gateway, principal) = (Arc::clone(&self.gateway), principal.to_owned());
        // The record of the right is made once; that it still holds is asked every time, so that no session outlives it.
        Ok(Arc::new(move || gateway.still_acting(&itself()?, &principal)))
    }

    async fn attempt(
        &self,
        os_user: &str,
        request: ControlRequest,
        cancel: CancellationToken,
    ) -> Result<Answer, Failure> {
        let presented = Presented { os_user: Some(os_user), transport: "control", ..Presented::default() };
        let operator = self.gateway.authenticate(&presented).map_err(|_| nobody(os_user))?;
        let who = match &request.as_principal {
            None => operator,
            Some(principal) => {
                self.gateway.impersonate(&operator, principal).await.map_err(|why| not_as(principal, why))?
            }
        };
        match request.act {
            Act::ListTools => self.list(who).await,
            Act::Attach => Err(Failure::new(ErrorCode::InputInvalid, "this connection cannot be attached")),
            Act::Tool(tool) if request.dry_run => {
                let arguments = Map::from_iter([
                    ("tool".to_owned(), Value::String(tool)),
                    ("arguments".to_owned(), Value::Object(request.arguments)),
                ]);
                let call = call("explain".to_owned(), &arguments, cancel)?;
                recorded(self.gateway.call(who.with(call)).await)
            }
            Act::Tool(tool) => {
                let call = call(tool, &request.arguments, cancel)?;
                recorded(self.gateway.call(who.with(call)).await)
            }
            Act::Verb(verb) => {
                let mut arguments = request.arguments;
                if arguments.contains_key(SLIP) {
                    return Err(Failure::new(ErrorCode::InputInvalid, format!("unknown argument `{SLIP}`")));
                }
                let place = request.secret.map(|secret| self.tray.lay(secret)).transpose()?;
                if let Some(place) = &place {
                    arguments.insert(SLIP.to_owned(), Value::String(place.slip().to_owned()));
                }
                let (permitted, acting) = (self.permits(&who, &verb), who.origin().actor.is_some());
                let call = call(verb.clone(), &arguments, cancel)?;
                let answer = recorded(self.gateway.operate(who.with(call)).await)?;
                match (acting, permitted) {
                    (true, _) => Err(not_while_acting(&verb)),
                    (false, true) => Ok(answer),
                    (false, false) => Err(not_yours(&verb)),
                }
            }
        }
    }

    /// Whether some rule gives this verb to the operator, or there is no such verb. The pipeline decides and records that itself;
    /// it only says "not found", and an operator may know more.
    fn permits(&self, who: &Authenticated<()>, verb: &str) -> bool {
        let live = self.gateway.live();
        let facts = self.gateway.verb(verb).map(|verb| tool_facts(verb.spec()));
        facts.is_none_or(|facts| live.snapshot.visible(who.principal(), &facts))
    }

    async fn list(&self, who: Authenticated<()>) -> Result<Answer, Failure> {
        let tools = self
            .gateway
            .list_tools(who.with(Endpoint::All))
            .await
            .map_err(|unlisted| match unlisted {
                Unlisted::NotRecorded(NotRecorded) => not_recorded(),
                Unlisted::OverRate => Failure::new(ErrorCode::DeniedRate, unlisted.to_string()),
            })?
            .into_inner()
            .tools;
        let names: Vec<&str> = tools.iter().map(|tool| tool.spec().name.as_str()).collect();
        let text = if names.is_empty() { "no tools".to_owned() } else { names.join("\n") };
        let listed: Vec<Value> = tools.iter().map(|tool| listing(tool.spec())).collect();
        Ok(Answer { text, structured: json!({ "tools": listed }), is_error: false, ..Answer::default() })
    }
}

#[async_trait]
impl Verbs for Operators {
    async fn answer(&self, os_user: &str, request: ControlRequest, cancel: CancellationToken) -> Reply {
        match self.attempt(os_user, request, cancel).await {
            Ok(answer) => Reply::new(answer),
            Err(failure) => Reply::failed(&failure),
        }
    }

    async fn attach(&self, os_user: &str, as_principal: Option<&str>) -> Result<Identity, Failure> {
        if self.attach.is_none() {
            return Err(Failure::new(ErrorCode::InputInvalid, "this process serves no MCP")
                .with_hint("it owns the state for one command only: try again"));
        }
        self.identity(os_user, as_principal).await
    }

    async fn converse(&self, stream: UnixStream, identity: Identity, closing: CancellationToken) {
        if let Some(attach) = &self.attach {
            attach.serve(stream, identity, closing).await;
        }
    }
}

fn call(
    tool: String,
    arguments: &Map<String, Value>,
    cancel: CancellationToken,
) -> Result<ToolCall, Failure> {
    let arguments: Box<RawValue> =
        to_raw_value(arguments).map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
    Ok(ToolCall { cancel, ..ToolCall::new(Endpoint::All, tool, Some(arguments)) })
}

fn recorded(answer: Result<audit::Recorded<Answer>, NotRecorded>) -> Result<Answer, Failure> {
    answer.map(audit::Recorded::into_inner).map_err(|NotRecorded| not_recorded())
}

fn not_recorded() -> Failure {
    Failure::new(ErrorCode::AuditUnavailable, NotRecorded.to_string()).with_hint(
        "nothing is done or shown without a record: the gateway's log says what is wrong with the journal",
    )
}

/// The peer is the gateway's own user or root, so it may know why it is nobody.
fn nobody(os_user: &str) -> Failure {
    Failure::new(ErrorCode::AuthFailed, format!("no principal is the local user `{os_user}`")).with_hint(
        format!(
            "give a `[[principal]]` the key `os_user = \"{os_user}\"` and a rule that allows `operator:*`"
        ),
    )
}

fn not_yours(verb: &str) -> Failure {
    Failure::new(ErrorCode::DeniedNoRule, format!("no rule allows you `operator:{verb}`"))
        .with_hint(format!("it takes a rule with `allow = [\"operator:{verb}\"]` and `targets = [\"*\"]`"))
}

fn not_while_acting(verb: &str) -> Failure {
    Failure::new(ErrorCode::DeniedForbidden, format!("`operator:{verb}` cannot be used as another principal"))
        .with_hint("acting as another principal reaches tools only: ask for the verb as yourself")
}

fn not_as(principal: &str, why: NotActing) -> Failure {
    let shown: String = principal.chars().take(80).collect();
    match why {
        NotActing::NotAllowed => Failure::new(
            ErrorCode::DeniedNoRule,
            format!("you may not act as `{shown}`, or there is no such principal"),
        )
        .with_hint("acting as another principal needs a rule that allows `operator:impersonate`"),
        NotActing::Denied { code, reason, hint } => {
            let failure = Failure::new(code, reason);
            match hint {
                Some(hint) => failure.with_hint(hint),
                None => failure,
            }
        }
        NotActing::NotRecorded(NotRecorded) => not_recorded(),
    }
}

fn listing(spec: &ToolSpec) -> Value {
    json!({
        "name": spec.name.as_str(),
        "set": spec.set.as_str(),
        "tier": spec.tier.as_str(),
        "title": spec.title,
        "description": spec.description,
        "annotations": {
            "read_only": spec.annotations.read_only,
            "destructive": spec.annotations.destructive,
            "idempotent": spec.annotations.idempotent,
            "open_world": spec.annotations.open_world,
        },
        "input": spec.input.to_json(),
        "output": spec.output,
    })
}
