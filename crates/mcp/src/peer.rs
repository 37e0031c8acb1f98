//! The client at the other end of a session or stream: what it can be asked, what it wants to hear, what it was asked.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gateway::{Digest, View, Watching};
use model::{Abilities, Asked, LogLevel, Question, Said, TheirQuestion};
use serde_json::value::to_raw_value;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use wire::{RequestId, Response, RpcError, WATCHED_MAX};

/// Questions that may wait for one client's answers.
const QUESTIONS: usize = 64;
/// The longest address of a resource that can be watched, in bytes.
const LONGEST_URI: usize = 512;

/// A legacy client, for as long as its session or stream lives.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    settings: Mutex<Settings>,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Said>>>,
    next: AtomicU64,
    /// Told when the client watches something else.
    pub(crate) rewatch: Notify,
    /// Held by the one of its listening streams that tells it what has changed.
    pub(crate) teller: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Settings {
    abilities: Abilities,
    level: Option<LogLevel>,
    /// What it saw last of the lists; `None` before it saw any.
    seen: Option<[Digest; 3]>,
    /// What it saw last of the resources that it watches, and what keeps an upstream telling of them.
    watched: BTreeMap<String, (Option<Digest>, Option<Watching>)>,
}

/// Something that has changed for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Tools,
    Resources,
    Prompts,
    Resource(String),
}

/// A question got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unanswered;

impl Peer {
    /// A client that said what it can be asked.
    pub(crate) fn new(abilities: Abilities) -> Self {
        let peer = Self::default();
        peer.settings().abilities = abilities;
        peer
    }

    pub(crate) fn abilities(&self) -> Abilities {
        self.settings().abilities
    }

    pub(crate) fn set_abilities(&self, abilities: Abilities) {
        self.settings().abilities = abilities;
    }

    /// From which level on it wants to be told; `None`: not at all.
    pub(crate) fn level(&self) -> Option<LogLevel> {
        self.settings().level
    }

    pub(crate) fn set_level(&self, level: LogLevel) {
        self.settings().level = Some(level);
    }

    /// The addresses that it watches.
    pub(crate) fn watched(&self) -> Vec<String> {
        self.settings().watched.keys().cloned().collect()
    }

    /// Watches a resource, which looks like this now. Whether there is one is not said: it may come.
    pub(crate) fn watch(
        &self,
        uri: String,
        now: Option<Digest>,
        watching: Option<Watching>,
    ) -> Result<(), RpcError> {
        let mut settings = self.settings();
        if uri.len() > LONGEST_URI
            || (settings.watched.len() >= WATCHED_MAX && !settings.watched.contains_key(&uri))
        {
            return Err(RpcError::InvalidParams("no more or longer addresses can be watched at once".into()));
        }
        settings.watched.insert(uri, (now, watching));
        self.rewatch.notify_one();
        Ok(())
    }

    pub(crate) fn unwatch(&self, uri: &str) {
        self.settings().watched.remove(uri);
    }

    /// What is different from what it saw last; from now on it has seen this.
    pub(crate) fn differences(&self, now: &View) -> Vec<Change> {
        let mut settings = self.settings();
        let mut changes = Vec::new();
        if let Some([tools, resources, prompts]) =
            settings.seen.replace([now.tools, now.resources, now.prompts])
        {
            changes.extend((tools != now.tools).then_some(Change::Tools));
            changes.extend((resources != now.resources).then_some(Change::Resources));
            changes.extend((prompts != now.prompts).then_some(Change::Prompts));
        }
        for (uri, digest) in &now.watched {
            // What was given up meanwhile is not there any more.
            if let Some((seen, _)) = settings.watched.get_mut(uri)
                && *seen != *digest
            {
                *seen = *digest;
                changes.push(Change::Resource(uri.clone()));
            }
        }
        changes
    }

