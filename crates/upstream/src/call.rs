//! A call at an upstream, from its request to its answer, also while it waits for what its client says.

use std::sync::Arc;

use guard::Guard;
use model::{Failure, Forward, Parked, TheirQuestion};
use serde_json::{Value, json};
use tokio::time::Instant;
use tools::{PassedOn, ToolRun};
use wire::{InputOn, ModernMeta, Onward};

use crate::fault::Fault;
use crate::keeper::Keeper;
use crate::link::{Answered, Asked, Link, Next, Question, Told};
use crate::places::Place;
use crate::question::{self, Refused};

/// How often one call may ask its client.
const QUESTIONS: usize = 16;
/// What the question of a legacy upstream is called where questions have names: it asks one at a time.
pub(crate) const NAME: &str = "question";
/// Under this key the state of a question says which call waits.
const TICKET: &str = "call";
/// Under this key it holds the upstream's own.
const STATE: &str = "state";

/// A call. Dropped before its end it is given up at the upstream.
pub(crate) struct Call {
    link: Arc<Link>,
    asked: Asked,
    questions: usize,
    /// What its client is asked, and waits for an answer.
    open: Option<(Question, TheirQuestion)>,
    _place: Place,
}

/// How far a call came.
pub(crate) enum Step {
    /// It is over.
    Answered(Answered),
    /// Its client is to be asked this.
    Asks(TheirQuestion),
}

/// A call that may be sent, or taken up again.
pub(crate) enum Begun {
    /// A new one, with its place among the upstream's calls.
    New(Place),
    /// The one that its client was asked for.
    Parked(Box<Call>),
}

/// Why a call goes no further.
pub(crate) enum Stopped {
    /// Because of the upstream.
    Upstream(Fault),
    /// Because of the gateway itself.
    Ours(Failure),
}

impl Begun {
    /// Whether a call of this run may be sent. Nothing is sent yet.
    pub(crate) fn new(keeper: &Keeper, run: &ToolRun<'_>) -> Result<Self, Fault> {
        let who = &run.lease.intended().permit().principal().id;
        let Some(ticket) = carried(forward(run)?).and_then(|carried| carried.get(TICKET)?.as_u64()) else {
            return keeper.places().take(who, Instant::now()).map(Self::New);
        };
        let call = keeper.parking().take(ticket, who).ok_or(Fault::Forgotten)?;
        Ok(Self::Parked(Box::new(call)))
    }

    /// Sends it, or what its client said.
    pub(crate) async fn send(
        self,
        keeper: &Keeper,
        run: &ToolRun<'_>,
        link: &Arc<Link>,
        method: &str,
        own_name: &str,
    ) -> Result<Call, Stopped> {
        let forward = forward(run)?;
        match self {
            Self::Parked(call) => Ok(call.answered(forward).await?),
            Self::New(place) => {
                let asked = send(keeper, link, forward, method, own_name).await?;
                Ok(Call { link: Arc::clone(link), asked, questions: 0, open: None, _place: place })
            }
        }
    }
}

impl Call {
    /// Tells the upstream what its client said. Who said nothing is asked again.
    async fn answered(mut self: Box<Self>, forward: &Forward) -> Result<Self, Fault> {
        let said = forward.resumed.as_ref().and_then(|resumed| resumed.answers.get(NAME));
        if let (Some(said), Some((question, _))) = (said, &self.open) {
            self.link.answer(question, said).await?;
            self.open = None;
        }
        Ok(*self)
    }

    /// Goes on until the upstream answers, or its client is to be asked.
    pub(crate) async fn go_on(&mut self, keeper: &Keeper, run: &ToolRun<'_>) -> Result<Step, Stopped> {
        if let Some((_, question)) = &self.open {
            return Ok(Step::Asks(question.clone()));
        }
        let faithful = forward(run)?.faithful;
        loop {
            match self.asked.next().await {
                Next::Answer(answered) => return Ok(Step::Answered(answered?)),
                Next::Told(Told::Progress(params)) => {
                    run.notices.pass_on(PassedOn::Progress(&params), faithful);
                }
                Next::Told(Told::Log(level, params)) => {
                    let params =
                        if faithful { params } else { question::marked(&params, keeper.name()).into() };
                    run.notices.pass_on(PassedOn::Log(level, &params), faithful);
                }
                Next::Told(Told::Question(question)) => {
                    if let Some(asks) = self.hear(keeper, run, question).await? {
                        return Ok(Step::Asks(asks));
                    }
                }
            }
        }
    }

