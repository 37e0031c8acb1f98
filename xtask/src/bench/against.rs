//! An earlier output of `cargo xtask bench --json`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// What was counted then.
pub(super) struct Before {
    once: BTreeMap<String, u64>,
    made_with: Vec<String>,
}

/// Reads a file.
pub(super) fn read(file: &Path) -> Result<Before> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    Before::parse(&text)
        .with_context(|| format!("`{}` is no output of `cargo xtask bench --json`", file.display()))
}

impl Before {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let all: Value = serde_json::from_str(text).context("it is not JSON")?;
        let list = |key: &str| {
            all.get(key).and_then(Value::as_array).with_context(|| format!("it has no list `{key}`"))
        };
        let once: Option<BTreeMap<String, u64>> = list("counts")?.iter().map(count).collect();
        let made_with: Option<Vec<String>> =
            list("made_with")?.iter().map(|version| version.as_str().map(str::to_owned)).collect();
        Ok(Self {
            once: once.context("an entry of `counts` has no `act` or no `instructions`")?,
            made_with: made_with.context("an entry of `made_with` is no text")?,
        })
    }

    /// Instructions of doing this act once.
    pub(super) fn once(&self, act: &str) -> Option<u64> {
        self.once.get(act).copied()
    }

    /// What it was made with, if that was something else.
    pub(super) fn made_with_others(&self, now: &[String]) -> Option<String> {
        (self.made_with != now).then(|| self.made_with.join(", "))
    }
}

fn count(entry: &Value) -> Option<(String, u64)> {
    Some((entry.get("act")?.as_str()?.to_owned(), entry.get("instructions")?.as_u64()?))
}

#[cfg(test)]
mod tests {
    use super::Before;

    #[test]
    fn what_is_no_output_of_ours_is_refused() {
        for (text, told) in [
            ("", "not JSON"),
            ("{}", "`counts`"),
            (r#"{"counts":[]}"#, "`made_with`"),
            (r#"{"counts":[{"act":"a"}],"made_with":[]}"#, "no `instructions`"),
            (r#"{"counts":[{"act":"a","instructions":-1}],"made_with":[]}"#, "no `instructions`"),
            (r#"{"counts":[],"made_with":[1]}"#, "no text"),
        ] {
            let wrong = Before::parse(text).err().map(|error| format!("{error:#}")).unwrap_or_default();
            assert!(wrong.contains(told), "{text}: {wrong}");
        }
    }
}
