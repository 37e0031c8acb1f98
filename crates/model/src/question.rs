//! What a call may ask the client that made it, and what comes back.
//!
//! A question ends its call: nothing is leased and nothing runs while somebody thinks. The answers come with a new call,
//! which takes the whole pipeline again. They are the client's own words, no more trusted than arguments are: they can
//! never meet an obligation.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::UpstreamName;

/// What a tool wants to know before it can go on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NeedsInput {
    /// The questions, by the names that their answers come back under.
    pub questions: BTreeMap<String, Question>,
    /// What the tool wants to find again with the answers. It is sealed, so the client can neither read nor change it, and
    /// comes back once, with the same call by the same principal. `None`: nothing binds the answers to this call, and
    /// who knows the questions may send them at once.
    pub carried: Option<Value>,
    /// The call of an upstream that waits for the answers, if one does.
    pub parked: Option<Parked>,
}

/// A call that waits at its upstream while its client is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parked {
    /// Where.
    pub upstream: UpstreamName,
    /// Which one; of no use to anybody who could not name it.
    pub ticket: u64,
}

/// What a client said to a question, as its own JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The result, an object.
    Answer(Arc<str>),
    /// The error: it does not answer.
    Refusal(Arc<str>),
}

/// One question to a client.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// A form for the person at the client.
    Form {
        /// What it is about.
        message: String,
        /// The form's fields: an object's JSON Schema with properties of primitive types.
        schema: Value,
    },
    /// A page that the person is to open.
    Page {
        /// What it is about.
        message: String,
        /// Its address.
        url: String,
    },
    /// A text for the client's model to go on from.
    Sample {
        /// What the model is told.
        prompt: String,
        /// How many tokens it may answer with.
        max_tokens: u32,
    },
    /// Which folders the client works in.
    Roots,
    /// What an upstream asks, in its own words.
    Theirs(TheirQuestion),
}

/// A question of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TheirQuestion {
    /// What kind of question it is.
    pub ability: Ability,
    /// The JSON text of its parameters, an object.
    pub params: Arc<str>,
    /// Whether they go on as they came, unless the guard must step in.
    pub faithful: bool,
    /// Whether the upstream takes an error for an answer.
    pub refusable: bool,
}

/// Which questions a client can take, as it says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four kinds of questions, each a yes or no")]
pub struct Abilities {
    /// Forms.
    pub form: bool,
    /// Pages.
    pub page: bool,
    /// Samples.
    pub sample: bool,
    /// Roots.
    pub roots: bool,
}

/// What a client sent along with a call that it makes again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClientInput {
    /// Its answers, by the names of the questions.
    pub answers: Map<String, Value>,
    /// What the tool carried, opened and found whole.
    pub carried: Option<Value>,
}

/// Whose turn it is after an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Turn {
    /// Nobody's: this is the answer.
    #[default]
    Over,
    /// The client's: the call goes on with its answers to these.
    Client(Asked),
    /// The call was void: the client said something wrong about the conversation itself.
    Void(Void),
}

/// Questions on their way to a client.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asked {
    /// By the names that their answers come back under.
    pub questions: BTreeMap<String, Question>,
    /// What has to come back with the answers, sealed.
    pub state: Option<String>,
    /// See [`NeedsInput::parked`]; no client is told.
    pub parked: Option<Parked>,
}

/// Why a call was void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Void {
    /// The state that came back is not one that was given out for this call, or its time or its one use is over.
    State,
    /// It would need this of the client, which says that it cannot do that.
    Ability(Ability),
}

/// One kind of question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ability {
    /// Forms.
    Form,
    /// Pages.
    Page,
    /// Samples.
    Sample,
    /// Roots.
    Roots,
}

impl Question {
    /// What a client must be able to do to take it.
    pub fn ability(&self) -> Ability {
        match self {
            Self::Form { .. } => Ability::Form,
            Self::Page { .. } => Ability::Page,
            Self::Sample { .. } => Ability::Sample,
            Self::Roots => Ability::Roots,
            Self::Theirs(theirs) => theirs.ability,
        }
    }
}

impl Ability {
    /// The word for people and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Page => "page",
            Self::Sample => "sample",
            Self::Roots => "roots",
        }
    }
}

impl Abilities {
    /// Whether this is one of them.
    pub fn include(self, ability: Ability) -> bool {
        match ability {
            Ability::Form => self.form,
            Ability::Page => self.page,
            Ability::Sample => self.sample,
            Ability::Roots => self.roots,
        }
    }

    /// Those that are in both.
    pub fn both(self, other: Self) -> Self {
        Self {
            form: self.form && other.form,
            page: self.page && other.page,
            sample: self.sample && other.sample,
            roots: self.roots && other.roots,
        }
    }

    /// What of the questions is beyond them.
    pub fn lack(self, needs: &NeedsInput) -> Option<Ability> {
        needs.questions.values().map(Question::ability).find(|ability| !self.include(*ability))
    }
}
