//! The journal as an outsider reads it: the bytes of its files, as they grow.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use serde_json::Value;

/// What the journal said so far.
pub(crate) struct Book {
    folder: PathBuf,
    file: u32,
    offset: usize,
    /// Commands of intents, and how many intents there are of each.
    intended: HashMap<String, u32>,
    /// Commands whose call was completed with exit status 0.
    completed: BTreeSet<String>,
    /// Calls with an intent: the command if there is one, and the number of entries that end it.
    calls: BTreeMap<String, (Option<String>, u32)>,
    pub(crate) entries: Vec<Entry>,
}

/// What the tests look at.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) phase: String,
    pub(crate) event: String,
    pub(crate) error_code: Option<String>,
    pub(crate) repaired: bool,
}

impl Book {
    pub(crate) fn open(folder: PathBuf) -> Self {
        Self {
            folder,
            file: 1,
            offset: 0,
            intended: HashMap::new(),
            completed: BTreeSet::new(),
            calls: BTreeMap::new(),
            entries: Vec::new(),
        }
    }

    /// Reads every whole line that has come since; returns how many bytes of an unfinished one follow.
    pub(crate) fn read_on(&mut self) -> usize {
        loop {
            let bytes =
                std::fs::read(self.folder.join(format!("{:06}.jsonl", self.file))).unwrap_or_default();
            let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
            assert!(whole >= self.offset, "the journal has lost {} bytes", self.offset - whole);
            for line in bytes[self.offset..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
            {
                let entry = serde_json::from_slice(line)
                    .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(line)));
                self.take(&entry);
            }
            self.offset = whole;
            if !self.folder.join(format!("{:06}.jsonl", self.file + 1)).exists() {
                return bytes.len() - whole;
            }
            (self.file, self.offset) = (self.file + 1, 0);
        }
    }

    fn take(&mut self, entry: &Value) {
        let text = |name: &str| entry[name].as_str().map(str::to_owned);
        let (id, phase, event) = (text("id").unwrap(), text("phase").unwrap(), text("event").unwrap());
        match phase.as_str() {
            "intent" => {
                let command = text("command");
                if let Some(command) = &command {
                    *self.intended.entry(command.clone()).or_default() += 1;
                }
                assert!(
                    self.calls.insert(id.clone(), (command, 0)).is_none(),
                    "two intents of one call: {entry}"
                );
            }
            "complete" | "closed" => {
                if let Some((command, ends)) = self.calls.get_mut(&id) {
                    *ends += 1;
                    assert_eq!(*ends, 1, "a call ended twice: {entry}");
                    if phase == "complete" && entry["exit_code"] == 0 {
                        self.completed.extend(command.clone());
                    }
                }
            }
            other => panic!("phase {other}"),
        }
        let repaired = entry["fields"].get("repaired").is_some();
        self.entries.push(Entry { id, phase, event, error_code: text("error_code"), repaired });
    }

    /// Calls with an intent and no end.
    pub(crate) fn open_calls(&self) -> BTreeSet<String> {
        self.calls.iter().filter(|(_, (_, ends))| *ends == 0).map(|(id, _)| id.clone()).collect()
    }

    /// The commands of calls with an intent and no end.
    pub(crate) fn open_commands(&self) -> BTreeSet<String> {
        self.calls
            .values()
            .filter(|(_, ends)| *ends == 0)
            .filter_map(|(command, _)| command.clone())
            .collect()
    }

    /// The entry that ended the call with this command.
    pub(crate) fn end_of(&self, command: &str) -> Option<&Entry> {
        let (id, _) = self.calls.iter().find(|(_, (called, _))| called.as_deref() == Some(command))?;
        self.entries.iter().find(|entry| entry.id == *id && entry.phase != "intent")
    }

    pub(crate) fn intents(&self) -> usize {
        self.calls.len()
    }

    pub(crate) fn count(&self, event: &str) -> usize {
        self.entries.iter().filter(|entry| entry.event == event).count()
    }

    pub(crate) fn is_completed(&self, command: &str) -> bool {
        self.completed.contains(command)
    }

    pub(crate) fn is_intended(&self, command: &str) -> bool {
        self.intended.contains_key(command)
    }

    /// No act without its own intent. The acts must have been looked at before the journal was.
    pub(crate) fn assert_covers(&self, acts: &[String]) {
        let mut acted: HashMap<&str, u32> = HashMap::new();
        for token in acts {
            *acted.entry(token).or_default() += 1;
        }
        for (token, times) in acted {
            let intents = self.intended.get(&format!("count-act {token}")).copied().unwrap_or_default();
            assert!(times <= intents, "`{token}` was acted {times} times on {intents} intents");
        }
    }

    /// Every intent has its end.
    pub(crate) fn assert_all_ended_once(&self) {
        assert_eq!(self.open_commands(), BTreeSet::new(), "calls without an end");
        assert_eq!(self.open_calls(), BTreeSet::new(), "calls without an end");
    }
}
