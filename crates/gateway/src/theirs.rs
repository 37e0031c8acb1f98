//! What upstreams have beside tools: listed by rules, fetched as any act.

use std::sync::Arc;

use audit::{CompletionFacts, Recorded};
use guard::{Guarded, Scanner};
use model::{
    Answer, ErrorCode, Failure, Outcome, Principal, Reply, Target, Theirs, Tier, ToolName, ToolSet,
    UpstreamName,
};
use policy::ToolFacts;
use tools::{Errand, ListOf, Tool, UpstreamOffers, Watching};

use crate::gateway::Gateway;
use crate::live::Live;
use crate::screen::screen;
use crate::{Authenticated, Endpoint, NotRecorded, TheirList, Unlisted};

/// The longest page of a list, in bytes: as long as a message of an upstream can be.
const LONGEST: u64 = 16 * 1024 * 1024;

impl Gateway {
    /// What there is at an upstream's endpoint beside tools.
    pub fn offers(&self, endpoint: Endpoint) -> Option<UpstreamOffers> {
        match endpoint {
            Endpoint::Upstream(upstream) => Some(self.upstreams.offers(upstream)),
            Endpoint::All | Endpoint::Credentials | Endpoint::Ssh | Endpoint::Gateway => None,
        }
    }

    /// Watches a resource for a principal that may read it, for as long as the value is kept: an upstream is asked to tell of it.
    /// What is not an upstream's needs no watching.
    pub fn watch(&self, at: &Authenticated<Endpoint>, uri: &str) -> Option<Watching> {
        let Endpoint::Upstream(upstream) = *at.inner() else { return None };
        let known = may_know(&self.live(), at.principal(), upstream, ListOf::Resources, uri);
        known.then(|| self.upstreams.watch(upstream, uri))?
    }

    pub(crate) fn errand(&self, endpoint: Endpoint, errand: Errand, name: &str) -> Option<Arc<dyn Tool>> {
        match endpoint {
            Endpoint::Upstream(upstream) => self.upstreams.errand(upstream, errand, name),
            Endpoint::All | Endpoint::Credentials | Endpoint::Ssh | Endpoint::Gateway => None,
        }
    }

    /// A page of a list as its upstream wrote it, without what this principal may not know of. It costs a call of its
    /// budget; who may use nothing of the upstream has an empty list, for which nobody is asked.
    pub async fn list_theirs(&self, asked: Authenticated<TheirList>) -> Result<Recorded<Answer>, Unlisted> {
        let TheirList { endpoint, of, .. } = asked.inner();
        let event = match of {
            ListOf::Resources => "resources_list",
            ListOf::Templates => "templates_list",
            ListOf::Prompts => "prompts_list",
        };
        let Endpoint::Upstream(upstream) = *endpoint else { return Err(NotRecorded.into()) };
        let live = self.live();
        if let Some(counted) = self.over_rate(&live, &asked.with(()), event) {
            return Err(counted.map_or_else(Unlisted::NotRecorded, |_| Unlisted::OverRate));
        }
        let name = ToolName::parse(event).map_err(|_| NotRecorded)?;
        let pending = self.journal.pending(asked.principal(), asked.origin().clone(), &name);
        let target = Target::upstream(upstream);
        let mut facts = CompletionFacts {
            event,
            decision: "allowed",
            target: Some(target.name.to_string()),
            ..CompletionFacts::default()
        };
        let page = if live.snapshot.sees(asked.principal(), &target) {
            self.page(&live, upstream, &asked).await
        } else {
            Ok((self.upstreams.nothing(*of), Arc::new(Scanner::empty())))
        };
        if let Err(failure) = &page {
            facts.decision = "failed";
            facts.error_code = Some(failure.code());
            facts.fault = Some(failure.fault());
        }
        let guarded = self.show(page).await;
        if guarded.report().withheld {
            facts.event = "secret_in_output";
            facts.error_code = Some(ErrorCode::SecretInOutput);
            facts.fault = Some(ErrorCode::SecretInOutput.fault());
        }
        let recorded = self.journal.complete(pending, &facts, guarded).await;
        Ok(recorded.map_err(|error| self.not_recorded(&error))?)
    }

    async fn page(
        &self,
        live: &Live,
        upstream: UpstreamName,
        asked: &Authenticated<TheirList>,
    ) -> Result<(Reply, Arc<Scanner>), Failure> {
        let TheirList { of, forward, .. } = asked.inner();
        let keep = |name: &str| may_know(live, asked.principal(), upstream, *of, name);
        let listed = self.upstreams.list(upstream, &asked.principal().id, *of, forward, &keep).await?;
        Ok((listed.reply, listed.standing.scanner()))
    }

    async fn show(&self, page: Result<(Reply, Arc<Scanner>), Failure>) -> Guarded<Answer> {
        let (result, scanner) = match page {
            Ok((reply, scanner)) => (Ok(Outcome { reply: Some(reply), ..Outcome::default() }), scanner),
            Err(failure) => (Err(failure), Arc::new(Scanner::empty())),
        };
        let guard = self.guard;
        screen(guard, result, move |result| {
            guard.admit(&scanner, LONGEST, result, |result| match result {
                Ok(outcome) => Answer { reply: outcome.reply, ..Answer::default() },
                Err(failure) => tools::failed(&failure),
            })
        })
        .await
    }
}

/// Whether rules let a principal know of something; what they could not be sure of nobody does.
pub(crate) fn may_know(
    live: &Live,
    principal: &Principal,
    upstream: UpstreamName,
    of: ListOf,
    name: &str,
) -> bool {
    let Ok(name) = ToolName::of_theirs(Theirs { upstream, thing: of.thing(), name }) else { return false };
    let set = ToolSet::parse("upstream").unwrap_or_else(|_| unreachable!("a literal"));
    live.snapshot.visible(principal, &ToolFacts { name, set, tier: Tier::Read })
}
