//! What a reload changes, in words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::{Audit, CertificateKey, Configuration, Listen, Loaded};

/// Everything that differs between two loads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// What differs, in the order principals, sources, upstreams, hosts, rules, Cedar files, settings,
    /// files of certificates.
    pub changes: Vec<Change>,
    /// Keys among them that a running gateway cannot take over: they count from the next start.
    pub restart: Vec<&'static str>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What kind of thing it is.
    pub part: Part,
    /// Its name, or the key of a setting.
    pub name: String,
    /// What happened to it.
    pub what: What,
}

/// A kind of thing that a reload can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A `[[principal]]`.
    Principal,
    /// A `[[credential_source]]`.
    Source,
    /// An `[[upstream]]`.
    Upstream,
    /// A host of the inventory.
    Host,
    /// A `[[rule]]`.
    Rule,
    /// A Cedar file.
    CedarFile,
    /// Any other key of `portcullis.toml`.
    Setting,
    /// A file with certificates or a key, which is still named where it was and holds something else.
    Certificate,
}

/// What happened to something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It says something else.
    Changed,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = match self.part {
            Part::Principal => "principal",
            Part::Source => "credential source",
            Part::Upstream => "upstream",
            Part::Host => "host",
            Part::Rule => "rule",
            Part::CedarFile => "Cedar file",
            Part::Setting => "setting",
            Part::Certificate => "certificate file",
        };
        let what = match self.what {
            What::Added => "added",
            What::Removed => "removed",
            What::Changed => "changed",
        };
        write!(f, "{part} `{}` {what}", self.name)
    }
}

/// Compares two loads. Nothing that it returns holds a secret.
pub fn diff(old: &Loaded, new: &Loaded) -> Changes {
    let mut changes = Changes::default();
    let (before, after) = (&old.configuration, &new.configuration);
    changes.compare(Part::Principal, &before.principals, &after.principals, |principal| {
        principal.id.to_string()
    });
    changes.compare(Part::Source, &before.sources, &after.sources, |source| source.name.clone());
    changes
        .compare(Part::Upstream, &before.upstreams, &after.upstreams, |upstream| upstream.name.to_string());
    let hosts = |loaded: &Loaded| loaded.inventory.hosts().cloned().collect::<Vec<_>>();
    changes.compare(Part::Host, &hosts(old), &hosts(new), |host| host.name.to_string());
    let rules = |loaded: &Loaded| {
        loaded
            .rules
            .iter()
            .map(|written| (written.rule.name().to_string(), written.meaning.clone()))
            .collect::<Vec<_>>()
    };
    changes.compare(Part::Rule, &rules(old), &rules(new), |(name, _)| name.clone());
    let cedar = |loaded: &Loaded| loaded.cedar.iter().map(|written| written.file.clone()).collect::<Vec<_>>();
    changes.compare(Part::CedarFile, &cedar(old), &cedar(new), |file| file.name.clone());
    changes.compare_settings(before, after);
    changes.compare_certificates(&old.certificates, &new.certificates);
    changes
}

impl Changes {
    /// Whether both loads say the same.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    fn compare<T: PartialEq>(&mut self, part: Part, old: &[T], new: &[T], name: impl Fn(&T) -> String) {
        let old: BTreeMap<_, _> = old.iter().map(|item| (name(item), item)).collect();
        let mut new: BTreeMap<_, _> = new.iter().map(|item| (name(item), item)).collect();
        for (name, before) in old {
            let what = match new.remove(&name) {
                None => What::Removed,
                Some(after) if after != before => What::Changed,
                Some(_) => continue,
            };
            self.changes.push(Change { part, name, what });
        }
        self.changes.extend(new.into_keys().map(|name| Change { part, name, what: What::Added }));
    }

    /// Only what a file holds: where it is named is a part of what names it.
    fn compare_certificates(&mut self, old: &[CertificateKey], new: &[CertificateKey]) {
        let renewed: BTreeSet<_> = old.iter().filter_map(|before| before.renewed(new)).collect();
        self.changes.extend(renewed.into_iter().map(|file| Change {
            part: Part::Certificate,
            name: file.display().to_string(),
            what: What::Changed,
        }));
    }

    /// Takes the old one apart whole, so that a key that is added cannot be forgotten here.
    fn compare_settings(&mut self, old: &Configuration, new: &Configuration) {
        let Configuration {
            inventory,
            policy,
            state,
            watch,
            insecure,
            listen,
            principals: _,
            sources: _,
            upstreams: _,
            handles,
            known_hosts,
            network,
            limits,
            audit,
            log,
        } = old;
        let Listen {
            http,
            behind_proxy,
            trusted_proxies,
            allowed_hosts,
            allowed_origins,
            metrics,
            socket,
            tls,
        } = listen;
        let Audit { durability, record_commands, signing_key, seal_key, heads, sinks } = audit;
        // What a running gateway holds open or has derived keys from, it keeps.
        let at_start = [
            ("state", *state != new.state),
            ("listen.http", *http != new.listen.http),
            ("listen.metrics", *metrics != new.listen.metrics),
            ("listen.socket", *socket != new.listen.socket),
            ("audit.durability", *durability != new.audit.durability),
            ("audit.record_commands", *record_commands != new.audit.record_commands),
            ("audit.signing_key", *signing_key != new.audit.signing_key),
            ("audit.seal_key", *seal_key != new.audit.seal_key),
            ("audit.heads", *heads != new.audit.heads),
            ("audit.sink", *sinks != new.audit.sinks),
            ("log", *log != new.log),
        ];
        let at_once = [
            ("inventory", *inventory != new.inventory),
            ("policy", *policy != new.policy),
            ("watch", *watch != new.watch),
            ("insecure", *insecure != new.insecure),
            ("listen.behind_proxy", *behind_proxy != new.listen.behind_proxy),
            ("listen.trusted_proxies", *trusted_proxies != new.listen.trusted_proxies),
            ("listen.allowed_hosts", *allowed_hosts != new.listen.allowed_hosts),
            ("listen.allowed_origins", *allowed_origins != new.listen.allowed_origins),
            ("handles", *handles != new.handles),
            ("ssh.known_hosts", *known_hosts != new.known_hosts),
            ("network", *network != new.network),
            ("limits", *limits != new.limits),
        ];
        let switched = tls.is_some() != new.listen.tls.is_some();
        let tls = ("listen.tls", *tls != new.listen.tls);
        let changed = |settings: &[(&'static str, bool)]| {
            settings.iter().filter(|(_, differs)| *differs).map(|(key, _)| *key).collect::<Vec<_>>()
        };
        self.restart = changed(&at_start);
        self.restart.extend(switched.then_some(tls.0));
        let all = [changed(&at_start), changed(&at_once), changed(&[tls])].concat();
        self.changes.extend(all.into_iter().map(|key| Change {
            part: Part::Setting,
            name: key.to_owned(),
            what: What::Changed,
        }));
    }
}
