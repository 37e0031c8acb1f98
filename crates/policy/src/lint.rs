//! What is allowed but probably not meant.

use crate::rule::Rule;
use crate::{LintWarning, Vocabulary};

pub(crate) fn lint(rules: &[Rule], vocabulary: &Vocabulary) -> Vec<LintWarning> {
    let _ = (rules, vocabulary);
    Vec::new()
}