    /// Decides whether a question goes to the client. What does not is refused, and the call goes on.
    async fn hear(
        &mut self,
        keeper: &Keeper,
        run: &ToolRun<'_>,
        question: Question,
    ) -> Result<Option<TheirQuestion>, Stopped> {
        self.questions += 1;
        if self.questions > QUESTIONS {
            let why = format!("it has asked {QUESTIONS} times");
            self.link.refuse(&question, wire::code::INTERNAL, &why);
            return Err(Fault::Asks(why).into());
        }
        let judged = question::judge(keeper, run, &question.method, &question.params);
        let refused = judged.as_ref().err().map(|refused| refused.why.as_str());
        question::record(run, &question.shown(), refused).await?;
        match judged {
            Ok(asks) => {
                let asks = TheirQuestion { refusable: true, ..asks };
                self.open = Some((question, asks.clone()));
                Ok(Some(asks))
            }
            Err(Refused { code, why }) => {
                self.link.refuse(&question, code, &why);
                Ok(None)
            }
        }
    }

    /// Lets the call wait for its client. `None` for a question that the guard lets nobody see: then it is given up.
    pub(crate) fn park(self, keeper: &Keeper, run: &ToolRun<'_>) -> Option<Parked> {
        let (_, question) = self.open.as_ref()?;
        Guard::new().admit_json(&run.lease.scanner(), &question.params, true)?;
        let who = run.lease.intended().permit().principal().id.clone();
        Some(Parked { upstream: keeper.name(), ticket: keeper.parking().park(self, who) })
    }
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        Self::Upstream(fault)
    }
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Ours(failure)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some((question, _)) = self.open.take() {
            // In this order, or it could go on with the refusal.
            self.asked.give_up();
            self.link.refuse(&question, wire::code::METHOD_NOT_FOUND, "the client does not answer");
        }
    }
}

/// What a question of a legacy upstream is sealed with.
pub(crate) fn carries_call(parked: Parked) -> Value {
    json!({ TICKET: parked.ticket })
}

/// What the questions of a modern one are sealed with.
pub(crate) fn carries_state(state: Option<String>) -> Value {
    json!({ STATE: state })
}

pub(crate) fn forward<'r>(run: &ToolRun<'r>) -> Result<&'r Forward, Fault> {
    run.lease.action().forward.as_ref().ok_or(Fault::Protocol("nothing, for nothing was sent"))
}

fn carried(forward: &Forward) -> Option<&Value> {
    forward.resumed.as_ref()?.carried.as_ref()
}

async fn send(
    keeper: &Keeper,
    link: &Arc<Link>,
    forward: &Forward,
    method: &str,
    own_name: &str,
) -> Result<Asked, Fault> {
    let abilities = forward.abilities.both(keeper.settings().client_requests);
    let modern = keeper.modern().map(|version| ModernMeta { version, abilities, level: forward.level });
    if let (None, Some(level), true) = (modern, forward.level, keeper.offers().logging) {
        link.tell_from(level).await;
    }
    let state = carried(forward).and_then(|carried| carried.get(STATE)?.as_str());
    let resumed = forward.resumed.as_ref().filter(|_| modern.is_some());
    let input = resumed.map(|resumed| InputOn { answers: &resumed.answers, state });
    let name = (!forward.faithful).then_some(own_name);
    let asked = link.ask(method, true, |progress| {
        wire::send_on(&forward.params, &Onward { name, progress, modern, input })
    });
    asked.await.map_err(|_| Fault::Protocol("nothing, for the parameters are no object"))?
}