    /// Asks all questions of an answer, and waits for the answers: not for ever, and not for a call that is given up.
    pub(crate) async fn ask(
        &self,
        out: &mpsc::Sender<Vec<u8>>,
        asked: &Asked,
        patience: Duration,
        cancel: &CancellationToken,
    ) -> Result<BTreeMap<String, Said>, Unanswered> {
        let all = async {
            let mut answers = BTreeMap::new();
            for (name, question) in &asked.questions {
                answers.insert(name.clone(), self.ask_one(out, question).await?);
            }
            Ok(answers)
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Unanswered),
            answered = tokio::time::timeout(patience, all) => answered.unwrap_or(Err(Unanswered)),
        }
    }

    async fn ask_one(&self, out: &mpsc::Sender<Vec<u8>>, question: &Question) -> Result<Said, Unanswered> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (answered, answer) = oneshot::channel();
        {
            let mut waiting = self.waiting();
            if waiting.len() >= QUESTIONS {
                return Err(Unanswered);
            }
            waiting.insert(number, answered);
        }
        // Also when this is given up while it waits.
        let _forget = Forget { peer: self, number };
        let id = to_raw_value(&id_text(number)).map_err(|_| Unanswered)?;
        let message = wire::write_question(RequestId::from_owned(&id), question).map_err(|_| Unanswered)?;
        out.send(message).await.map_err(|_| Unanswered)?;
        // What is no object is no answer, and an error is one for those upstreams alone that take it as one.
        let refusable = matches!(question, Question::Theirs(TheirQuestion { refusable: true, .. }));
        let counts = |said: &Said| match said {
            Said::Answer(json) => json.starts_with('{'),
            Said::Refusal(_) => refusable,
        };
        answer.await.ok().filter(counts).ok_or(Unanswered)
    }

    /// Takes a client's answer. What was not asked, or was answered before, is nobody's answer.
    pub(crate) fn answered(&self, response: &Response<'_>) {
        let number = response.id.and_then(|id| number(id.as_json()));
        let Some(waiting) = number.and_then(|number| self.waiting().remove(&number)) else { return };
        let _ = waiting.send(match response.outcome {
            Ok(result) => Said::Answer(result.get().into()),
            Err(error) => Said::Refusal(error.get().into()),
        });
    }

    /// How many questions wait for an answer.
    #[cfg(test)]
    pub(crate) fn unanswered(&self) -> usize {
        self.waiting().len()
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        // No code panics while it holds the lock, and the settings are whole between any two statements.
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Said>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Forget<'p> {
    peer: &'p Peer,
    number: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.peer.waiting().remove(&self.number);
    }
}

const MARK: &str = "question-";

fn id_text(number: u64) -> String {
    format!("{MARK}{number}")
}

/// The number of an id that we gave out, from its JSON; every number has one spelling.
fn number(json: &str) -> Option<u64> {
    let id: String = serde_json::from_str(json).ok()?;
    let number = id.strip_prefix(MARK)?.parse().ok()?;
    (id_text(number) == id).then_some(number)
}

/// What a call needs of its client while it runs.
#[derive(Clone, Default)]
pub(crate) struct Talk {
    /// What the client can be asked, where the call came from.
    pub(crate) abilities: Abilities,
    /// From which level on it wants to be told.
    pub(crate) level: Option<LogLevel>,
    /// Whom to ask, in the era in which servers send requests.
    pub(crate) peer: Option<Arc<Peer>>,
    /// How long an answer may take.
    pub(crate) patience: Duration,
}

impl Talk {
    /// Whether a call could say anything before its answer.
    pub(crate) fn may_speak(&self) -> bool {
        self.level.is_some() || (self.peer.is_some() && self.abilities != Abilities::default())
    }

    /// For a client that takes nothing but the answer: a legacy one cannot be asked then.
    pub(crate) fn silent(self) -> Self {
        let abilities = if self.peer.is_some() { Abilities::default() } else { self.abilities };
        Self { abilities, level: None, ..self }
    }
}

#[cfg(test)]
mod tests;
