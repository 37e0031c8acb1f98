//! What clients want to hear of an upstream beside its tools, and what it says has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Resources of one upstream that are watched at a time; more are watched, and nothing is told of them.
const MOST: usize = 1024;

/// Of one upstream, through all its starts.
#[derive(Default)]
pub(crate) struct Watches {
    inner: Mutex<Inner>,
    /// Other resources are watched than before.
    pub(crate) rewatch: Notify,
    /// It has said that something is not what it was.
    pub(crate) news: Notify,
}

#[derive(Default)]
struct Inner {
    watched: BTreeMap<String, Watched>,
    resources: u64,
    prompts: u64,
    said: Said,
}

#[derive(Default)]
struct Watched {
    by: usize,
    changed: u64,
}

/// What it said, before clients are told of it.
#[derive(Default)]
struct Said {
    resources: bool,
    prompts: bool,
    updated: BTreeSet<String>,
}

/// One client's interest in one resource; it ends when this is dropped.
pub(crate) struct Watch {
    watches: Arc<Watches>,
    uri: String,
}

/// Something of an upstream that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Changed {
    /// Its list of resources.
    Resources,
    /// Its list of prompts.
    Prompts,
    /// The resource of this address, or one beneath it.
    Resource(String),
}

impl Watches {
    /// A client wants to hear of a resource.
    pub(crate) fn watch(self: &Arc<Self>, uri: &str) -> Option<Watch> {
        let mut inner = self.lock();
        if inner.watched.len() >= MOST && !inner.watched.contains_key(uri) {
            return None;
        }
        let watched = inner.watched.entry(uri.to_owned()).or_default();
        watched.by += 1;
        if watched.by == 1 {
            self.rewatch.notify_one();
        }
        Some(Watch { watches: Arc::clone(self), uri: uri.to_owned() })
    }

    /// The resources that anybody watches.
    pub(crate) fn wanted(&self) -> BTreeSet<String> {
        self.lock().watched.keys().cloned().collect()
    }

    /// Takes what the upstream says. What nobody watches is nobody's news.
    pub(crate) fn said(&self, changed: Changed) {
        let mut inner = self.lock();
        match changed {
            Changed::Resources => inner.said.resources = true,
            Changed::Prompts => inner.said.prompts = true,
            Changed::Resource(uri) => {
                let beneath = |watched: &&String| {
                    let rest = uri.strip_prefix(watched.as_str());
                    rest.is_some_and(|rest| {
                        rest.is_empty() || watched.ends_with('/') || rest.starts_with('/')
                    })
                };
                let found: Vec<String> = inner.watched.keys().filter(beneath).cloned().collect();
                if found.is_empty() {
                    return;
                }
                inner.said.updated.extend(found);
            }
        }
        self.news.notify_one();
    }

    /// Nobody knows what has changed while nothing was heard, so everything has.
    pub(crate) fn missed(&self) {
        let mut inner = self.lock();
        (inner.said.resources, inner.said.prompts) = (true, true);
        inner.said.updated = inner.watched.keys().cloned().collect();
        self.news.notify_one();
    }

    /// From now on clients see what was said so far; whether that is anything.
    pub(crate) fn publish(&self) -> bool {
        let mut inner = self.lock();
        let Said { resources, prompts, updated } = std::mem::take(&mut inner.said);
        inner.resources += u64::from(resources);
        inner.prompts += u64::from(prompts);
        let anything = resources || prompts || !updated.is_empty();
        for uri in updated {
            if let Some(watched) = inner.watched.get_mut(&uri) {
                watched.changed += 1;
            }
        }
        anything
    }

    /// How often the lists of resources and of prompts have changed.
    pub(crate) fn lists(&self) -> (u64, u64) {
        let inner = self.lock();
        (inner.resources, inner.prompts)
    }

    /// How often a resource that is watched has changed.
    pub(crate) fn changes_of(&self, uri: &str) -> Option<u64> {
        self.lock().watched.get(uri).map(|watched| watched.changed)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut inner = self.watches.lock();
        let Some(watched) = inner.watched.get_mut(&self.uri) else { return };
        watched.by -= 1;
        if watched.by == 0 {
            inner.watched.remove(&self.uri);
            self.watches.rewatch.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Changed, MOST, Watches};

    fn updated(watches: &Watches, uri: &str) {
        watches.said(Changed::Resource(uri.to_owned()));
    }

    #[test]
    fn a_resource_is_watched_for_as_long_as_anybody_watches_it() {
        let watches = Arc::new(Watches::default());
        let (one, other) = (watches.watch("a://x").unwrap(), watches.watch("a://x").unwrap());
        drop(one);
        assert_eq!(watches.wanted().len(), 1);
        drop(other);
        assert!(watches.wanted().is_empty());
        updated(&watches, "a://x");
        assert!(!watches.publish(), "what nobody watches is nobody's news");
        assert_eq!(watches.changes_of("a://x"), None);
    }

    #[test]
    fn what_changes_counts_once_however_often_it_is_said_and_only_for_who_watches_it() {
        let watches = Arc::new(Watches::default());
        let _watch = ["a://x", "a://xy", "a://dir/"].map(|uri| watches.watch(uri).unwrap());
        for said in ["a://x", "a://x", "a://x/beneath", "a://dir/b", "a://other"] {
            updated(&watches, said);
        }
        assert_eq!(watches.changes_of("a://x"), Some(0), "not before it is published");
        assert!(watches.publish() && !watches.publish());
        let changes = ["a://x", "a://xy", "a://dir/"].map(|uri| watches.changes_of(uri));
        assert_eq!(changes, [Some(1), Some(0), Some(1)]);
        watches.said(Changed::Prompts);
        watches.publish();
        assert_eq!(watches.lists(), (0, 1));
        watches.missed();
        watches.publish();
        assert_eq!((watches.lists(), watches.changes_of("a://xy")), ((1, 2), Some(1)));
    }

    #[test]
    fn so_many_are_watched_and_no_more() {
        let watches = Arc::new(Watches::default());
        let held: Vec<_> = (0..MOST).map(|n| watches.watch(&n.to_string()).unwrap()).collect();
        assert!(watches.watch("one more").is_none());
        assert!(watches.watch("0").is_some());
        drop(held);
        assert!(watches.watch("one more").is_some());
    }
}
